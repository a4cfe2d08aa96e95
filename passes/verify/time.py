"""What passes by in time: a GPU runs such a node once a step, on that step's part. Guarantees, per operator and row:

* it begins in a rotation and nowhere else; who reads it reads the part of the same step
* no operator needs it whole or joins its parts, but what accumulates them (a merge), or makes something of each
* members of any other communication hold the same part at every step
* the parts are equal, so that a node states what it holds at whichever step
* a rotation's shifts bring every member every part exactly once: one shift less than there are members
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, Port, Row
from ...ir.op import Operator, tensor_of
from ...ir.ops.move import Mover, RotateOp
from ...ir.orders import is_unequal, order_of
from .rows import about


def laws(op: Operator) -> Iterator[str]:
    """What is wrong with an operator by its types."""
    for dim in tensor_of(op.out).dims:
        if dim.times and any(is_unequal(order_of(cut)) for cut in dim.cuts):
            yield f"parts of {dim.name} pass by, which are not equal"
    result = {dim.name for dim in tensor_of(op.out).dims if dim.times}
    read = {
        op.operand_names(i)[d.name] for i, value in enumerate(op.operands) for d in tensor_of(value).dims if d.times
    }
    yield from _problems(op, read, result)


def check(deployment: Deployment) -> Iterator[Diagnostic]:
    """Every row that breaks these laws by what its ports say."""
    for row in deployment.rows:
        if row.steps > 1:
            yield from (about("time", row, problem) for problem in _of_row(row))


def _of_row(row: Row) -> Iterator[str]:
    op = row.operator
    if isinstance(op, RotateOp):
        yield from _turns(row, op)
    elif row.move is not None:
        yield from _together(row)
    elif op is not None and not isinstance(op, Mover):
        ports = zip(row.operands, (*row.inputs, *row.weights), strict=True)
        read = {op.operand_names(index).get(name, name) for index, port in ports for name in _passing(port)}
        yield from _problems(op, read, set(_passing(row.outputs[0])))


def _problems(op: Operator, read: set[str], result: set[str]) -> Iterator[str]:
    """Of the names of the joint space that pass by where they are read, and in the result.

    What numbers the parts of another name stands for it.
    """
    numbers = {relation.name: relation.sources for relation in op.derived().values() if relation.counts}
    same = {name: {*numbers.get(name, ()), *(n for n, of in numbers.items() if name in of)} for name in read | result}
    for name in sorted(result - read):
        if same[name].isdisjoint(read):
            yield f"{name} passes by in the result, but in no operand"
    for name in sorted(read - op.RULE.accumulates):
        if name in op.whole():
            yield f"needs {name} whole, which passes by part after part"
        elif name not in result and same[name].isdisjoint(result):
            yield f"joins the parts of {name}, which pass by one after the other"


def _passing(port: Port) -> list[str]:
    return [name for name, share in zip(port.names, port.shares, strict=False) if share and share.steps > 1]


def _together(row: Row) -> Iterator[str]:
    for port in row.inputs:
        for name, share in zip(port.names, port.shares, strict=False):
            if share and share.steps > 1 and np.ptp(share.of[row.places], axis=1).any():
                yield f"its members hold different parts of {name} at each step"


def _turns(row: Row, op: RotateOp) -> Iterator[str]:
    members, shifts = row.places.shape[1], op.shifts.value.data
    if not shifts == members - 1 == row.steps - 1:
        yield f"{shifts} shifts among {members} do not bring every member each of {row.steps} parts once"
