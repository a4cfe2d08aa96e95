"""Blocks: the rows of one repeated body, or those between two. A block is checked by itself, for any values coming in.

    input scatter embed …  |  layers 0-7: norm q_proj … residual  |  transfer  |  layers 8-15: …  |  norm head output

What a block reads from before it comes in through rows of its own (`fed`), holding the undivided value as the row
that made it states it. So, block after block and round after round of a repeat whose yield is laid out as what it
started from, every value is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from ....ir.deployment import Deployment, EdgeKind, Kind, Repeat, Row
from ....ir.ops.move import ScatterOp
from ..identity import identities, last
from ..program import Identity

FED = "fed"


@dataclass(frozen=True)
class Block:
    """A block as a deployment of its own. `means` says of each row which value of the model its first output is."""

    deployment: Deployment
    means: tuple[Identity | None, ...]
    repeat: Repeat | None
    yields: tuple[tuple[int, int], ...]
    """Rows and outputs whose values are read after the block."""


def blocks(deployment: Deployment) -> Iterator[Block]:
    """The blocks in program order."""
    means = identities(deployment)
    for repeat, rows in groupby(deployment.rows, key=lambda row: row.repeat):
        yield _block(deployment, means, repeat, list(rows))


def _block(deployment: Deployment, means: list[Identity | None], repeat: Repeat | None, rows: list[Row]) -> Block:
    own = {row.index for row in rows}
    flows = [link for link in deployment.links if link.kind is not EdgeKind.ORDER]
    entering = [link for link in flows if link.target in own and link.source not in own]
    sources = list(dict.fromkeys((link.source, link.output) for link in entering))
    fed = [_fed(deployment, deployment.rows[source], output) for source, output in sources]
    number = {row.index: len(fed) + i for i, row in enumerate(rows)}
    coming = {source: i for i, source in enumerate(sources)}
    links = [
        replace(link, source=coming[link.source, link.output], output=0, target=number[link.target])
        for link in entering
    ]
    links += [
        replace(link, source=number[link.source], target=number[link.target])
        for link in deployment.links
        if link.source in own and link.target in own
    ]
    made = tuple(replace(row, index=i) for i, row in enumerate([*fed, *rows]))
    leaving = dict.fromkeys((k.source, k.output) for k in flows if k.source in own and k.target not in own)
    return Block(
        replace(deployment, rows=made, links=tuple(links)),
        (*(last(deployment.rows[source], means[source]) for source, _ in sources), *(means[row.index] for row in rows)),
        repeat,
        tuple((number[source], output) for source, output in leaving),
    )


def _fed(deployment: Deployment, row: Row, output: int) -> Row:
    """A row that holds, on every GPU, what a row of another block left there."""
    gpus = receivers(deployment, row) if isinstance(row.operator, ScatterOp) else row.making
    if len(row.outputs) > 1:
        gpus = gpus[row.outputs[output].holds(gpus)]
    places = gpus if row.on_host and not gpus.size else gpus.reshape(-1, 1)
    return replace(
        row, op=FED, kind=Kind.INPUT, places=np.ascontiguousarray(places), inputs=(), outputs=(row.outputs[output],),
        weights=(), state=(), move=None, spread=(), operator=None, operands=(), turns=None,
        senders=0, pairs=None,
    )  # fmt: skip


def receivers(deployment: Deployment, row: Row) -> np.ndarray:
    """The GPUs of all rows that read a row's values, ascending."""
    readers = [deployment.rows[link.target] for link in deployment.links if link.source == row.index]
    taken = [reader.reading for reader in readers]
    return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(places.reshape(-1) for places in taken)]))
