"""Marks: the rows of a deployment as one view draws them, worded and sized. One `Mark` may be thousands of nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..ir.deployment import Deployment, Kind, Row, View
from .labels import head_lines, place_lines, spread_lines, tail_lines
from .look import COLUMNS, NARROW_LANES, NODES, ROWS, WIDE_COLUMNS, WIDE_LANES, Space
from .quoting import label_text
from .sizes import node_size
from .who import Who, who


@dataclass(frozen=True)
class Mark:
    """A row with the places that a view draws: `labels` has one text per node, `size` is (width, height) of each."""

    row: Row
    who: Who
    labels: list[str]
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
    width = space.wrap_comm if row.kind is Kind.COMM else space.wrap
    people = who(view, view.deployment.rows[row.index], row.places)
    head, tail = head_lines(row, width), tail_lines(row, width)
    middles = _middles(view, row, people, width)
    longest = max(middles, key=lambda lines: (len(lines), max(map(len, lines))))
    widest = max(middles, key=lambda lines: max(map(len, lines)))
    size = node_size(row.kind, [*head, *longest, *(tail or [])])
    size = tuple(map(max, size, node_size(row.kind, [*head, *widest, *tail])))
    before = "".join(f"{label_text(line)}\\n" for line in head)
    after = "".join(f"\\n{label_text(line)}" for line in tail)
    texts = {lines: "\\n".join(map(label_text, lines)) for lines in set(middles)}
    return Mark(row, people, [f"{before}{texts[lines]}{after}" for lines in middles], (size[0], size[1]))


def _middles(view: View, row: Row, people: Who, width: int) -> list[tuple[str, ...]]:
    """Per node the lines that only its place decides: which GPUs, which experts."""
    if view.merged or not row.spread:
        extra = spread_lines(row.spread, width)
        return [(*place_lines(said, width), *extra) for said in people.said]
    worded = {text: spread_lines((text,), width) for text in set(row.spread)}
    return [(*place_lines(said, width), *worded[text]) for said, text in zip(people.said, row.spread, strict=True)]


def _alike(marks: dict[int, Mark]) -> dict[int, Mark]:
    """Nodes of one shape equally wide, for columns that are easy on the eye."""
    widest: dict[str, int] = {}
    for mark in marks.values():
        shape = NODES[mark.row.kind].shape
        widest[shape] = max(widest.get(shape, 0), mark.size[0])
    return {i: replace(m, size=(widest[NODES[m.row.kind].shape], m.size[1])) for i, m in marks.items()}
