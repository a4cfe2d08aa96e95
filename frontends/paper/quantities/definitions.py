"""What a paper says that its units mean.

>>> definitions_of("900 MB each (1 MB = 10^6 bytes); 1 GB is 1024 MB, K denotes 1,000")
{'MB': 1000000, 'GB': 1024000000, 'K': 1000}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .numerals import exact, numeral
from .quantity import Number
from .units import table

_FORM = re.compile(
    r"(?<![\w.])(?:1|one|an?)?\s?(?P<unit>[KMGT]i?B|[KM])\s*"
    r"(?:=|:=|is|are|equals?|means?|denotes?|refers? to|stands? for|as)\s*(?=\d)"
)
_BYTES = re.compile(r"\s*(?:(?P<bytes>bytes?|B)|(?P<of>[KMGT]i?B)|)(?!\w)")
_PLAUSIBLE = {base**power for base, powers in ((10, (3, 6, 9, 12)), (2, (10, 20, 30, 40))) for power in powers}
_PLAUSIBLE |= {1024 * 1000, 1024 * 1000**2}


def definitions_of(text: str) -> dict[str, Number]:
    """Symbol → bytes (K, M: how many), as the text defines it."""
    return {symbol: value for symbol, value, _ in _definitions(text)}


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where definitions stand: their numbers are no quantities of anything."""
    return (span for _, _, span in _definitions(text))


def _definitions(text: str) -> Iterator[tuple[str, Number, tuple[int, int]]]:
    for match in _FORM.finditer(text):
        number = numeral(text, match.end())
        tail = _BYTES.match(text, number.end) if number else None
        if number is None or tail is None:
            continue
        value = exact(number.value * (table()["symbols"][tail["of"]][1] if tail["of"] else 1))
        of_bytes = bool(tail["bytes"] or tail["of"])
        if value in _PLAUSIBLE and of_bytes == match["unit"].endswith("B"):
            yield match["unit"], value, (match.start(), tail.end())
