"""Across the flow: where each lane begins, and within a lane its tracks and columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .along import Extent
from .look import Space
from .tracks import Area, Track, Tracks


@dataclass(frozen=True)
class Lane:
    """The inside of a lane, as offsets from its beginning: the same for every lane of a picture."""

    tracks: dict[Track, int]
    columns: dict[int, int]
    width: int
    title: int
    """Where a title over the columns begins: beside the tracks, whose edges come in from outside."""

    def track(self, track: Track) -> int:
        return self.columns[track.number] if track.area is Area.COLUMN else self.tracks[track]


def inside(tracks: Tracks, widths: dict[int, int], space: Space) -> Lane:
    """`widths`: column → extent across the flow of the widest node that stands there."""
    at = space.title + space.pad
    lines: dict[Track, int] = {}
    for area in (Area.RESIDUAL, Area.SELECT):
        at = _lines(lines, tracks, area, at, space)
    title = at
    columns: dict[int, int] = {}
    for column in range(min([0, *widths]), max([0, *widths]) + 1):
        width = widths.get(column, 0)
        columns[column] = at + width // 2
        at += width + space.column
    at = _lines(lines, tracks, Area.SIDE, at - space.column + space.pad, space)
    return Lane(lines, columns, at, title)


def _lines(lines: dict[Track, int], tracks: Tracks, area: Area, at: int, space: Space) -> int:
    count = tracks.count(area)
    for number in range(count):
        lines[Track(area, number)] = at + number * space.track
    return at + count * space.track + (space.pad // 2 if count else 0)


@dataclass(frozen=True)
class Slots:
    """Lane slots: a pool that runs behind another one uses the same slots."""

    of_lane: np.ndarray
    of_gpu: np.ndarray
    count: int


def lane_slots(pools: list[tuple[list[int], Extent]], count: int, lane_of: np.ndarray) -> Slots:
    """`pools`: for each, the positions of its lanes and the levels it takes. `lane_of`: per GPU its lane, or -1."""
    of_lane = np.zeros(count, dtype=np.int64)
    placed: list[tuple[Extent, int]] = []
    for lanes, extent in sorted(pools, key=lambda pool: (pool[1].first, pool[1].last)):
        beside = [last for other, last in placed if other.last >= extent.first]
        first = max(beside, default=0)
        of_lane[lanes] = first + np.arange(len(lanes))
        placed.append((extent, first + len(lanes)))
    of_gpu = np.where(lane_of < 0, -1, of_lane[lane_of])
    return Slots(of_lane, of_gpu, max((last for _, last in placed), default=1))


@dataclass(frozen=True)
class Across:
    """All lanes: `begin[slot]` is where a slot's lane begins; the gutter before it is `gutter[slot]` wide."""

    lane: Lane
    slots: Slots
    begin: np.ndarray
    gutter: np.ndarray

    @property
    def width(self) -> int:
        return int(self.begin[-1]) + self.lane.width

    def middle_of_gutter(self, slots: np.ndarray) -> np.ndarray:
        return self.begin[slots] - self.gutter[slots] // 2


def beside(lane: Lane, slots: Slots, gutter: np.ndarray) -> Across:
    """Put the lanes beside one another with the gutters they need."""
    begin = np.cumsum(gutter) + lane.width * np.arange(slots.count)
    return Across(lane, slots, begin, gutter)
