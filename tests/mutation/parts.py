"""Attention in parts that is merged wrongly, and rings that turn wrongly (F16, F38)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i64
from xdsl.ir import Operation

from dagc.ir.deployment import Deployment, Port, Row, Share
from dagc.ir.op import Indices, tensor_of
from dagc.ir.ops.move import RotateOp
from dagc.ir.ops.parts import MergePartsOp
from dagc.ir.ops.statistics import MeanOp

from . import rewriting
from .operators import like, made
from .surgery import Mutants, agreed, changed, put, shared, users, where


class _SumOp(MergePartsOp):
    """Says that it merges, and adds the parts up."""

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return inputs[0].sum(axis=1)


class _MeanOp(MergePartsOp):
    """Says that it merges, and gives all parts one weight."""

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return inputs[0].sum(axis=1) / inputs[0].shape[1]


def unweighted(deployment: Deployment) -> Mutants:
    """A merge that ignores the log-sum-exps: it adds parts up, or takes their mean."""
    for row in deployment.rows:
        if isinstance(row.operator, MergePartsOp):
            types = [tensor_of(value) for value in row.operator.operands]
            for kind in (_SumOp, _MeanOp):
                operator = made(kind, types, tensor_of(row.operator.out), dict(row.operator.properties))
                yield f"{where(row)}, {kind.__name__}", changed(deployment, row, operator=operator)


def turning(deployment: Deployment) -> list[tuple[Row, RotateOp]]:
    return [(row, row.operator) for row in deployment.rows if isinstance(row.operator, RotateOp)]


def shifts(deployment: Deployment) -> Mutants:
    """A ring that stops a shift early, that shifts once too often, that does not turn at all."""
    for row, op in turning(deployment):
        has = op.shifts.value.data
        for count in dict.fromkeys((has - 1, has + 1, 0)):
            operator = like(op, shifts=IntegerAttr(count, i64))
            yield f"{where(row)}, {count} shifts", changed(deployment, row, operator=operator)


def steps(deployment: Deployment) -> Mutants:
    """Nodes say, one or all of them, that less passes by, or that nothing does."""
    for row, _ in turning(deployment):
        for port in _other_steps(row.outputs[0]):
            yield f"{where(row)}, {port.steps} steps", changed(deployment, row, outputs=(port,))
            yield f"{where(row)}, {port.steps} steps, agreed", agreed(deployment, row, port)
    for row in deployment.rows:
        for at, port in enumerate(row.inputs):
            for other in _other_steps(port):
                ports = put(row.inputs, at, other)
                yield f"{where(row)}, {other.steps} steps of input {at}", changed(deployment, row, inputs=ports)


def _other_steps(port: Port) -> Iterator[Port]:
    for axis, share in enumerate(port.shares):
        if share is not None and share.steps > 1:
            yield shared(port, axis, replace(share, steps=1))
            if share.steps % 2 == 0 and share.steps > 2:
                yield shared(port, axis, replace(share, steps=share.steps // 2))


def other_way(deployment: Deployment) -> Mutants:
    """Keys turn the one way and values the other; or both another way than scores and mask take them for."""
    for row, _ in turning(deployment):
        backwards = np.ascontiguousarray(row.places[:, ::-1])
        yield where(row), changed(deployment, row, places=backwards)
    both = deployment
    for row, _ in turning(deployment):
        both = changed(both, row, places=np.ascontiguousarray(row.places[:, ::-1]))
    if both is not deployment:
        yield "all of them", both


def of_another(deployment: Deployment) -> Mutants:
    """Values of the step before, keys of this one: the parts that one ring brings are one further on."""
    for row, _ in turning(deployment):
        for use in users(deployment, row):
            port = deployment.rows[use.target].inputs[use.input]
            axis, share = next((i, s) for i, s in enumerate(port.shares) if s is not None and s.steps > 1)
            ports = put(deployment.rows[use.target].inputs, use.input, shared(port, axis, _next(share)))
            yield where(row), changed(deployment, deployment.rows[use.target], inputs=ports)


def _next(share: Share) -> Share:
    first = share.of - share.of % share.steps
    return replace(share, of=np.where(share.of < 0, share.of, first + (share.of + 1) % share.steps))


def in_modules(module: ModuleOp) -> rewriting.Mutants:
    """A rotation of a lowered module with a shift less or more."""
    for by in (-1, 1):
        yield from rewriting.each(module, RotateOp, _shifted(by), f"{by:+} shifts")


def _shifted(by: int) -> rewriting.Change:
    def change(op: Operation) -> None:
        assert isinstance(op, RotateOp)
        op.properties["shifts"] = IntegerAttr(op.shifts.value.data + by, i64)

    return change


def mean_in_modules(module: ModuleOp) -> rewriting.Mutants:
    """The mean of the parts in place of their merge."""
    yield from rewriting.each(module, MergePartsOp, _mean)


def _mean(op: Operation) -> None:
    assert isinstance(op, MergePartsOp)
    assert op.parent is not None
    new = MeanOp.of(op.operands[0], path=op.path.data, over="kv_parts", out=tensor_of(op.out))
    op.parent.insert_op_before(new, op)
    op.out.replace_all_uses_with(new.out)
    op.detach()
    op.erase()
