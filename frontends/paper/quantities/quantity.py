"""One quantity as it stands in a text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import prod

Number = int | float


class Form(StrEnum):
    """How the numbers are written: only counts, lists, ranges and products say how many there are of something."""

    COUNT = "count"
    LIST = "list"
    RANGE = "range"
    PRODUCT = "product"
    FRACTION = "fraction"
    PERCENT = "percent"
    RATIO = "ratio"


@dataclass(frozen=True)
class Quantity:
    """Numbers with one unit. `text[start:end]` of the searched text are its words, unit included.

    `values` has one number, those of a list, the ends of a range, or the factors of a product. Bytes, bytes per second,
    FLOP/s and seconds come in those units (`900 MB` → 900,000,000 byte); anything else is counted. A fraction or a
    percentage is its value (0.125).
    """

    values: tuple[Number, ...]
    start: int
    end: int
    text: str
    form: Form = Form.COUNT
    unit: str = ""
    """layer, head, gpu, node, token, sequence, byte, byte/s, flop/s, second, …: see units.yaml; or empty."""
    of: str = ""
    """The words between number and unit (`KV` of "8 KV heads"), or the name of the card (`H100` of "16 H100s")."""
    per: str = ""
    """What there are so many of in each: `node` of "8 GPUs per node", "nodes of eight GPUs", "8-GPU nodes"."""
    others: tuple[Number, ...] = ()
    """The values under the other meaning of K, M or GB (4K: 4096, else 4000); empty if there is one meaning."""
    hedge: str = ""
    """`up to`, `about`, `at least`, `or more`, …"""

    @property
    def value(self) -> Number:
        """The number; the first of a list or range; the product of factors."""
        return prod(self.values) if self.form is Form.PRODUCT else self.values[0]

    @property
    def counts(self) -> bool:
        """Whether it can say how many there are: positive integers, no share of something and no comparison."""
        shares = (Form.FRACTION, Form.PERCENT, Form.RATIO)
        return self.form not in shares and all(isinstance(value, int) and value > 0 for value in self.values)
