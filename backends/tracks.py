"""Tracks: the lines on which edges pass by the levels between their ends, so that none runs through a node.

Residual edges have a gutter of their own at a lane's edge, selection edges the one beside it. Other edges keep to
their source's or target's column where that is free, else they get a line on the far side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ..ir.deployment import EdgeKind, Link


class Area(StrEnum):
    COLUMN = "column"
    RESIDUAL = "residual"
    SELECT = "select"
    SIDE = "side"


@dataclass(frozen=True, slots=True)
class Track:
    area: Area
    number: int


@dataclass(frozen=True)
class Ground:
    """Where operators stand: level and column by row index; rows in `buses` stand outside the lanes."""

    level: dict[int, int]
    column: dict[int, int]
    buses: set[int]


class Tracks:
    """`of`: position of a link → its track, for links that pass a level. `residual`: links drawn as residuals."""

    def __init__(self, links: list[Link], ground: Ground, drawn: list[int]) -> None:
        """`drawn`: per link that is drawn the position of the one among `links` that it runs like."""
        self.ground = ground
        residual = residuals(links)
        of: dict[int, Track] = {}
        self.open: dict[Area, list[tuple[int, int]]] = defaultdict(list)
        """Per area and track: (source, last level) of the edge that runs there."""
        self.standing = {(ground.level[i], c) for i, c in ground.column.items() if i not in ground.buses}
        self.passing: dict[tuple[int, int], int] = {}
        level = ground.level
        for at in sorted(range(len(links)), key=lambda i: (level[links[i].source], level[links[i].target], i)):
            if level[links[at].target] - level[links[at].source] > 1:
                of[at] = self._track(links[at], at in residual)
        self.of = {at: of[like] for at, like in enumerate(drawn) if like in of}
        self.residual = {at for at, like in enumerate(drawn) if like in residual}

    def count(self, area: Area) -> int:
        return len(self.open[area])

    def _track(self, link: Link, residual: bool) -> Track:
        if residual or link.kind is EdgeKind.SELECT:
            return self._line(Area.RESIDUAL if residual else Area.SELECT, link)
        for end in (link.source, link.target):
            if end not in self.ground.buses and self._free(link, self.ground.column[end]):
                return Track(Area.COLUMN, self.ground.column[end])
        return self._line(Area.SIDE, link)

    def _free(self, link: Link, column: int) -> bool:
        """Takes the column between the ends of a link, if no node stands and no other value passes there."""
        between = [(level, column) for level in self._between(link)]
        if any(place in self.standing or self.passing.get(place, link.source) != link.source for place in between):
            return False
        self.passing |= dict.fromkeys(between, link.source)
        return True

    def _between(self, link: Link) -> Iterable[int]:
        return range(self.ground.level[link.source] + 1, self.ground.level[link.target])

    def _line(self, area: Area, link: Link) -> Track:
        """The first line of an area that is free again where the edge starts, or that carries the same value."""
        first, last = self.ground.level[link.source], self.ground.level[link.target]
        lines = self.open[area]
        for number, (source, end) in enumerate(lines):
            if source == link.source or end <= first:
                lines[number] = (link.source, max(last, end))
                return Track(area, number)
        lines.append((link.source, last))
        return Track(area, len(lines) - 1)


def residuals(links: list[Link]) -> set[int]:
    """Positions of the data edges that go around something: another data path joins the same two operators."""
    after: dict[int, list[int]] = defaultdict(list)
    for link in links:
        if link.kind is EdgeKind.DATA:
            after[link.source].append(link.target)
    found = set()
    for position, link in enumerate(links):
        if link.kind is EdgeKind.DATA and len(after[link.source]) > 1:
            starts = [target for target in after[link.source] if target != link.target]
            if _reaches(starts, link.target, after):
                found.add(position)
    return found


def _reaches(starts: list[int], goal: int, after: dict[int, list[int]]) -> bool:
    seen, todo = set(starts), list(starts)
    while todo:
        for target in after[todo.pop()]:
            if target == goal:
                return True
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return False
