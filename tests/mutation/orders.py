"""Programs that run in an order that cannot be, or that hangs (F32, F34)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from dagc.ir.deployment import Deployment, EdgeKind, Link, Row

from .surgery import Mutants, numbered, users, where


def cycles(deployment: Deployment) -> Mutants:
    """A row waits for what follows from it: by an order, or by data, through transfers and collectives."""
    for row in deployment.rows:
        for use in users(deployment, row):
            later = deployment.rows[use.target]
            if not (row.on_host or later.on_host):
                back = Link(later.index, row.index, 0, 0, EdgeKind.ORDER, later.outputs[0].tensor)
                yield f"{where(row)} waits for {where(later)}", replace(deployment, links=(*deployment.links, back))


def reads_later(deployment: Deployment) -> Mutants:
    """A row stands before the one it reads from."""
    for link in deployment.links:
        source, target = deployment.rows[link.source], deployment.rows[link.target]
        if source.repeat == target.repeat and source.index > 1 and target.index < len(deployment.rows) - 2:
            rows = [row for row in deployment.rows if row is not target]
            rows.insert(rows.index(source), target)
            yield f"{where(target)} before {where(source)}", numbered(deployment, rows, deployment.links)


def collectives_swapped(deployment: Deployment) -> Mutants:
    """One GPU comes to two collectives in the other order than the rest of its groups."""
    moving = [row for row in deployment.rows if row.move is not None and not row.on_host]
    for one, other in pairwise(moving):
        shared = np.intersect1d(one.gpus, other.gpus)
        together = {row.repeat for row in deployment.rows[one.index : other.index + 1]} == {one.repeat}
        if together and shared.size:
            yield f"{where(one)} and {where(other)}", _swapped_on(deployment, one, other, int(shared[-1]))


def _swapped_on(deployment: Deployment, one: Row, other: Row, gpu: int) -> Deployment:
    turns = {
        row.index: np.where(row.places == gpu, turn.index, row.index) for row, turn in ((one, other), (other, one))
    }
    rows = [replace(row, turns=turns[row.index]) if row.index in turns else row for row in deployment.rows]
    return replace(deployment, rows=tuple(rows))


def started_early(deployment: Deployment) -> Mutants:
    """One GPU runs a node before it has made what the node reads."""
    for link in deployment.links:
        source, target = deployment.rows[link.source], deployment.rows[link.target]
        if (
            source.repeat == target.repeat
            and target.places.shape[1] == 1
            and not (source.on_host or source.is_transfer)
        ):
            gpu = int(target.places[-1, 0])
            turns = np.where(target.places == gpu, source.index - 1, target.index)
            rows = [replace(row, turns=turns) if row is target else row for row in deployment.rows]
            yield f"{where(target)} on GPU {gpu}", replace(deployment, rows=tuple(rows))
