"""Along the flow: where each level begins and ends, and what room its buses and the lanes' borders need."""

from __future__ import annotations

from dataclasses import dataclass

from .look import Space


@dataclass(frozen=True, slots=True)
class Need:
    """What one level needs: the length of its longest node, and per side the number of parallel buses (0: none)."""

    length: int = 0
    turns: int = 0
    drops: bool = False
    """Are there names at the lanes' drops into the bus?"""


@dataclass(frozen=True, slots=True)
class Extent:
    """A range of levels, both ends included."""

    first: int
    last: int


@dataclass(frozen=True)
class Along:
    """Per level: `start` and `end` bound all that belongs to it, `middle` is where its nodes stand.

    Where lanes begin or end, their borders and titles belong to the level: edges change columns outside.
    """

    start: list[int]
    middle: list[int]
    end: list[int]
    collects: list[int]
    """The first bus that collects; the next ones follow along the flow."""
    hands_out: list[int]
    """The last bus that hands out; the next ones stand before it."""
    space: Space

    def begin(self, extent: Extent) -> int:
        return self.start[extent.first]

    def finish(self, extent: Extent) -> int:
        return self.end[extent.last]


def measure(needs: list[Need], lanes: list[Extent], space: Space) -> Along:
    """Lay the levels one behind the other; `lanes` are the extents of clusters, whose borders need room."""
    opens, closes = {extent.first for extent in lanes}, {extent.last for extent in lanes}
    flow, at = Along([], [], [], [], [], space), -space.gap
    for level, need in enumerate(needs):
        at += space.gap
        flow.start.append(at)
        at += space.head if level in opens else 0
        edge = space.drop if need.drops else space.bus_clear
        flow.collects.append(at + edge)
        at += _buses(need, space, edge)
        flow.middle.append(at + need.length // 2)
        at += need.length + _buses(need, space, space.bus_clear)
        flow.hands_out.append(at - space.bus_clear)
        at += space.tail if level in closes else 0
        flow.end.append(at)
    return flow


def _buses(need: Need, space: Space, edge: int) -> int:
    """Room on one side of a level's nodes for its buses."""
    return edge + space.bus * (need.turns - 1) + space.bus_clear if need.turns else 0
