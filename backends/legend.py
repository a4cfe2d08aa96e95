"""The legend: what shapes, colours and lines mean. Folded into as many rows as the page's width needs."""

from __future__ import annotations

from ..ir.deployment import Kind
from .lanes import Layout
from .look import EDGES, NODES, TEXT, EdgeLook, NodeLook
from .metrics import text_width
from .sizes import SLANT
from .xdot import Canvas

Look = NodeLook | EdgeLook
ROW = 22
_WIDE, _HIGH = 34, 14
_GAP = 22


def rows(layout: Layout, width: int) -> list[list[Look]]:
    """The entries for what is drawn, row by row."""
    kinds = {mark.row.kind for mark in layout.scene.marks.values()}
    nodes: list[Look] = [look for kind, look in NODES.items() if look.legend and kind in kinds]
    drawn = _edges(layout, Kind.COMM in kinds)
    edges: list[Look] = [look for kind, look in EDGES.items() if kind in drawn]
    return [*_folded(nodes, width), *_folded(edges, width)]


def draw(canvas: Canvas, entries: list[list[Look]], left: int, top: int) -> None:
    """`left` and `top` of the first row's middle line, y upwards."""
    for number, row in enumerate(entries):
        x, y = left, top - number * ROW
        for look in row:
            _swatch(canvas, look, x, y)
            canvas.text((x + _WIDE + 6, y - 3), look.legend, TEXT.note)
            x += _advance(look)


def _edges(layout: Layout, comm: bool) -> set[str]:
    found: set[str] = {link.kind for link in layout.scene.drawn.links}
    return found | ({"residual"} if layout.tracks.residual else set()) | ({"comm"} if comm else set())


def _folded(looks: list[Look], width: int) -> list[list[Look]]:
    folded: list[list[Look]] = [[]]
    for look in looks:
        if folded[-1] and sum(map(_advance, [*folded[-1], look])) > width:
            folded.append([])
        folded[-1].append(look)
    return folded


def _advance(look: Look) -> int:
    return _WIDE + 6 + int(text_width(look.legend, TEXT.note)) + _GAP


def _swatch(canvas: Canvas, look: Look, x: int, y: int) -> None:
    if isinstance(look, EdgeLook):
        end = x + _WIDE
        canvas.line([(x, y), (end - 6, y)], look.color, look.style, look.width)
        canvas.polygon([(end - 7, y - 3), (end, y), (end - 7, y + 3)], look.color, look.color)
    elif look.shape == "ellipse":
        canvas.ellipse((x + _WIDE / 2, y), (_WIDE / 2, _HIGH / 2), look.fill, look.line)
    else:
        slant = SLANT * _WIDE if look.shape == "parallelogram" else 0
        low, high = y - _HIGH / 2, y + _HIGH / 2
        corners = [(x, low), (x + _WIDE - slant, low), (x + _WIDE, high), (x + slant, high)]
        canvas.polygon(corners, look.fill, look.line)
