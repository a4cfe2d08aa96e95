"""What each move makes of a layout. Guarantees, per move:

* all_reduce, reduce_scatter   what they merge by is owed over these axes (a paid value is never reduced again)
* reduce_scatter, slice        the axes cut nothing before and cut `dim` innermost after
* all_gather                   the axes cut `dim` innermost before, and nothing after
* all_to_all                   the axes move from innermost in `dim` to innermost in `to`
                               (from and to anywhere in a dimension whose parts are equal and have no order: routed
                               tokens)
* all of these                 the order stated is that in which the axes cut what is joined before, what is split after
* rotate                       the axes cut `dim` innermost, and their parts pass by after, each of them once
* none of the others           runs over axes whose parts pass by, or changes what does
* transfer                     a paid value, laid out in any way on another pool of GPUs
* scatter, gather              between a whole, paid value on the host and a paid one on GPUs
* dag.move                     no debt begins in a move
* unpaid                       never: what is owed is to be paid
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from xdsl.dialects.builtin import StringAttr

from ...diagnostics import Diagnostic
from ...ir.debts import KINDS, debtor, kind_of
from ...ir.layout import Tensor
from ...ir.mesh import HOST, Mesh
from ...ir.op import tensor_of
from ...ir.ops import UNORDERED
from ...ir.ops.move import (
    ORDERS,
    AllGatherOp,
    AllReduceOp,
    AllToAllOp,
    Collective,
    GatherOp,
    MoveOp,
    Mover,
    ReduceScatterOp,
    Reduction,
    RotateOp,
    ScatterOp,
    SliceOp,
    TransferOp,
    UnpaidOp,
    stated,
)
from ...ir.orders import CONTIGUOUS, Levels, axes_of, cut, in_time, passed, text
from ...ir.types import TensorType
from .findings import axes_text, debts_text, finding

Axes = tuple[str, ...]


class _Illegal(Exception):
    """A move that its operand's layout does not allow; carries the code and the reason."""

    def __init__(self, problem: str, code: str = "layout") -> None:
        super().__init__(problem)
        self.code = code


def check(op: Mover, mesh: Mesh) -> list[Diagnostic]:
    """What is wrong with one move."""
    before, after = tensor_of(op.operands[0]), tensor_of(op.out)
    try:
        _steady(op, before, after)
        expected = _AFTER[type(op)](op, before, after)
        _sized(op, mesh)
    except _Illegal as illegal:
        return [finding(illegal.code, op, f"{_kind(op)}: {illegal}")]
    if _unordered(expected) == _unordered(after):
        return []
    problem = f"{_kind(op)} does not make this layout"
    return [finding("layout", op, problem, expected=str(TensorType(expected)), actual=str(TensorType(after)))]


def _kind(op: Mover) -> str:
    return op.name.removeprefix("dag.").replace("_", "-")


def _unordered(tensor: Tensor) -> Tensor:
    """The tensor with axes sorted wherever their order means nothing."""
    free = {dim.name: tuple(sorted(dim.cuts)) for dim in tensor.dims if _is_free(dim.name, dim.cuts)}
    return replace(tensor.cut(free), owes=tuple(sorted(tensor.owes)))


def _is_free(name: str, cuts: Axes) -> bool:
    """Does it mean nothing which of the cuts lies outside? Not where they make parts of several sizes."""
    return name in UNORDERED and axes_of(cuts) == cuts


def _over(op: Mover) -> Axes:
    axes = cast("Collective | SliceOp", op).over
    if not axes or len(set(axes)) < len(axes):
        raise _Illegal(f"runs over {axes_text(axes)}")
    return axes


def _paid(op: Mover, before: Tensor) -> Tensor:
    """The value after what is owed over the axes of a reduction is merged."""
    axes, kind = _over(op), cast(Reduction, op).kind
    if missing := [axis for axis in axes if axis not in before.debtors]:
        raise _Illegal(f"reduces over {missing[0]}, but no sum is owed over it")
    if other := [owed for owed in before.owes if debtor(owed) in axes and kind_of(owed) != kind]:
        raise _Illegal(f"merges by {KINDS[kind].called} what owes {debts_text((other[0],))}")
    return replace(before, owes=tuple(owed for owed in before.owes if debtor(owed) not in axes))


def _steady(op: Mover, before: Tensor, after: Tensor) -> None:
    """Only a rotation lets something pass by, and nothing but an operator that accumulates ends it."""
    if isinstance(op, Collective | SliceOp) and (odd := set(op.over) & set(before.times)):
        raise _Illegal(f"runs over {min(odd)}, whose parts pass by in time", "time")
    if before.times and HOST in (before.pool, after.pool):
        raise _Illegal("takes to the host what passes by in time", "time")


def _sized(op: Mover, mesh: Mesh) -> None:
    """Do the orders and shifts that a move states fit as many members as its axes have?"""
    sizes = mesh.sizes
    if isinstance(op, RotateOp) and op.shifts.value.data != (members := mesh.size(_over(op))) - 1:
        raise _Illegal(f"shifts {op.shifts.value.data} times among {members}", "time")
    for said in ORDERS & op.properties.keys():
        levels = stated(cast("StringAttr", op.properties[said]))
        if [count for count, _ in levels] != [sizes.get(axis, 1) for axis in _over(op)]:
            raise _Illegal(f"its {said} {text(levels)} is not over {axes_text(_over(op))}")


def _ordered(axes: Axes, order: Levels) -> Axes:
    """The cuts that these axes make in an order."""
    named = [said for _, said in order] or [CONTIGUOUS] * len(axes)
    if len(named) != len(axes):
        raise _Illegal(f"its order {text(order)} is not over {axes_text(axes)}")
    return tuple(cut(axis, said) for axis, said in zip(axes, named, strict=True))


