"""The lane layout: every position of a picture, in linear time.

    along    the direction of the flow: a level per topological rank, the same offsets in every lane
    across   the lanes: each lane is [title | residual tracks | selection tracks | columns | side tracks]

Up to four lanes are columns (the flow runs down), more are rows (it runs to the right); a later pipeline stage stands
behind the earlier one on the same lanes. A collective is one ellipse between two of its lanes, on two buses that span
them: one collects, one hands out. Positions are whole points; a row's are one array entry per node.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ir.view import View
from .across import Across, beside, inside, lane_slots
from .along import Along, Extent, Need, measure
from .buses import Bus, bus_of
from .columns import Columns
from .fold import Fold
from .levels import levels
from .look import TEXT
from .marks import Mark, Scene, scene
from .metrics import text_width
from .tracks import Ground, Tracks


@dataclass(frozen=True)
class Spot:
    """Where a row's nodes stand: one position along the flow, one across per node. `base` is where their lanes begin.

    Nodes between lanes are reached by buses: `collects` and `hands_out` are those along the flow.
    """

    along: int
    across: np.ndarray
    base: np.ndarray
    collects: np.ndarray | None = None
    hands_out: np.ndarray | None = None

    @property
    def on_bus(self) -> bool:
        return self.collects is not None


@dataclass(frozen=True)
class Layout:
    """`level` and `column` by row index; `pools`: per pool drawn, the positions of its lanes and its levels."""

    scene: Scene
    level: dict[int, int]
    column: dict[int, int]
    tracks: Tracks
    across: Across
    along: Along
    spots: dict[int, Spot]
    pools: list[tuple[list[int], Extent]]


def lay_out(view: View) -> Layout:
    return _Layouter(scene(view)).layout()


class _Layouter:
    def __init__(self, scene: Scene) -> None:
        self.scene, self.marks, self.space = scene, scene.marks, scene.space
        rows = [mark.row for mark in self.marks.values()]
        self.links = [link for link in scene.drawn.links if link.source in self.marks and link.target in self.marks]
        self.fold = Fold.of(rows, self.links)
        self.level = self.fold.all(levels(self.fold.rows, self.fold.links))
        self.column = self.fold.all(Columns(self.fold.rows, self.fold.links, self.level).column)
        self.pools = self._pools()
        self.slots = lane_slots(self.pools, len(scene.view.lanes), scene.view.lane_of)
        self.buses = {i: bus_of(m.row.places, self.slots.of_gpu) for i, m in self.marks.items() if self._bussed(m)}
        self.hosts = {i for i, m in self.marks.items() if m.row.on_host and self.slots.count > 1}

    def layout(self) -> Layout:
        off_lane = self.buses.keys() | self.hosts
        tracks = Tracks(self.fold.links, Ground(self.level, self.column, set(off_lane)), self.fold.link)
        widths: dict[int, int] = {}
        for index, mark in self.marks.items():
            if index not in off_lane:
                column = self.column[index]
                widths[column] = max(widths.get(column, 0), self._size_across(mark))
        across = beside(inside(tracks, widths, self.space), self.slots, self._gutters())
        along = measure(self._needs(), [extent for _, extent in self.pools], self.space)
        spots = {index: self._spot(mark, across, along) for index, mark in self.marks.items()}
        return Layout(self.scene, self.level, self.column, tracks, across, along, spots, self.pools)

    def _pools(self) -> list[tuple[list[int], Extent]]:
        """Per pool that is drawn: the positions of its lanes, and the levels from its first to its last operator."""
        found = []
        for pool in self.scene.drawn.pools:
            lanes = [i for i, lane in enumerate(self.scene.view.lanes) if lane.gpu in pool.gpus]
            inner = [m for m in self.marks.values() if not (m.row.on_host or m.row.is_transfer)]
            at = [self.level[m.row.index] for m in inner if m.row.places[0, 0] in pool.gpus]
            if lanes and at:
                found.append((lanes, Extent(min(at), max(at))))
        return found

    def _bussed(self, mark: Mark) -> bool:
        """Does it stand between lanes? Not where a lane stands for all GPUs, nor a transfer behind one stage's end."""
        row = mark.row
        if row.move is None or self.scene.view.merged:
            return False
        level = self.level[row.index]
        return not row.is_transfer or any(e.first <= level <= e.last for _, e in self.pools)

    def _gutters(self) -> np.ndarray:
        """Per lane slot the room before it: for ellipses, for the text of what was left out."""
        gutter = np.full(self.slots.count, self.space.lane, dtype=np.int64)
        gutter[0] = 0
        for index, bus in self.buses.items():
            need = self._size_across(self.marks[index]) + 2 * self.space.lane
            gutter[bus.home] = np.maximum(gutter[bus.home], need)
        for after, text in self.scene.view.gaps.items():
            wide = max(text_width(part, TEXT.note) for part in text.split(": ")) if self.scene.narrow else 3 * TEXT.note
            slot = self.slots.of_lane[after + 1]
            gutter[slot] = max(gutter[slot], int(wide) + 3 * self.space.lane)
        return gutter

    def _needs(self) -> list[Need]:
        needs = [Need() for _ in range(max(self.level.values(), default=-1) + 1)]
        for index, mark in self.marks.items():
            level = self.level[index]
            length = max(needs[level].length, self._size_along(mark))
            turns = self.buses[index].turns if index in self.buses else int(index in self.hosts)
            needs[level] = Need(length, turns, index in self.buses)
        return needs

    def _spot(self, mark: Mark, across: Across, along: Along) -> Spot:
        index = mark.row.index
        level = self.level[index]
        if index in self.buses:
            return self._between(self.buses[index], level, across, along)
        if index in self.hosts:
            return self._host(mark, level, across, along)
        slots = np.zeros(len(mark), dtype=np.int64) if mark.row.on_host else self._slots(mark)
        base = across.begin[slots]
        return Spot(along.middle[level], base + across.lane.columns[self.column[index]], base)

    def _between(self, bus: Bus, level: int, across: Across, along: Along) -> Spot:
        shift = bus.turn * self.space.bus
        return Spot(
            along.middle[level],
            across.middle_of_gutter(bus.home),
            across.begin[bus.home],
            along.collects[level] + shift,
            along.hands_out[level] - shift,
        )

    def _host(self, mark: Mark, level: int, across: Across, along: Along) -> Spot:
        count = np.ones(len(mark), dtype=np.int64)
        middle = (across.begin[0] + across.begin[-1]) // 2 + across.lane.columns[0]
        collects, hands_out = along.collects[level], along.hands_out[level]
        return Spot(along.middle[level], middle * count, across.begin[0] * count, collects * count, hands_out * count)

    def _slots(self, mark: Mark) -> np.ndarray:
        """The lane slot of every node: of its GPU, or of the first of its GPUs that is drawn."""
        slots = self.slots.of_gpu[mark.row.places]
        return np.take_along_axis(slots, np.argmax(slots >= 0, axis=1)[:, None], axis=1)[:, 0]

    def _size_along(self, mark: Mark) -> int:
        return mark.size[1] if self.scene.narrow else mark.size[0]

    def _size_across(self, mark: Mark) -> int:
        return mark.size[0] if self.scene.narrow else mark.size[1]
