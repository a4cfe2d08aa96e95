"""How wide text is. Measured for DejaVu Sans, the widest face that the font list falls back to: Helvetica and Arial
need 15 % less, so text that fits here fits everywhere.
"""

from __future__ import annotations

_FIRST = 32
_ASCII = (
    *(318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337),
    *(636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531),
    *(1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787),
    *(603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500),
    *(500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612),
    *(635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838),
)
"""Advance widths of the printable ASCII characters, in thousandths of the font size."""
_OTHER = 1000
BOLD = 1.12


def text_width(text: str, size: float) -> float:
    """Width in points of one line of text.

    >>> round(text_width("[heads=4]", 10), 1)
    52.7
    """
    return sum(_advance(ord(char)) for char in text) * size / 1000


def _advance(code: int) -> int:
    position = code - _FIRST
    return _ASCII[position] if 0 <= position < len(_ASCII) else _OTHER
