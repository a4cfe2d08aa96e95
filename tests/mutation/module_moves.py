"""Faults of lowered modules in sums, moves and layouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from xdsl.dialects.builtin import FloatAttr, ModuleOp, f64
from xdsl.ir import Operation

from dagc.ir.debts import LSE, SUM
from dagc.ir.module import mesh_of
from dagc.ir.op import Operator, attribute, retype, tensor_of
from dagc.ir.ops import COMPUTE
from dagc.ir.ops.move import (
    AllGatherOp,
    AllReduceOp,
    AllToAllOp,
    Collective,
    Mover,
    ReduceScatterOp,
    Reduction,
    SliceOp,
    TransferOp,
    UnpaidOp,
)
from dagc.ir.ops.pointwise import ScaleOp
from dagc.ir.ops.program import WeightOp
from dagc.ir.orders import axis_of

from .rewriting import Mutants, after, changed, drop, each, instead, place

OVER_AXES = (Collective, SliceOp)
Axes = tuple[str, ...]


def no_reduction(module: ModuleOp) -> Mutants:
    """An all-reduce left out; a reduce-scatter that only cuts."""
    yield from each(module, AllReduceOp, drop)
    yield from each(module, ReduceScatterOp, instead(SliceOp))


def unpaid(module: ModuleOp) -> Mutants:
    """An addend taken for the sum, as a plan may ask for."""

    def forgo(op: Operation) -> None:
        assert isinstance(op, AllReduceOp)
        new = UnpaidOp.of(op.operands[0], path=op.path.data, out=tensor_of(op.out), axes=op.over)
        assert op.parent is not None
        op.parent.insert_op_before(new, op)
        op.out.replace_all_uses_with(new.out)
        op.detach()
        op.erase()

    yield from each(module, AllReduceOp, forgo)


def double_reduction(module: ModuleOp) -> Mutants:
    """The sum of what is whole."""

    def again(op: Operation) -> None:
        assert isinstance(op, AllReduceOp)
        after(op, AllReduceOp.of(op.out, path=op.path.data, out=tensor_of(op.out), axes=op.over))

    yield from each(module, AllReduceOp, again)


def scaled(module: ModuleOp) -> Mutants:
    """The sum divided by its members."""
    mesh = mesh_of(module)

    def scale(op: Operation) -> None:
        assert isinstance(op, AllReduceOp | ReduceScatterOp)
        factor = FloatAttr(1 / mesh.size(op.over), f64)
        after(op, ScaleOp.of(op.out, path=op.path.data, out=tensor_of(op.out), factor=factor))

    yield from each(module, (AllReduceOp, ReduceScatterOp), scale)


def wrong_axis(module: ModuleOp) -> Mutants:
    """A collective over another axis."""
    for axis in mesh_of(module).axes:
        yield from _over(module, lambda axes, axis=axis: (axis,), f"over {axis}")


def part_of_axes(module: ModuleOp) -> Mutants:
    """A collective over some of its axes, or over them in another order."""
    yield from _over(module, lambda axes: axes[:-1] or axes, "over fewer axes")
    yield from _over(module, lambda axes: axes[::-1], "over its axes backwards")


def _over(module: ModuleOp, change: Callable[[Axes], Axes], how: str) -> Mutants:
    def rename(op: Operation) -> None:
        assert isinstance(op, OVER_AXES)
        op.properties["axes"] = attribute(change(op.over))

    yield from each(module, OVER_AXES, rename, how, lambda op: change(op.over) != op.over)


def wrong_collective(module: ModuleOp) -> Mutants:
    """Another collective on the same types."""
    yield from each(module, AllGatherOp, instead(AllReduceOp), "as all-reduce")
    yield from each(module, AllToAllOp, instead(AllGatherOp), "as all-gather")
    yield from each(module, SliceOp, instead(ReduceScatterOp), "as reduce-scatter")
    yield from each(module, ReduceScatterOp, instead(AllGatherOp), "as all-gather")


def no_exchange(module: ModuleOp) -> Mutants:
    """A gather, an all-to-all, a slice or a transfer left out."""
    yield from each(module, (AllGatherOp, AllToAllOp, SliceOp, TransferOp), drop)


def other_kind(module: ModuleOp) -> Mutants:
    """A log-sum-exp is added up, or a sum merged as if it were one."""

    def change(op: Operation) -> None:
        assert isinstance(op, Reduction)
        op.properties["merge"] = attribute(LSE if op.kind == SUM else SUM)

    yield from each(module, (AllReduceOp, ReduceScatterOp), change)


def late_reduction(module: ModuleOp) -> Mutants:
    """The sum is taken after the bias, the residual or the norm instead of before it."""
    ops = list(module.walk())
    for number, op in enumerate(ops):
        for use in list(op.out.uses) if isinstance(op, AllReduceOp) else ():
            user = use.operation
            if isinstance(user, COMPUTE) and user.out.type == op.results[0].type:
                behind = next(i for i, other in enumerate(ops) if other is user)
                yield place(op, number, f"behind {user.name}"), lambda n=number, p=behind: _late(module, n, p)


def _late(module: ModuleOp, number: int, behind: int) -> ModuleOp:
    copy = module.clone()
    ops = list(copy.walk())
    reduction, user = ops[number], ops[behind]
    assert isinstance(reduction, AllReduceOp)
    assert isinstance(user, Operator)
    late = AllReduceOp.of(user.out, path=reduction.path.data, out=tensor_of(user.out), axes=reduction.over)
    owes = tensor_of(reduction.operands[0]).owes
    drop(reduction)
    retype(user.out, replace(tensor_of(user.out), owes=owes))
    after(user, late)
    return copy


def other_parts(module: ModuleOp) -> Mutants:
    """A value or weight laid out otherwise than its maker leaves it."""
    for axis in mesh_of(module).axes:
        for number, op in enumerate(module.walk()):
            for dim in tensor_of(op.out).dims if isinstance(op, (*COMPUTE, WeightOp)) else ():
                cut = axis in dim.axes
                cuts = tuple(each for each in dim.cuts if axis_of(each) != axis) if cut else (*dim.cuts, axis)
                if cut or axis not in tensor_of(op.results[0]).axes:
                    lay = {dim.name: cuts}
                    yield place(op, number, f"{lay}"), lambda n=number, lay=lay: changed(module, n, _laid(lay))


def _laid(cuts: dict[str, Axes]) -> Callable[[Operation], None]:
    return lambda op: retype(op.results[0], tensor_of(op.results[0]).cut(cuts))


def other_sizes(module: ModuleOp) -> Mutants:
    """A global size of another model."""
    for number, op in enumerate(module.walk()):
        for axis, dim in enumerate(tensor_of(op.results[0]).dims if isinstance(op, (*COMPUTE, WeightOp)) else ()):
            yield place(op, number, f"{dim.name} twice"), lambda n=number, a=axis: changed(module, n, _twice(a))


def _twice(axis: int) -> Callable[[Operation], None]:
    def change(op: Operation) -> None:
        tensor = tensor_of(op.results[0])
        dims = [replace(dim, size=dim.size * 2) if i == axis else dim for i, dim in enumerate(tensor.dims)]
        retype(op.results[0], replace(tensor, dims=tuple(dims)))

    return change


def false_debts(module: ModuleOp) -> Mutants:
    """A debt said to be paid, or a paid value said to be owed."""
    for axis in mesh_of(module).axes:

        def owe(op: Operation, axis: str = axis) -> None:
            tensor = tensor_of(op.results[0])
            retype(op.results[0], replace(tensor, owes=() if tensor.owes else (axis,)))

        yield from each(module, COMPUTE, owe, f"owes {axis}, or nothing")


def other_pool(module: ModuleOp) -> Mutants:
    """A value on the GPUs of another stage."""
    for pool in mesh_of(module).pools[1:]:

        def move(op: Operation, pool: str = pool) -> None:
            retype(op.results[0], replace(tensor_of(op.results[0]), pool=pool))

        def elsewhere(op: Operation, pool: str = pool) -> bool:
            return tensor_of(op.results[0]).pool != pool

        yield from each(module, (*COMPUTE, Mover, WeightOp), move, f"on {pool}", elsewhere)
