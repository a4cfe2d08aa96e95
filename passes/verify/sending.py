"""Who sends what to whom, in every transfer that says so. Guarantees:

* a sender sends to receivers of its own node, to none twice
* what a receiver is sent are disjoint parts of what it holds, and all of it: the index sets of its senders' parts and
  of its own, intersected dimension by dimension, partition its own
* what the row says that one member sends is what the busiest of its senders sends, and what one receives is its part
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import lcm, prod

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, Row, Share, Size
from ...ir.orders import CONTIGUOUS, Levels, divisor, pieces
from .rows import about, gpus_text


def check(deployment: Deployment) -> list[Diagnostic]:
    """Every transfer that does not send a value as it says."""
    return [
        about("DIM2", row, problem)
        for row in deployment.rows
        if row.pairs is not None
        for problem in _problems(row, row.pairs)
    ]


def _problems(row: Row, pairs: np.ndarray) -> Iterator[str]:
    node = np.full(int(max(row.places.max(), pairs.max())) + 1, -1)
    node[row.making] = np.arange(len(row.places))[:, None]
    taking = node[pairs[:, 1]]
    node[:] = -1
    node[row.reading] = np.arange(len(row.places))[:, None]
    if ((taking < 0) | (node[pairs[:, 0]] != taking)).any():
        yield "says that a GPU sends that is no sender of its node, or to one that does not receive"
        return
    if len(np.unique(pairs, axis=0)) < len(pairs):
        yield "says that a GPU sends twice to another"
    sent = volumes(row, pairs)
    yield from _partition(row, pairs, sent)


@dataclass(frozen=True)
class Volumes:
    """What goes over each pair and what each receiver is to have, in equal units; how many of them the whole is."""

    over: np.ndarray
    units: int
    share: int


def volumes(row: Row, pairs: np.ndarray) -> Volumes:
    """How much every pair of a transfer has in common."""
    given, taken = row.inputs[0], row.outputs[0]
    over, units, share = np.ones(len(pairs), dtype=np.int64), 1, 1
    for a, b, whole in zip(given.shares, taken.shares, given.whole, strict=True):
        points = _points(_levels(a), _levels(b), whole)
        over = over * _common(a, b, points, pairs)
        units, share = units * points, share * (points // (b.parts if b else 1))
    return Volumes(over, units, share)


def _points(a: Levels, b: Levels, whole: Size) -> int:
    """At how many points of a dimension its parts meet as they do at its size: at so many as make whole runs of both; a
    strided order has none, and is looked at at the size itself (of a symbol at one that all parts divide).
    """
    if any(order.startswith("strided") for _, order in (*a, *b)):
        return whole if isinstance(whole, int) else divisor(a) * divisor(b)
    return lcm(divisor(a), divisor(b))


def _levels(share: Share | None) -> Levels:
    return () if share is None else share.order or ((share.parts, CONTIGUOUS),)


def _common(a: Share | None, b: Share | None, points: int, pairs: np.ndarray) -> np.ndarray:
    """Of so many points of a dimension, how many both ends of each pair have."""
    one, other = (
        np.zeros(len(pairs), dtype=np.int64) if share is None else share.of[pairs[:, end]]
        for end, share in enumerate((a, b))
    )
    owners = []
    for share in (a, b):
        owner = np.empty(points, dtype=np.int64)
        for part, held in enumerate(pieces(_levels(share), points)):
            owner[held] = part
        owners.append(owner)
    table = np.zeros((a.parts if a else 1, b.parts if b else 1), dtype=np.int64)
    np.add.at(table, tuple(owners), 1)
    return table[one, other]


def _partition(row: Row, pairs: np.ndarray, sent: Volumes) -> Iterator[str]:
    """Senders' parts are equal or disjoint: a receiver has its own once if no two are equal and all add up to it."""
    part = np.zeros(len(pairs), dtype=np.int64)
    for share in row.inputs[0].shares:
        if share is not None:
            part = part * share.parts + share.of[pairs[:, 0]]
    if (sent.over == 0).any():
        yield f"{gpus_text(pairs[sent.over == 0, 0][:1])} sends nothing to {gpus_text(pairs[sent.over == 0, 1][:1])}"
    takers, which = np.unique(pairs[:, 1], return_inverse=True)
    twice = np.unique(np.stack([which, part]), axis=1).shape[1] < len(pairs)
    if twice:
        yield "sends a receiver one part twice"
    got = np.bincount(which, weights=sent.over)
    if (odd := takers[got != sent.share]).size or len(takers) < row.making.size:
        missing = odd if odd.size else np.setdiff1d(row.making, takers)
        yield f"what {gpus_text(missing)} is sent is not what it holds: {int(got.min())} of {sent.share} units"


def busiest(row: Row) -> Fraction:
    """The part of the whole value that the busiest sender of a transfer sends."""
    if row.pairs is None:
        return Fraction(1, prod(share.parts for share in row.inputs[0].shares if share))
    sent = volumes(row, row.pairs)
    each = np.bincount(row.pairs[:, 0], weights=sent.over)
    return Fraction(int(each.max()), sent.units)
