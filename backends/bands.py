"""Bands: which stretch of the flow belongs to which module, and to which pool where there are several; brackets: which
of it is run several times.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from ..ir.deployment import Pool, Row
from ..ir.module import offset_in
from .along import Extent
from .lanes import Layout
from .look import BANDS

Key = TypeVar("Key", bound=Hashable)

_OUTER = {"layers"}
_BEFORE, _AFTER = "_norm", "_residual"


def bands(layout: Layout) -> list[tuple[str, Extent]]:
    """Runs of levels whose operators are of one module and pool, in the order of the flow, with the name to write
    there.
    """
    rows, pools = _by_level(layout), layout.scene.drawn.pools
    keys = [_module(row) for row in rows]
    for at in reversed(range(len(keys) - 1)):
        keys[at] = keys[at + 1] if keys[at].endswith(_BEFORE) else keys[at]
    for at in range(1, len(keys)):
        keys[at] = keys[at - 1] if keys[at].endswith(_AFTER) else keys[at]
    found, level = [], 0
    stretches = ((key, _body(row), _pool(row, pools)) for key, row in zip(keys, rows, strict=True))
    for (key, _, pool), run in groupby(stretches):
        last = level + len(list(run)) - 1
        if key:
            name = BANDS.get(key, key.replace("_", " ").capitalize())
            found.append((f"{name} · {pool}" if len(pools) > 1 else name, Extent(level, last)))
        level = last + 1
    return found


@dataclass(frozen=True)
class Bracket:
    """A stretch of the flow that is run several times: how often (`× 8`), and what of (`layers 0-7`)."""

    extent: Extent
    times: str
    of: str


def brackets(layout: Layout) -> list[list[Bracket]]:
    """Those of each kind that there is, the innermost first: steps in which parts pass by, layers, chunks of
    tokens, micro-batches.
    """
    rows = [(mark.row, layout.level[index]) for index, mark in layout.scene.marks.items()]
    passing = (((row.repeat, offset_in(row.path), row.steps), level) for row, level in rows if row.steps > 1)
    steps = [Bracket(extent, f"× {count}", "steps") for (_, _, count), extent in _extents(passing)]
    repeated = ((row.repeat, level) for row, level in rows if row.repeat is not None)
    layers = [Bracket(extent, f"× {r.count}", f"layers {r.layers}") for r, extent in _extents(repeated)]
    program, ((_, whole),) = layout.scene.view.deployment, _extents((None, level) for _, level in rows)
    runs = [
        [Bracket(whole, f"× {count}", of)] if count > 1 else []
        for count, of in ((program.token_chunks, "chunks of tokens"), (program.micro_batches, "micro-batches"))
    ]
    return [found for found in (steps, layers, *runs) if found]


def _extents(keyed: Iterable[tuple[Key, int]]) -> list[tuple[Key, Extent]]:
    """Per key the levels from the first to the last."""
    levels: dict[Key, list[int]] = {}
    for key, level in keyed:
        levels.setdefault(key, []).append(level)
    return [(key, Extent(min(at), max(at))) for key, at in levels.items()]


def _by_level(layout: Layout) -> list[Row]:
    """Per level the row that is described first."""
    first: dict[int, Row] = {}
    for index, mark in sorted(layout.scene.marks.items()):
        first.setdefault(layout.level[index], mark.row)
    return [first[level] for level in range(len(first))]


def _body(row: Row) -> str:
    return row.repeat.id if row.repeat else ""


def _pool(row: Row, pools: tuple[Pool, ...]) -> str:
    """Where its first GPU is; nothing for the host."""
    return next((pool.name for pool in pools if not row.on_host and row.places[0, 0] in pool.gpus), "")


def _module(row: Row) -> str:
    """`layers.attention.core.scores` → `attention`; nothing for the host and for transfers between stages."""
    if row.on_host or row.is_transfer:
        return ""
    names = [part for part in row.path.split(".") if part not in _OUTER and not part.isdigit()]
    return names[0] if names else ""
