"""Ports: where on a node's border its edges begin and end, so that they do not fall together.

What comes straight keeps the middle; what comes from the left or right enters there, the farther the farther out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from ..ir.deployment import Link
from .lanes import Layout

_REACH = 0.28
"""Ports keep to the middle part of a border: beyond it parallelograms slant and ellipses fall off."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Offsets across the flow from a node's middle, for each link's (source, target)."""

    leaves: dict[int, int]
    enters: dict[int, int]


def ports(layout: Layout, links: list[Link]) -> Ports:
    leaves: dict[int, list[tuple[int, int]]] = defaultdict(list)
    enters: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for at, link in enumerate(links):
        leaves[link.source].append((_aim(layout, at, link.target, link.source), at))
        enters[link.target].append((_aim(layout, at, link.source, link.target), at))
    return Ports(dict(_spread(layout, leaves)), dict(_spread(layout, enters)))


def _aim(layout: Layout, at: int, other: int, own: int) -> int:
    """Where an edge goes on leaving `own`, relative to it: to its track, or to the other end. Buses have no columns."""
    if layout.spots[own].on_bus:
        return 0
    lane, middle = layout.across.lane, layout.across.lane.columns[layout.column[own]]
    track = layout.tracks.of.get(at)
    if track is not None:
        return lane.track(track) - middle
    return 0 if layout.spots[other].on_bus else lane.columns[layout.column[other]] - middle


def _spread(layout: Layout, ends: dict[int, list[tuple[int, int]]]) -> Iterator[tuple[int, int]]:
    for index, aims in ends.items():
        if layout.spots[index].on_bus:
            yield from ((at, 0) for _, at in aims)
            continue
        size = layout.scene.marks[index].size[0 if layout.scene.narrow else 1]
        for side in (-1, 0, 1):
            on_side = sorted((abs(aim), at) for aim, at in aims if (aim > 0) - (aim < 0) == side)
            step = min(layout.scene.space.port, int(size * _REACH) // max(1, len(on_side)))
            yield from ((at, side * step * rank) for rank, (_, at) in enumerate(on_side, 1))
