"""communicate: replaces every `dag.move` by the collectives, slices and transfers that make it.

    before   %y = dag.move(%x) : [… hidden], owes sum over [tp] -> [… hidden]
    after    %y = dag.all_reduce(%x) {axes = ["tp"]} : [… hidden], owes sum over [tp] -> [… hidden]

Which moves is decided by `moves.steps` from the two layouts alone. Between pools the value is sent as it is, to the
GPUs of the same coordinates, and laid out anew there; between the host and a pool it is scattered or gathered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from ..ir.layout import Tensor
from ..ir.mesh import HOST
from ..ir.op import tensor_of, where_of
from ..ir.ops.move import (
    AllGatherOp,
    AllReduceOp,
    AllToAllOp,
    GatherOp,
    MoveOp,
    Mover,
    ReduceScatterOp,
    ScatterOp,
    SliceOp,
    TransferOp,
)
from .moves import Step, steps

KINDS: dict[str, type[Mover]] = {
    "all_reduce": AllReduceOp,
    "reduce_scatter": ReduceScatterOp,
    "all_gather": AllGatherOp,
    "all_to_all": AllToAllOp,
    "slice": SliceOp,
}


@dataclass(frozen=True)
class CommunicatePass(ModulePass):
    """Lower all moves of a sharded module."""

    name = "communicate"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for move in [inner for inner in op.walk() if isinstance(inner, MoveOp)]:
            _lower(move)


def _lower(move: MoveOp) -> None:
    made = list(_operators(move, move.operands[0]))
    value = made[-1].out if made else move.operands[0]
    Rewriter.insert_op(made, InsertPoint.before(move))
    move.out.replace_all_uses_with(value)
    move.detach()
    move.erase()


def _operators(move: MoveOp, value: SSAValue) -> Iterator[Mover]:
    have, need = tensor_of(value), tensor_of(move.out)
    path, where = move.path.data, where_of(move)
    if have.pool != need.pool:
        paid = replace(have, owes=())
        for made in _chain(have, paid, value, path, where):
            yield made
            value = made.out
        kind, after = _across(paid, need)
        crossing = kind.of(value, path=path, where=where, out=after)
        yield crossing
        have, value = after, crossing.out
    yield from _chain(have, need, value, path, where)


def _across(have: Tensor, need: Tensor) -> tuple[type[Mover], Tensor]:
    """How a paid value gets to another pool, and the layout it arrives in."""
    if have.pool == HOST:
        return ScatterOp, need
    if need.pool == HOST:
        return GatherOp, need
    return TransferOp, replace(have, pool=need.pool)


def _chain(have: Tensor, need: Tensor, value: SSAValue, path: str, where: str) -> Iterator[Mover]:
    for step in steps(have, need):
        made = KINDS[step.kind].of(value, path=path, where=where, out=step.after, **_properties(step))
        yield made
        value = made.out


def _properties(step: Step) -> dict[str, object]:
    dims = {"all_reduce": {}, "all_to_all": {"dim": step.dim, "to": step.to}}
    return {"axes": step.axes, **dims.get(step.kind, {"dim": step.dim})}