def _scattered(axes: Axes, dim: str, order: StringAttr | None, before: Tensor) -> Tensor:
    """The value cut by axes that nothing is cut by yet."""
    if taken := [axis for axis in axes if axis in before.axes or axis in before.debtors]:
        raise _Illegal(f"cuts {dim} by {taken[0]}, which is in use")
    return before.cut({dim: (*_cuts(before, dim), *_ordered(axes, stated(order)))})


def _gathered(axes: Axes, dim: str, order: StringAttr | None, before: Tensor) -> Tensor:
    cuts = _cuts(before, dim)
    if _is_free(dim, cuts) and set(axes) <= set(cuts):
        return before.cut({dim: tuple(axis for axis in cuts if axis not in axes)})
    if axes_of(cuts[len(cuts) - len(axes) :]) != axes:
        raise _Illegal(f"joins {dim} over {axes_text(axes)}, but it is cut by {axes_text(cuts)}")
    if (joined := cuts[len(cuts) - len(axes) :]) != (said := _ordered(axes, stated(order))):
        raise _Illegal(f"joins {dim} as if cut by {axes_text(said)}, but it is cut by {axes_text(joined)}")
    return before.cut({dim: cuts[: len(cuts) - len(axes)]})


def _cuts(tensor: Tensor, dim: str) -> Axes:
    if not tensor.has(dim):
        raise _Illegal(f"the value has no dimension {dim}")
    return tensor.dim(dim).cuts


def _all_reduce(op: Mover, before: Tensor, after: Tensor) -> Tensor:
    return _paid(op, before)


def _reduce_scatter(op: Mover, before: Tensor, after: Tensor) -> Tensor:
    scatter = cast(ReduceScatterOp, op)
    return _scattered(_over(op), scatter.dim.data, scatter.order, _paid(op, before))


def _all_gather(op: Mover, before: Tensor, after: Tensor) -> Tensor:
    gather = cast(AllGatherOp, op)
    return _gathered(_over(op), gather.dim.data, gather.order, before)


def _all_to_all(op: Mover, before: Tensor, after: Tensor) -> Tensor:
    exchange = cast(AllToAllOp, op)
    joined = _gathered(_over(op), exchange.dim.data, exchange.order, before)
    return _scattered(_over(op), exchange.to.data, exchange.to_order, joined)


def _rotate(op: Mover, before: Tensor, after: Tensor) -> Tensor:
    axes, rotate = _over(op), cast(RotateOp, op)
    cuts = _cuts(before, rotate.dim.data)
    turning = cuts[len(cuts) - len(axes) :]
    if axes_of(turning) != axes or any(map(in_time, cuts)):
        raise _Illegal(f"turns {rotate.dim.data} over {axes_text(axes)}, but it is cut by {axes_text(cuts)}")
    return before.cut({rotate.dim.data: (*cuts[: len(cuts) - len(axes)], *map(passed, turning))})


def _slice(op: Mover, before: Tensor, after: Tensor) -> Tensor:
    part = cast(SliceOp, op)
    return _scattered(_over(op), part.dim.data, part.order, before)


def _transfer(op: Mover, before: Tensor, after: Tensor) -> Tensor:
    if HOST in (before.pool, after.pool) or before.pool == after.pool:
        raise _Illegal(f"from {before.pool} to {after.pool}, which are not two pools of GPUs")
    if before.owes:
        raise _Illegal(f"sends a value that owes {debts_text(before.owes)}", "unpaid")
    return replace(after, owes=())


def _scatter(op: Mover, before: Tensor, after: Tensor) -> Tensor:
    _on_host(before)
    if after.pool == HOST:
        raise _Illegal("stays on the host")
    return replace(after, owes=())


def _gather(op: Mover, before: Tensor, after: Tensor) -> Tensor:
    if before.owes:
        raise _Illegal(f"joins values that owe {debts_text(before.owes)}", "unpaid")
    if before.pool == HOST:
        raise _Illegal("gathers from the host")
    return replace(after.logical(), pool=HOST)


def _on_host(tensor: Tensor) -> None:
    if tensor.pool != HOST or tensor.axes or tensor.owes:
        raise _Illegal(f"takes {TensorType(tensor)}, not a whole value on the host")


def _move(op: Mover, before: Tensor, after: Tensor) -> Tensor:
    if cast(MoveOp, op).unpaid:
        _forgone(op, before, after)
    if begun := [axis for axis in after.owes if axis not in before.owes]:
        raise _Illegal(f"begins to owe a sum over {begun[0]}", "unpaid")
    if any(have.times and have.times != need.times for have, need in zip(before.dims, after.dims, strict=True)):
        raise _Illegal("changes what passes by in time", "time")
    return after


def _forgone(op: Mover, before: Tensor, after: Tensor) -> Tensor:
    gone = tuple(owed for owed in before.owes if owed not in after.owes)
    raise _Illegal(f"takes an addend for the whole value, which owes {debts_text(gone)} that no one pays", "unpaid")


_AFTER: dict[type[Mover], Callable[[Mover, Tensor, Tensor], Tensor]] = {
    AllReduceOp: _all_reduce,
    ReduceScatterOp: _reduce_scatter,
    AllGatherOp: _all_gather,
    AllToAllOp: _all_to_all,
    RotateOp: _rotate,
    SliceOp: _slice,
    TransferOp: _transfer,
    ScatterOp: _scatter,
    GatherOp: _gather,
    MoveOp: _move,
    UnpaidOp: _forgone,
}
