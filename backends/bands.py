"""Bands: which stretch of the flow belongs to which module, and which to a repeated layer."""

from __future__ import annotations

from itertools import groupby

from ..ir.deployment import Repeat, Row
from .along import Extent
from .lanes import Layout
from .look import BANDS

_OUTER = {"layers"}
_BEFORE, _AFTER = "_norm", "_residual"


def bands(layout: Layout) -> list[tuple[str, Extent]]:
    """Runs of levels whose operators are of one module, in the order of the flow, with the name to write there."""
    rows = _by_level(layout)
    keys = [_module(row) for row in rows]
    for at in reversed(range(len(keys) - 1)):
        keys[at] = keys[at + 1] if keys[at].endswith(_BEFORE) else keys[at]
    for at in range(1, len(keys)):
        keys[at] = keys[at - 1] if keys[at].endswith(_AFTER) else keys[at]
    found, level = [], 0
    for (key, _), run in groupby(zip(keys, map(_body, rows), strict=True)):
        last = level + len(list(run)) - 1
        if key:
            found.append((BANDS.get(key, key.replace("_", " ").capitalize()), Extent(level, last)))
        level = last + 1
    return found


def repeats(layout: Layout) -> list[tuple[Repeat, Extent]]:
    """Every repeated body with the levels that it takes."""
    levels: dict[Repeat, list[int]] = {}
    for index, mark in layout.scene.marks.items():
        if mark.row.repeat is not None:
            levels.setdefault(mark.row.repeat, []).append(layout.level[index])
    return [(repeat, Extent(min(at), max(at))) for repeat, at in levels.items()]


def _by_level(layout: Layout) -> list[Row]:
    """Per level the row that is described first."""
    first: dict[int, Row] = {}
    for index, mark in sorted(layout.scene.marks.items()):
        first.setdefault(layout.level[index], mark.row)
    return [first[level] for level in range(len(first))]


def _body(row: Row) -> str:
    return row.repeat.id if row.repeat else ""


def _module(row: Row) -> str:
    """`layers.attention.core.scores` → `attention`; nothing for the host and for transfers between stages."""
    if row.on_host or row.is_transfer:
        return ""
    names = [part for part in row.path.split(".") if part not in _OUTER and not part.isdigit()]
    return names[0] if names else ""
