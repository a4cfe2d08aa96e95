"""Operators that change where a value is, never what it is.

`dag.move` only says that a layout is needed; `communicate` replaces it by the steps that make it. Volumes are what one
member sends with a bandwidth-optimal algorithm (ring all-gather and reduce-scatter (p-1)/p of the whole, ring
all-reduce twice that, direct all-to-all (p-1)/p of the local part; send/recv the payload; a rotation the local part at
each of its shifts); where parts are not equal, all but its own.

What joins or splits a dimension states in which `order` its parts hold it, one level per axis (`2 contiguous / 4
zigzag`; nothing: runs, member after member): parts are split from where the order says, and joined to there. An
all-to-all may join `dim` in one order and split `to` in another, its `to_order`. A reduction states what it merges by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, StringAttr
from xdsl.irdl import irdl_op_definition, opt_prop_def, prop_def
from xdsl.utils.exceptions import VerifyException

from ..debts import KINDS, SUM
from ..dims import Size, number
from ..layout import Tensor
from ..op import Computation, Indices, Role, Rule
from ..orders import Levels, parse

ORDERS = frozenset({"order", "to_order"})
"""Properties that hold an order."""


class Mover(Computation):
    """Base of all moves: the same undivided value in and out. Linear: a partial sum may be moved."""

    RULE: ClassVar[Rule] = Rule(role=Role.MOVE, linear=((0,),))

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[0].logical()

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return inputs[0]

    def verify_(self) -> None:
        super().verify_()
        for name in ORDERS & self.properties.keys():
            said = self.properties[name]
            assert isinstance(said, StringAttr)
            try:
                parse(said.data)
            except ValueError as error:
                raise VerifyException(f"{self.path.data}: {name}: {error}") from error


def stated(order: StringAttr | None) -> Levels:
    """The order that a move states; nothing: runs."""
    return parse(order.data) if order else ()


@irdl_op_definition
class MoveOp(Mover):
    """`have` (the operand's type) is to become `need` (the result's type).

    What is owed over `unpaid` is not paid: see `UnpaidOp`.
    """

    name = "dag.move"
    unpaid = opt_prop_def(ArrayAttr[StringAttr])


class Collective(Mover):
    """A move among the GPUs of a group, which differ along `axes` only."""

    axes = prop_def(ArrayAttr[StringAttr])
    FACTOR: ClassVar[int] = 1
    COUNTS: ClassVar[str] = "before"

    @property
    def collective(self) -> str:
        """Its name in pictures and reports: all-reduce, all-to-all …"""
        return self.name.removeprefix("dag.").replace("_", "-")

    @property
    def over(self) -> tuple[str, ...]:
        return tuple(axis.data for axis in self.axes)

    def sent(self, before: Size, after: Size, members: int) -> Size:
        """What one member sends, of what it holds before and after: FACTOR · (p-1)/p of one of them."""
        held = after if self.COUNTS == "after" else before
        return self.FACTOR * held * (members - 1) / members

    def each_sent(self, before: Sequence[Size], after: Sequence[Size]) -> list[Size]:
        """The same of every member of a group, of what each holds before and after, which need not be equal."""
        return [self.sent(b, a, len(before)) for b, a in zip(before, after, strict=True)]


class Reduction(Collective):
    """Pays a debt: the group's addends are merged as those of a debt of the kind `merge` (nothing: a sum)."""

    merge = opt_prop_def(StringAttr)

    @property
    def kind(self) -> str:
        """The kind of debt that it pays."""
        return self.merge.data if self.merge else SUM

    def verify_(self) -> None:
        super().verify_()
        if self.kind not in KINDS:
            raise VerifyException(f"{self.path.data}: merge is none of {', '.join(KINDS)}: {self.kind!r}")


@irdl_op_definition
class AllReduceOp(Reduction):
    """Every member gets the value of all addends."""

    name = "dag.all_reduce"
    FACTOR: ClassVar[int] = 2


