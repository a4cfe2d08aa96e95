"""Statements for edges: which tensor flows, of what kind, along which spline."""

from __future__ import annotations

import numpy as np

from ..ir.deployment import EdgeKind
from .lanes import Layout
from .look import EDGES, TEXT
from .metrics import text_width
from .page import Page
from .pen import Coordinate, Point
from .quoting import quoted
from .routes import Route
from .writer import Template


def edge_statements(layout: Layout, page: Page, route: Route) -> list[str]:
    """One statement per edge of a route."""
    marks, link = layout.scene.marks, route.link
    line = Template().fill(_of(marks[link.source].who.names, route.source)).add(" -> ")
    line.fill(_of(marks[link.target].who.names, route.target)).add(' [pos="e,')
    _points(line, page, [route.tip, *route.points])
    line.add(f'", tensor={quoted(link.tensor)}, kind={link.kind}{_STYLES[route.look]}')
    move = marks[link.target].row.move
    if route.drop is not None and move is not None:
        color = EDGES[route.look].color
        line.add(f', label={quoted(move.collective)}, fontcolor="{color}", lp="')
        _points(line, page, [_beside(layout, route.drop, move.collective)])
        line.add('"')
    return line.add("];").lines(len(route.source))


def _of(names: list[str], positions: np.ndarray) -> list[str]:
    return [names[position] for position in positions.tolist()]


def _points(line: Template, page: Page, points: list[Point]) -> None:
    for number, (along, across) in enumerate(points):
        x, y = page.xy(along, across)
        line.add(" " if number else "").number(x).add(",").number(y)


def _beside(layout: Layout, drop: Point, text: str) -> tuple[Coordinate, Coordinate]:
    """The middle of a collective's name, beside the edge that drops into its bus."""
    half = int(text_width(text, TEXT.drop)) // 2
    along, across = drop
    if layout.scene.narrow:
        return along + TEXT.drop // 2 - 2, across + half + 5
    return along + half + 2, across - TEXT.drop


def _style(look: str) -> str:
    edge = EDGES[look]
    drawn = "" if edge.style == "solid" else f", style={edge.style}"
    return f'{drawn}, color="{edge.color}", penwidth={edge.width}, class={look}'


EDGE_DEFAULT = _style(EdgeKind.DATA).removeprefix(", ")
"""How edges look that do not say otherwise."""
_STYLES = {look: "" if look == EdgeKind.DATA else _style(look) for look in EDGES}
