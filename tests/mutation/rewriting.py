"""Changes of lowered modules. Places are found first; a fresh copy is changed only for mutants that are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from dagc.ir.op import Operator

Mutants = Iterator[tuple[str, Callable[[], ModuleOp]]]
"""Where, and what makes the module with a fault there."""
Kinds = type[Operation] | tuple[type[Operation], ...]
Change = Callable[[Operation], object]


def each(
    module: ModuleOp,
    kinds: Kinds,
    change: Callable[[Operation], object],
    how: str = "",
    suits: Callable[..., bool] = lambda op: True,
) -> Mutants:
    """The change at every operation of these kinds that suits, one at a time."""
    for number, op in enumerate(module.walk()):
        if isinstance(op, kinds) and suits(op):
            yield place(op, number, how), lambda number=number: changed(module, number, change)


def place(op: Operation, number: int, how: str = "") -> str:
    """`dag.project 12 at layers.attention.q_proj`."""
    path = f" at {op.path.data}" if isinstance(op, Operator) else ""
    return f"{op.name} {number}{path} {how}".rstrip()


def changed(module: ModuleOp, number: int, change: Callable[[Operation], object]) -> ModuleOp:
    """A copy whose operation of this number is changed."""
    copy = module.clone()
    change(list(copy.walk())[number])
    return copy


def drop(op: Operation) -> None:
    """Its users read its first operand."""
    op.results[0].replace_all_uses_with(op.operands[0])
    op.detach()
    op.erase()


def after(op: Operator, new: Operator) -> None:
    """The users of `op` read `new`, which reads `op`."""
    assert op.parent is not None
    op.parent.insert_op_after(new, op)
    op.out.replace_uses_with_if(new.out, lambda use: use.operation is not new)


def instead(kind: type[Operator]) -> Callable[[Operation], None]:
    """Another move in its place, with the same axes and dimension."""

    def change(op: Operation) -> None:
        assert isinstance(op, Operator)
        assert op.parent is not None
        properties = {name: value for name, value in op.properties.items() if name != "to"}
        new = kind.create(operands=[op.operands[0]], result_types=[op.out.type], properties=properties)
        op.parent.insert_op_before(new, op)
        op.out.replace_all_uses_with(new.out)
        op.detach()
        op.erase()

    return change
