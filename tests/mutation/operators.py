"""Operators of mutated rows: detached copies that differ in a property, in a type or in kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xdsl.dialects.builtin import FloatAttr, f64
from xdsl.ir import Attribute
from xdsl.utils.test_value import create_ssa_value

from dagc.ir.deployment import Row
from dagc.ir.layout import Tensor
from dagc.ir.op import Operator, attribute, tensor_of
from dagc.ir.types import TensorType


def like(op: Operator, **properties: object) -> Operator:
    """The operator with other properties."""
    return made(type(op), [tensor_of(v) for v in op.operands], tensor_of(op.out), {**op.properties, **properties})


def made(kind: type[Operator], reads: Sequence[Tensor], makes: Tensor, properties: dict[str, object]) -> Operator:
    """An operator that stands in no module, of values with these types."""
    given = {name: _attribute(value) for name, value in properties.items() if value is not None}
    values = [create_ssa_value(TensorType(tensor)) for tensor in reads]
    return kind.create(operands=values, result_types=[TensorType(makes)], properties=given)


def reading(op: Operator, index: int, tensor: Tensor) -> Operator:
    """The operator taking one operand for a tensor of another type."""
    reads = [tensor if i == index else tensor_of(v) for i, v in enumerate(op.operands)]
    return made(type(op), reads, tensor_of(op.out), dict(op.properties))


def exchanging(row: Row, kind: type[Operator], **more: object) -> dict[str, object]:
    """What to change of a collective's row to make it another collective; its labels stay."""
    op = row.operator
    assert op is not None
    assert row.move is not None
    name = kind.name.removeprefix("dag.")
    properties = {"path": op.properties["path"], "axes": op.properties["axes"], **more}
    swap = made(kind, [tensor_of(op.operands[0])], tensor_of(op.out), properties)
    return {"op": name, "operator": swap, "move": replace(row.move, collective=name.replace("_", "-"))}


def _attribute(value: object) -> Attribute:
    return FloatAttr(value, f64) if isinstance(value, float) else attribute(value)
