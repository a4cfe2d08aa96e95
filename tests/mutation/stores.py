"""Weights that are kept in parts and gathered before use: from other GPUs, of other parts, of another weight (F35)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from dagc.ir.deployment import Deployment, Row
from dagc.ir.op import retype, tensor_of
from dagc.ir.ops.move import Mover
from dagc.ir.ops.program import WeightOp

from . import rewriting
from .surgery import MISPLACED, Mutants, changed, feeding, first_part, owning, put, rerouted, shared, users, where


def gathering(deployment: Deployment) -> list[Row]:
    """Rows that bring weights from how they are stored to how they are used."""
    return [row for row in deployment.rows if row.move is not None and row.weights]


def stale_part(deployment: Deployment) -> Mutants:
    """GPUs store other parts than their group joins."""
    for row in gathering(deployment):
        for axis, share in enumerate(row.weights[0].shares):
            for how, misplaced in {**MISPLACED, "all GPUs the first": first_part}.items() if share is not None else ():
                port = shared(row.weights[0], axis, misplaced(share))
                yield f"{where(row)}, {how}", changed(deployment, row, weights=put(row.weights, 0, port))


def wrong_group(deployment: Deployment) -> Mutants:
    """A weight joined by groups of half the members, by strided ones, or with a member of another group."""
    for row in gathering(deployment):
        groups, members = row.places.shape
        offers = {"half groups": row.places.reshape(groups * 2, -1) if members % 2 == 0 else row.places}
        if groups > 1:
            offers["strided groups"] = np.ascontiguousarray(row.gpus.reshape(members, groups).T)
            offers["consecutive groups"] = row.gpus.reshape(groups, members)
            offers["a member of another"] = np.concatenate([row.places[:, :-1], np.roll(row.places[:, -1:], 1, 0)], 1)
        for how, places in offers.items():
            if not np.array_equal(places, row.places):
                yield f"{where(row)}, {how}", changed(deployment, row, places=places)


def not_gathered(deployment: Deployment) -> Mutants:
    """A user computes with the part that its GPU stores, as if it were what the gather makes."""
    for row in gathering(deployment):
        for use in users(deployment, row):
            yield (
                f"{where(row)}, for {deployment.rows[use.target].op}",
                owning(deployment, use, row.weights[0], row.weights[0].parameter),
            )


def another_weight(deployment: Deployment) -> Mutants:
    """A user reads what was gathered for another one: a buffer that was not filled anew."""
    rows = gathering(deployment)
    for row in rows:
        for use in users(deployment, row):
            for other in rows:
                alike = other.outputs[0].text() == row.outputs[0].text() and other.repeat == row.repeat
                if alike and other.index != row.index and other.index < use.target:
                    yield f"{where(row)}, {where(other)} for it", rerouted(deployment, use, other)


def not_waited_for(deployment: Deployment) -> Mutants:
    """A gather that hangs on nothing."""
    for row in gathering(deployment):
        links = tuple(link for link in deployment.links if link.target != row.index)
        yield where(row), replace(deployment, links=links)


def of_activations(deployment: Deployment) -> Mutants:
    """A user of a gathered weight reads its own value for the weight, or a weight for its value."""
    for row in gathering(deployment):
        for use in users(deployment, row):
            if use.input:
                source = deployment.rows[feeding(deployment, deployment.rows[use.target]).source]
                yield f"{where(row)}, {source.op} for it", rerouted(deployment, use, source)


def stored_otherwise(module: ModuleOp) -> rewriting.Mutants:
    """A stored weight cut along another dimension, or whole, while the gather stays what it is."""

    def cut(op: Operation, way: int) -> None:
        assert isinstance(op, WeightOp)
        tensor = tensor_of(op.out)
        at = next(i for i, dim in enumerate(tensor.dims) if dim.cuts)
        names = [dim.name for dim in tensor.dims]
        other = names[(at + 1) % len(names)]
        moved = {names[at]: (), other: (*tensor.dim(other).cuts, *tensor.dims[at].cuts)} if other != names[at] else {}
        retype(op.out, tensor.cut(moved if way else {names[at]: ()}))

    def suits(op: WeightOp) -> bool:
        return bool(tensor_of(op.out).axes) and any(isinstance(use.operation, Mover) for use in op.out.uses)

    for way, how in enumerate(("whole", "along another dimension")):
        yield from rewriting.each(module, WeightOp, lambda op, way=way: cut(op, way), how, suits)
