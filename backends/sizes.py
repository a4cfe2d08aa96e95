"""How large a node must be for its text, by shape: every line has to fit at its own height."""

from __future__ import annotations

from math import ceil, sqrt

from ..ir.deployment import Kind
from .look import NODES, TEXT
from .metrics import text_width

SLANT = 0.2046
"""Graphviz cuts this share of a parallelogram's width off two of its corners (measured, 14.1)."""
GROWTH = 1.0368
"""Graphviz draws a parallelogram so much wider than its `width` says (measured, 14.1)."""
_PAD = 8
_ROUND = 0.74
"""Half-height of an ellipse as a share of its text's height: flatter ones get too wide, rounder ones too high."""


def node_size(kind: Kind, lines: list[str]) -> tuple[int, int]:
    """(width, height) in points, both even."""
    widths = [text_width(line, TEXT.node) / 2 + _PAD / 2 for line in lines]
    high = len(lines) * TEXT.line
    return _SIZES[NODES[kind].shape](widths, high)


def border(kind: Kind, size: tuple[int, int], offset: float, narrow: bool, entering: bool) -> float:
    """Distance along the flow from a node's centre to its border, `offset` across the flow from the centre."""
    along, across = (size[1], size[0]) if narrow else size
    shape = NODES[kind].shape
    if shape == "ellipse":
        return along / 2 * sqrt(max(0.0, 1 - (2 * offset / across) ** 2))
    if shape == "parallelogram" and not narrow:
        share = 0.5 - offset / across if entering else 0.5 + offset / across
        return along / 2 - SLANT * along * share
    return along / 2


def _box(half_widths: list[float], high: float) -> tuple[int, int]:
    return _even(2 * max(half_widths) + _PAD), _even(high + _PAD)


def _ellipse(half_widths: list[float], high: float) -> tuple[int, int]:
    radius = high * _ROUND
    heights = _heights(len(half_widths), high)
    across = max(w / sqrt(1 - (y / radius) ** 2) for w, y in zip(half_widths, heights, strict=True))
    return _even(2 * across), _even(2 * radius)


def _parallelogram(half_widths: list[float], high: float) -> tuple[int, int]:
    tall = high + _PAD
    heights = _heights(len(half_widths), high)
    across = max(2 * w / (1 - SLANT * (1 + 2 * y / tall)) for w, y in zip(half_widths, heights, strict=True))
    return _even(across), _even(tall)


def _heights(lines: int, high: float) -> list[float]:
    """Of every line the distance of its farther edge from the middle."""
    step = high / lines
    return [max(abs(i * step - high / 2), abs((i + 1) * step - high / 2)) for i in range(lines)]


def _even(size: float) -> int:
    return 2 * ceil(size / 2)


_SIZES = {"box": _box, "ellipse": _ellipse, "parallelogram": _parallelogram}
