"""Sizes of memory and speeds of links as people write them.

>>> quantity("80 GB"), quantity("450 GB/s"), quantity("400 Gbit/s"), quantity("50e9")
(80000000000.0, 450000000000.0, 50000000000.0, 50000000000.0)
"""

from __future__ import annotations

import re
from math import isfinite

EXAMPLES = "such as 80 GB, 96 GiB, 450 GB/s, 400 Gbit/s or a number of bytes"

_SCALE = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_SCALE |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_BYTES = {"": 1.0, "B": 1.0, "byte": 1.0, "bytes": 1.0, "b": 1 / 8, "bit": 1 / 8, "bits": 1 / 8}
_FORM = re.compile(
    r"\s*(?P<number>\d+(\.\d*)?([eE][+-]?\d+)?)\s*(?P<scale>[kKMGTP]?i?)(?P<unit>[Bb]|bytes?|bits?|)(/s|ps|)\s*"
)
LARGEST = 1e18
TEXT = re.sub(r"\?P<\w+>", "?:", _FORM.pattern)
"""The form of a quantity that is a text, without the names of its groups, which only Python knows."""


def quantity(value: object) -> float:
    """Bytes, or bytes per second. ValueError, with what would be right, for anything else."""
    number = _number(value)
    if number is None or not isfinite(number) or not 0 < number <= LARGEST:
        raise ValueError(f"a positive quantity, {EXAMPLES}")
    return number


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int | float):
        return float(value) if -LARGEST <= value <= LARGEST else None
    match = _FORM.fullmatch(value[:100])
    if match is None or match["scale"] not in _SCALE:
        return None
    return float(match["number"]) * _SCALE[match["scale"]] * _BYTES[match["unit"]]
