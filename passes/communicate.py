"""communicate: replaces every `dag.move` by the collectives, slices and transfers that make it.

    before   %y = dag.move(%x) : [… hidden], owes sum over [tp] -> [… hidden]
    after    %y = dag.all_reduce(%x) {axes = ["tp"]} : [… hidden], owes sum over [tp] -> [… hidden]

Which moves is decided by `moves.steps` from the two layouts alone. Between pools of equal axes the value is sent as it
is, to the GPUs of the same coordinates, and laid out anew there; between other pools it is laid out as it is best sent
(`ready`) and goes straight to where it is needed. Between the host and a pool it is scattered or gathered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from ..diagnostics import Diagnostic, Refused
from ..ir.debts import SUM
from ..ir.layout import Dim, Tensor
from ..ir.local import levels
from ..ir.mesh import HOST, Mesh
from ..ir.module import mesh_of
from ..ir.op import tensor_of, where_of
from ..ir.ops.move import (
    AllGatherOp,
    AllReduceOp,
    AllToAllOp,
    GatherOp,
    MoveOp,
    Mover,
    ReduceScatterOp,
    RotateOp,
    ScatterOp,
    SliceOp,
    TransferOp,
    UnpaidOp,
)
from ..ir.orders import axis_of, is_unequal, order_of, text
from ..ir.types import TensorType
from .moves import Step, steps
from .ready import ready
from .sends import alike

KINDS: dict[str, type[Mover]] = {
    "all_reduce": AllReduceOp,
    "reduce_scatter": ReduceScatterOp,
    "all_gather": AllGatherOp,
    "all_to_all": AllToAllOp,
    "slice": SliceOp,
    "rotate": RotateOp,
}


@dataclass(frozen=True)
class CommunicatePass(ModulePass):
    """Lower all moves of a sharded module."""

    name = "communicate"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        mesh = mesh_of(op)
        for move in [inner for inner in op.walk() if isinstance(inner, MoveOp)]:
            _lower(move, mesh)


def _lower(move: MoveOp, mesh: Mesh) -> None:
    made = list(_operators(move, move.operands[0], mesh))
    value = made[-1].out if made else move.operands[0]
    Rewriter.insert_op(made, InsertPoint.before(move))
    move.out.replace_all_uses_with(value)
    move.detach()
    move.erase()


def _operators(move: MoveOp, value: SSAValue, mesh: Mesh) -> Iterator[Mover]:
    have, need = tensor_of(value), tensor_of(move.out)
    if move.unpaid:
        yield UnpaidOp.of(value, path=move.path.data, where=where_of(move), out=need, axes=move.unpaid)
        return
    if have.pool != need.pool:
        paid = replace(have, owes=()) if HOST in (have.pool, need.pool) else ready(have, need, mesh)
        for made in _chain(move, value, paid, mesh):
            yield made
            value = made.out
        kind, after = _across(paid, need, mesh)
        if kind is TransferOp and _is_unequal(paid, after) and not alike(paid, after, mesh):
            raise Refused(_unequal(move, paid, after))
        crossing = kind.of(value, path=move.path.data, where=where_of(move), out=after)
        yield crossing
        value = crossing.out
    yield from _chain(move, value, need, mesh)


def _across(have: Tensor, need: Tensor, mesh: Mesh) -> tuple[type[Mover], Tensor]:
    """How a paid value gets to another pool, and the layout it arrives in."""
    if have.pool == HOST:
        return ScatterOp, need
    if need.pool == HOST:
        return GatherOp, need
    alike = mesh.axes_of(have.pool) == mesh.axes_of(need.pool)
    return TransferOp, replace(have, pool=need.pool) if alike else need


def _is_unequal(have: Tensor, need: Tensor) -> bool:
    """Has any of them parts of several sizes?"""
    return any(is_unequal(order_of(cut)) for tensor in (have, need) for dim in tensor.dims for cut in dim.cuts)


def _unequal(move: MoveOp, have: Tensor, need: Tensor) -> Diagnostic:
    return Diagnostic(
        "order",
        f"what {move.path.data} makes in unequal parts on {have.pool} is needed in other parts on {need.pool}",
        f"{where_of(move)} at {move.path.data}".strip(),
        expected="equal parts, or the same ones on pools of equal axes",
        actual=f"{TensorType(have)} → {TensorType(need)}",
        hint="cut it into equal parts on one of the pools",
    )


def _chain(move: MoveOp, value: SSAValue, need: Tensor, mesh: Mesh) -> Iterator[Mover]:
    path, where = move.path.data, where_of(move)
    for step in steps(tensor_of(value), need):
        properties = _properties(step, tensor_of(value), mesh)
        made = KINDS[step.kind].of(value, path=path, where=where, out=step.after, **properties)
        yield made
        value = made.out


def _properties(step: Step, before: Tensor, mesh: Mesh) -> dict[str, object]:
    """What the operator states: of what it joins the order before, of what it splits the order after."""
    merge = None if step.merge == SUM else step.merge
    if step.kind == "all_reduce":
        return {"axes": step.axes, "merge": merge}
    if step.kind == "rotate":
        return {"axes": step.axes, "dim": step.dim, "shifts": mesh.size(step.axes) - 1}
    joins = step.kind in ("all_gather", "all_to_all")
    order = _order(step, (before if joins else step.after).dim(step.dim), mesh)
    made: dict[str, object] = {"axes": step.axes, "dim": step.dim, "order": order}
    if step.kind == "reduce_scatter":
        made["merge"] = merge
    if step.kind == "all_to_all":
        made |= {"to": step.to, "to_order": _order(step, step.after.dim(step.to), mesh)}
    return made


def _order(step: Step, dim: Dim, mesh: Mesh) -> str | None:
    """The order in which the step's axes cut a dimension; None: runs."""
    return text(levels(mesh, (cut for cut in dim.cuts if axis_of(cut) in step.axes))) or None
