"""How many bytes of values are alive at once on a GPU, in program order.

A value lives from where it is made to its last use. A repeated body runs with everything alive that is used after it,
plus the value it carries; its own peak counts once, however often it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from ..ir.dims import Size, as_number, number
from ..ir.op import Operator, tensor_of
from ..ir.ops.program import RepeatOp, YieldOp

Bytes = Callable[[SSAValue], Size]


def peak(module: ModuleOp, pool: str, stored: Bytes) -> Size:
    """The largest sum of `stored` bytes of values alive together on one GPU of a pool.

    With unbound sizes sums cannot be compared; then the result is the sum of all values, an upper bound.
    """
    return _largest(size for _, size in alive(module, pool, stored))


def alive(module: ModuleOp, pool: str, stored: Bytes) -> Iterator[tuple[Operation, Size]]:
    """Per operation of the program, in order: the sum of `stored` bytes alive on one GPU of a pool while it runs."""
    return _alive(list(module.ops), pool, lambda value: stored(value) if tensor_of(value).pool == pool else number(0))


def _alive(ops: list[Operation], pool: str, stored: Bytes) -> Iterator[tuple[Operation, Size]]:
    last = _last_uses(ops)
    held: dict[SSAValue, Size] = {}
    for position, op in enumerate(ops):
        inside = number(0)
        if isinstance(op, RepeatOp):
            inside = _largest(size for _, size in _alive(list(op.body.block.ops), pool, stored))
        if isinstance(op, Operator | RepeatOp):
            held[op.results[0]] = stored(op.results[0])
        yield op, sum(held.values(), number(0)) + inside
        for value in [value for value in held if last.get(value, position) <= position]:
            del held[value]


def _largest(sizes: Iterable[Size]) -> Size:
    return reduce(_larger, sizes, number(0))


def _last_uses(ops: Iterable[Operation]) -> dict[SSAValue, int]:
    last: dict[SSAValue, int] = {}
    for position, op in enumerate(ops):
        if isinstance(op, Operator | RepeatOp | YieldOp):
            last.update(dict.fromkeys(op.operands, position))
    return last


def _larger(a: Size, b: Size) -> Size:
    first, second = as_number(a), as_number(b)
    if first is None or second is None:
        return a + b
    return a if first >= second else b
