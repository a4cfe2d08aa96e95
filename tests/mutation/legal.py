"""Changes of a right graph that leave it right. The verifier must let every one of them pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby

import numpy as np

from dagc.ir.deployment import Deployment, EdgeKind, Link, Move, Port, Row, Share
from dagc.ir.op import tensor_of
from dagc.ir.ops.attention import KeepOp
from dagc.ir.ops.move import AllGatherOp, AllReduceOp, ReduceScatterOp

from .copies import elsewhere
from .operators import made
from .surgery import Mutants, changed, numbered, put, shared, where
from .volumes import restated


def in_two_steps(deployment: Deployment) -> Mutants:
    """Reduce-scatter and all-gather for all-reduce."""
    for row in deployment.rows:
        if isinstance(row.operator, AllReduceOp):
            for axis in _free(row.outputs[0], row.places.shape[1]):
                yield f"{where(row)} along {row.outputs[0].names[axis]}", restated(_split(deployment, row, axis))


def _free(port: Port, members: int) -> Iterator[int]:
    """Dimensions that are not cut and divide into that many parts."""
    for axis, (share, size) in enumerate(zip(port.shares, port.whole, strict=True)):
        if share is None and isinstance(size, int) and size % members == 0:
            yield axis


def _split(deployment: Deployment, row: Row, axis: int) -> Deployment:
    op, port, part = row.operator, row.outputs[0], _part(deployment, row, axis)
    assert isinstance(op, AllReduceOp)
    assert row.move is not None
    owed, paid = tensor_of(op.operands[0]), tensor_of(op.out)
    name = port.names[axis]
    cut = paid.cut({name: op.over})
    properties = {"path": row.path, "axes": op.properties["axes"], "dim": name}
    scatter, gather = (
        made(ReduceScatterOp, [owed], cut, properties | ({"merge": op.properties["merge"]} if op.merge else {})),
        made(AllGatherOp, [cut], paid, dict(properties)),
    )
    half = Move("reduce-scatter", row.move.axes, row.move.elements, row.move.bytes)
    first = replace(row, op="reduce_scatter", operator=scatter, move=half, outputs=(part,))
    second = replace(
        row,
        index=len(deployment.rows),
        op="all_gather",
        operator=gather,
        move=replace(half, collective="all-gather"),
        inputs=(part,),
    )
    rows = [first if each.index == row.index else each for each in deployment.rows]
    rows.insert(row.index + 1, second)
    links = [replace(k, source=second.index) if k.source == row.index else k for k in deployment.links]
    uses = {k.kind for k in deployment.links if k.source == row.index and k.kind is not EdgeKind.ORDER}
    kind = EdgeKind.SELECT if uses == {EdgeKind.SELECT} else EdgeKind.DATA
    links.append(Link(row.index, second.index, 0, 0, kind, port.tensor))
    return numbered(deployment, rows, links)


def _part(deployment: Deployment, row: Row, axis: int) -> Port:
    """What members hold between the two steps: each its part, in the order of the group."""
    port, members = row.outputs[0], row.places.shape[1]
    of = np.full(deployment.gpus, -1, dtype=np.int64)
    of[row.places] = np.arange(members)
    return replace(
        shared(port, axis, Share(members, of)), local=put(port.local, axis, int(port.local[axis]) // members)
    )


def permuted_groups(deployment: Deployment) -> Mutants:
    """The members of a sum in another order, and the groups too."""
    for row in deployment.rows:
        if isinstance(row.operator, AllReduceOp):
            yield f"{where(row)}, members", changed(deployment, row, places=np.ascontiguousarray(row.places[:, ::-1]))
            yield f"{where(row)}, groups", changed(deployment, row, places=np.ascontiguousarray(row.places[::-1]))


def replicated_kv_heads(deployment: Deployment) -> Mutants:
    """Every GPU computes and caches all KV heads."""
    rows = [_whole_heads(row) for row in deployment.rows]
    moving = any("kv_heads" in port.names for row in deployment.rows if row.move for port in row.outputs)
    if rows != list(deployment.rows) and not moving:
        yield "kv_heads", replace(deployment, rows=tuple(rows))


def _whole_heads(row: Row) -> Row:
    ports = {key: tuple(map(_whole_head, getattr(row, key))) for key in ("inputs", "outputs", "weights", "state")}
    return row if all(ports[key] == getattr(row, key) for key in ports) else replace(row, **ports)


def _whole_head(port: Port) -> Port:
    if "kv_heads" not in port.names:
        return port
    axis = port.names.index("kv_heads")
    if port.shares[axis] is None:
        return port
    return replace(shared(port, axis, None), local=put(port.local, axis, port.whole[axis]))


def other_order(deployment: Deployment) -> Mutants:
    """Another topological order of the rows, for all GPUs alike."""
    for name, prefer in (("latest first", max), ("earliest first", min)):
        order = [
            row
            for _, rows in groupby(deployment.rows, key=lambda row: row.repeat)
            for row in _sorted(deployment, list(rows), prefer)
        ]
        if order != list(deployment.rows):
            yield name, numbered(deployment, order, deployment.links)


def _sorted(deployment: Deployment, rows: list[Row], prefer: Callable) -> list[Row]:
    own = {row.index for row in rows}
    waits = {
        row.index: {k.source for k in deployment.links if k.target == row.index and k.source in own} for row in rows
    }
    order: list[Row] = []
    while waits:
        ready = prefer(index for index, sources in waits.items() if not sources)
        del waits[ready]
        for sources in waits.values():
            sources.discard(ready)
        order.append(deployment.rows[ready])
    return order


def renamed_gpus(deployment: Deployment) -> Mutants:
    """The GPUs of every pool change places with one another, everywhere; not those on which another program looks for
    what this one keeps.
    """
    new, kept = np.arange(deployment.gpus), [row.gpus for row in deployment.rows if isinstance(row.operator, KeepOp)]
    for pool in (pool for pool in deployment.pools if not any(np.isin(pool.gpus, gpus).any() for gpus in kept)):
        gpus = np.sort(pool.gpus)
        new[gpus] = np.roll(gpus, 1)
    old = np.argsort(new)
    rows = []
    for row in deployment.rows:
        ports = {
            key: tuple(_renamed(p, old) for p in getattr(row, key)) for key in ("inputs", "outputs", "weights", "state")
        }
        spread, pairs = () if len(row.spread) else row.spread, None if row.pairs is None else new[row.pairs]
        places = new[row.places] if row.places.size else row.places
        rows.append(replace(row, places=places, pairs=pairs, spread=spread, **ports))
    if deployment.gpus > 1:
        yield "turned by one", replace(deployment, rows=tuple(rows))


def _renamed(port: Port, old: np.ndarray) -> Port:
    def share(of: Share | None) -> Share | None:
        merged = None if of is None or of.merged is None else of.merged[old]
        return None if of is None else replace(of, of=of.of[old], merged=merged)

    return replace(port, shares=tuple(map(share, port.shares)), addend=share(port.addend))


LEGAL = {
    "reduce-scatter and all-gather for all-reduce": in_two_steps,
    "another member order of a sum": permuted_groups,
    "replicated KV heads": replicated_kv_heads,
    "another topological order": other_order,
    "GPUs renamed within their pools": renamed_gpus,
    "experts in other slots": elsewhere,
}
