"""Numbers of a text that can be a fact: how many there are of something, or so many bytes.

>>> [(f.values, f.unit) for f in figures("thirty-two layers of 4,096, batches of 8, 16 and 32, 3x faster; 900 MB each")]
[((32,), ''), ((4096,), ''), ((8, 16, 32), ''), ((3,), 'ratio'), ((900000000,), 'byte')]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..quantities import Form, Quantity, quantities_of
from ..quantities.names import hidden
from ..quantities.quantity import Number
from ..quantities.series import separated, series_at

MEASURED = ("byte", "byte/s", "flop/s")
"""Units that belong to the number; any other is a word behind it."""
NEITHER = ("second", "minute", "hour", "watt", "matrix")


@dataclass(frozen=True)
class Figure:
    """A number, or several in a list or the ends of a range, from `start` to `end` of a text."""

    start: int
    end: int
    values: tuple[int, ...]
    unit: str = ""
    parts: tuple[tuple[int, int], ...] = ()
    """Where each number of a list stands."""
    factors: tuple[int, ...] = ()
    """Of a product."""


def figures(text: str, definitions: Mapping[str, Number] | None = None) -> list[Figure]:
    """All numbers of a text, in order. `definitions`: what the paper says that its units mean."""
    return list(_figures(text, definitions))


def _figures(text: str, definitions: Mapping[str, Number] | None) -> Iterator[Figure]:
    searched = separated(hidden(text))
    for found in quantities_of(text, definitions):
        product = found.value if found.unit not in MEASURED else found.values[-1]  # of 8 × 400 Gb/s, one link
        values = (product,) if found.form is Form.PRODUCT else found.values
        whole = tuple(round(value) for value in values)
        if found.unit in MEASURED:
            yield Figure(found.start, found.end, whole, found.unit)
        elif found.form is Form.RATIO or found.unit == "time":
            yield Figure(found.start, found.end, whole, "ratio")
        elif found.counts and found.unit not in NEITHER:
            parts = _parts(found, searched)
            factors = tuple(map(round, found.values)) if found.form is Form.PRODUCT else ()
            yield Figure(found.start, parts[-1][1], whole, "", parts if len(whole) == len(parts) else (), factors)


def _parts(found: Quantity, searched: str) -> tuple[tuple[int, int], ...]:
    """Where the numbers stand, without what is counted."""
    series = series_at(searched, found.start)
    ends = [number.end for number in series.numbers] if series else [found.end]
    joint = re.compile(r"(?:\W|and\b|or\b|to\b|on\b|with\b)*")
    starts = [found.start, *(match.end() for end in ends[:-1] if (match := joint.match(searched, end)))]
    return tuple(zip(starts, [*ends[:-1], series.end if series else found.end], strict=True))
