"""Marks: the rows of a deployment as one view draws them, worded and sized. One `Mark` may be thousands of nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..ir.deployment import Deployment, Kind, Row
from ..ir.view import View
from .look import COLUMNS, NARROW_LANES, NODES, ROWS, WIDE_COLUMNS, WIDE_LANES, Space
from .sizes import node_size
from .who import Who, who
from .wording import Label, label_of


@dataclass(frozen=True)
class Mark:
    """A row with the places that a view draws, worded; `size` is (width, height) of each node."""

    row: Row
    who: Who
    label: Label
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.row.places)


@dataclass(frozen=True)
class Scene:
    """What a view draws, before anything has a position. `drawn` has only the places that are shown."""

    view: View
    narrow: bool
    space: Space
    drawn: Deployment
    marks: dict[int, Mark]


def scene(view: View) -> Scene:
    """Word and size every row of a view."""
    lanes = _widest_pool(view)
    narrow = lanes <= NARROW_LANES
    space = (WIDE_COLUMNS if lanes <= WIDE_LANES else COLUMNS) if narrow else ROWS
    rows = tuple(_shown(view, row) for row in view.deployment.rows)
    drawn = replace(view.deployment, rows=rows)
    marks = {row.index: _mark(view, row, space) for row in rows if len(row.places)}
    return Scene(view, narrow, space, drawn, _alike(marks) if narrow else marks)


def _widest_pool(view: View) -> int:
    gpus = [lane.gpu for lane in view.lanes]
    return max((int(np.isin(gpus, pool.gpus).sum()) for pool in view.deployment.pools), default=len(gpus))


def _shown(view: View, row: Row) -> Row:
    """The row with the drawn places only; a merged view draws the first of them, and `spread` still tells of all."""
    shown = view.shown(row)
    if view.merged:
        return replace(row, places=row.places[shown[:1]])
    spread = tuple(row.spread[i] for i in shown) if row.spread else ()
    return replace(row, places=row.places[shown], spread=spread)


def _mark(view: View, row: Row, space: Space) -> Mark:
    people = who(view, view.deployment.rows[row.index], row.places)
    label = label_of(row, people, space.wrap_comm if row.kind is Kind.COMM else space.wrap, view.merged)
    return Mark(row, people, label, node_size(row.kind, label.lines))


def _alike(marks: dict[int, Mark]) -> dict[int, Mark]:
    """Nodes of one shape equally wide, for columns that are easy on the eye."""
    widest: dict[str, int] = {}
    for mark in marks.values():
        shape = NODES[mark.row.kind].shape
        widest[shape] = max(widest.get(shape, 0), mark.size[0])
    return {i: replace(m, size=(widest[NODES[m.row.kind].shape], m.size[1])) for i, m in marks.items()}