@irdl_op_definition
class ReduceScatterOp(Reduction):
    """Every member gets its part of it, `dim` cut."""

    name = "dag.reduce_scatter"
    dim = prop_def(StringAttr)
    order = opt_prop_def(StringAttr)

    def each_sent(self, before: Sequence[Size], after: Sequence[Size]) -> list[Size]:
        """All but its own part."""
        return [b - a for b, a in zip(before, after, strict=True)]


@irdl_op_definition
class AllGatherOp(Collective):
    """Joins the parts of `dim`: every member gets the whole."""

    name = "dag.all_gather"
    dim = prop_def(StringAttr)
    order = opt_prop_def(StringAttr)
    COUNTS: ClassVar[str] = "after"

    def each_sent(self, before: Sequence[Size], after: Sequence[Size]) -> list[Size]:
        """As much as it gets: all but its own part. (A ring passes on all but the part of the member after it.)"""
        return [a - b for b, a in zip(before, after, strict=True)]


@irdl_op_definition
class AllToAllOp(Collective):
    """Moves the cut from one dimension to another: every member keeps 1/p of its part and gets p-1 pieces."""

    name = "dag.all_to_all"
    dim = prop_def(StringAttr)
    to = prop_def(StringAttr)
    order = opt_prop_def(StringAttr)
    to_order = opt_prop_def(StringAttr)

    def each_sent(self, before: Sequence[Size], after: Sequence[Size]) -> list[Size]:
        """All but what it keeps: of what it had, the part that it has of all."""
        whole = sum(before, start=number(0))
        return [b - b * a / whole for b, a in zip(before, after, strict=True)]


@irdl_op_definition
class RotateOp(Collective):
    """Passes the parts of `dim` round the group, `shifts` times to the next member: every member sees its own part,
    then the one before it, then the one before that, and has one at a time. At every shift it sends what it has.
    """

    name = "dag.rotate"
    dim = prop_def(StringAttr)
    shifts = prop_def(IntegerAttr)

    @property
    def collective(self) -> str:
        return "collective-permute"

    def sent(self, before: Size, after: Size, members: int) -> Size:
        return before * self.shifts.value.data


@irdl_op_definition
class SliceOp(Mover):
    """Takes this GPU's part of a dimension it holds whole: no communication."""

    name = "dag.slice"
    axes = prop_def(ArrayAttr[StringAttr])
    dim = prop_def(StringAttr)
    order = opt_prop_def(StringAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.ROUTING, linear=((0,),))

    @property
    def over(self) -> tuple[str, ...]:
        return tuple(axis.data for axis in self.axes)


@irdl_op_definition
class UnpaidOp(Mover):
    """Takes a GPU's addend for the whole value: what is owed over `axes` is never paid. Not what the model computes."""

    name = "dag.unpaid"
    axes = prop_def(ArrayAttr[StringAttr])
    RULE: ClassVar[Rule] = Rule(role=Role.ROUTING)


@irdl_op_definition
class TransferOp(Mover):
    """Sends a paid value to another pool, to where its layout there needs what: between two pipeline stages, to the GPU
    of the same coordinates.
    """

    name = "dag.transfer"


@irdl_op_definition
class MergeOp(Mover):
    """Addends of a debt that meet on one GPU, merged (as `merge` says; nothing: added): a step of a reduction.

    Stands in deployment graphs only, where a collective is drawn as its transfers.
    """

    name = "dag.merge"
    merge = opt_prop_def(StringAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.ROUTING)

    @property
    def kind(self) -> str:
        """The kind of debt whose addends meet."""
        return self.merge.data if self.merge else SUM

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return KINDS[self.kind].merge(np.stack(inputs), 0)


@irdl_op_definition
class ScatterOp(Mover):
    """Gives every GPU its part of the total input. On the host."""

    name = "dag.scatter"
    RULE: ClassVar[Rule] = Rule(role=Role.HOST)


@irdl_op_definition
class GatherOp(Mover):
    """Joins the GPUs' parts into the total output; copies count once. On the host."""

    name = "dag.gather"
    RULE: ClassVar[Rule] = Rule(role=Role.HOST)
