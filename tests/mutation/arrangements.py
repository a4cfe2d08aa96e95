"""Collectives, values and weights whose parts are said to lie in another order (F13, F15)."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation

from dagc.ir.deployment import Deployment
from dagc.ir.op import Operator, retype, tensor_of
from dagc.ir.ops import UNORDERED
from dagc.ir.ops.move import ORDERS, AllGatherOp, AllToAllOp, ReduceScatterOp, SliceOp
from dagc.ir.orders import CONTIGUOUS, axis_of, cut, order_of, table

from . import rewriting
from .operators import like
from .surgery import Mutants, changed, where

STATING = (AllGatherOp, AllToAllOp, ReduceScatterOp)


def stated(deployment: Deployment) -> Mutants:
    """A collective joins from, or splits into, parts of another order than those of its members."""
    for row in deployment.rows:
        if isinstance(row.operator, STATING):
            for name in _stating(row.operator):
                for order in _others(row.operator, name, row.places.shape[1]):
                    operator = like(row.operator, **{name: order})
                    yield f"{where(row)}, {name} {order}", changed(deployment, row, operator=operator)


def _stating(op: Operator) -> Iterator[str]:
    """Which of its orders a move may state; routed rows have none."""
    for name, along in (("order", "dim"), ("to_order", "to")):
        stands = op.properties.get(along)
        if isinstance(stands, StringAttr) and stands.data not in UNORDERED:
            yield name


def _others(op: Operator, name: str, members: int) -> Iterator[str | None]:
    """Another order, or none."""
    has = op.properties.get(name)
    orders = (None, f"{members} strided", f"{members} zigzag", f"{members} {table(reversed(range(members)))}")
    yield from (order for order in orders if order != (has.data if isinstance(has, StringAttr) else None))


def in_modules(module: ModuleOp) -> rewriting.Mutants:
    """A move of a lowered module states no order, or one where there is none."""
    for number, op in enumerate(module.walk()):
        if isinstance(op, (*STATING, SliceOp)) and len(op.over) == 1:
            for name in _stating(op):
                value = None if name in op.properties else "2 strided"
                how = f"{name} {value}"
                yield (
                    rewriting.place(op, number, how),
                    lambda n=number, name=name, value=value: rewriting.changed(module, n, _states(name, value)),
                )


def _states(name: str, value: str | None) -> rewriting.Change:
    assert name in ORDERS

    def change(op: Operation) -> None:
        op.properties.pop(name, None)
        if value is not None:
            op.properties[name] = StringAttr(value)

    return change


def of_layouts(module: ModuleOp) -> rewriting.Mutants:
    """A value or weight cut in another order than its maker leaves it, or its users read it."""
    for number, op in enumerate(module.walk()):
        for dim in tensor_of(op.results[0]).dims if op.results and isinstance(op, Operator) else ():
            for at, each in enumerate(dim.cuts):
                order = "strided" if order_of(each) == CONTIGUOUS else CONTIGUOUS
                cuts = (*dim.cuts[:at], cut(axis_of(each), order), *dim.cuts[at + 1 :])
                lay = {dim.name: cuts}
                yield (
                    rewriting.place(op, number, f"{lay}"),
                    lambda n=number, lay=lay: rewriting.changed(module, n, _laid(lay)),
                )


def _laid(cuts: dict[str, tuple[str, ...]]) -> rewriting.Change:
    return lambda op: retype(op.results[0], tensor_of(op.results[0]).cut(cuts))
