"""Routes: the spline of every edge. Edges change columns only between levels, where no nodes are.

    source │ end of its level ╲ gap ╱ track past other levels ╲ gap ╱ start of the level │ target

To and from buses they go straight to the bus and along it. An edge arrives along the flow, so arrowheads fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..ir.deployment import EdgeKind, Kind, Link
from .lanes import Layout, Spot
from .pen import Pen, Point
from .ports import Ports, ports
from .sizes import border


@dataclass(frozen=True)
class Route:
    """All edges of one link: node positions in the two rows' marks, the spline's points, the arrow's tip, its look."""

    link: Link
    source: np.ndarray
    target: np.ndarray
    points: list[Point]
    tip: Point
    look: str
    drop: Point | None = None
    """Where the collective's name stands, if the edge drops into a bus."""


class Routes:
    """Iterate to get one `Route` per link that joins drawn nodes."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.scene, self.flow = layout, layout.scene, layout.along
        self.links = [k for k in self.scene.drawn.links if k.source in layout.spots and k.target in layout.spots]
        self.ports: Ports = ports(layout, self.links)

    def __iter__(self) -> Iterator[Route]:
        for at, link in enumerate(self.links):
            first, second = self._pairs(link)
            if len(first):
                yield self._route(at, link, first, second)

    def _pairs(self, link: Link) -> tuple[np.ndarray, np.ndarray]:
        """A merged view has one node per row, which stands for all; else nodes are joined by their GPUs."""
        if self.scene.view.merged:
            return np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        return self.scene.drawn.join(link)

    def _route(self, at: int, link: Link, first: np.ndarray, second: np.ndarray) -> Route:
        source, target = self.layout.spots[link.source], self.layout.spots[link.target]
        via = self._via(at, source, target, first, second)
        enters = target.across[second] + self.ports.enters[at]
        pen = self._begin(at, link, first)
        if source.hands_out is not None and not (via is None and target.on_bus):
            pen.run(source.hands_out[first], enters if via is None else via)
        pen.forward(self.flow.end[self._level(link.source)])
        self._pass(pen, link, via)
        start = self.flow.start[self._level(link.target)]
        pen.sway(start, pen.at[1] if target.on_bus else enters)
        drop = pen.at if target.on_bus and self.scene.marks[link.target].row.kind is Kind.COMM else None
        if target.collects is not None:
            pen.run(target.collects[second], enters)
        tip = target.along - self._border(link.target, self.ports.enters[at], True)
        pen.forward(tip - self.scene.space.arrow)
        return Route(link, first, second, pen.points, (tip, enters), self._look(at, link), drop)

    def _begin(self, at: int, link: Link, first: np.ndarray) -> Pen:
        """A pen at the port where the edge leaves its source."""
        source, offset = self.layout.spots[link.source], self.ports.leaves[at]
        along = source.along + self._border(link.source, offset, False)
        return Pen(along, source.across[first] + offset, self.scene.space.corner)

    def _pass(self, pen: Pen, link: Link, via: np.ndarray | None) -> None:
        """Past the levels between the two ends, on the edge's track."""
        if via is not None:
            pen.sway(self.flow.start[self._level(link.source) + 1], via)
            pen.forward(self.flow.end[self._level(link.target) - 1])

    def _via(self, at: int, source: Spot, target: Spot, first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
        track = self.layout.tracks.of.get(at)
        if track is None:
            return None
        base = source.base[first] if target.on_bus else target.base[second]
        return base + self.layout.across.lane.track(track)

    def _border(self, index: int, offset: int, entering: bool) -> int:
        mark = self.scene.marks[index]
        return round(border(mark.row.kind, mark.size, offset, self.scene.narrow, entering))

    def _look(self, at: int, link: Link) -> str:
        if link.kind is not EdgeKind.DATA:
            return link.kind
        kinds = {self.scene.marks[link.source].row.kind, self.scene.marks[link.target].row.kind}
        if at in self.layout.tracks.residual:
            return "residual"
        return "comm" if Kind.COMM in kinds else EdgeKind.DATA

    def _level(self, index: int) -> int:
        return self.layout.level[index]
