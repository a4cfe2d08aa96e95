"""Guarantees that every operand is defined before its use, by an operator or argument of its own region.

xDSL's verifier accepts a use before the definition, and the use of a value from inside another region; here neither
has a meaning: a repeated body sees only the value it carries.
"""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from ...diagnostics import Diagnostic
from ...ir.ops.program import RepeatOp
from .findings import finding, path_of


def check(module: ModuleOp) -> list[Diagnostic]:
    """Every operand that is not defined where it is used."""
    blocks = [module.body.block, *(op.body.block for op in module.ops if isinstance(op, RepeatOp))]
    return [diagnostic for block in blocks for diagnostic in _block(block)]


def _block(block: Block) -> Iterator[Diagnostic]:
    defined: set[SSAValue] = set(block.args)
    for op in block.ops:
        for value in op.operands:
            if value not in defined:
                yield finding("ill-formed", op, _problem(value, block))
        defined.update(op.results)


def _problem(value: SSAValue, block: Block) -> str:
    name = f"%{value.name_hint or 'value'}"
    owner = value.owner
    if not isinstance(owner, Operation):
        return f"{name} is the value that another repeat carries"
    if owner.parent is None:
        return f"{name} is defined nowhere"
    return f"{name}, made by {path_of(owner)}, is " + (
        "used before it is defined" if owner.parent is block else "defined in another region"
    )
