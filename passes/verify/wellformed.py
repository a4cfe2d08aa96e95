"""The first layer of defence, run after every pass. Guarantees, when `check` finds nothing:

* the structure holds: operators stand where they may and satisfy their own rules (`structure`)
* every operand is defined before its use, in its own region (`scope`)
* DAG2: there is exactly one total input and one total output
* DAG3: every value is used, but for the output and what is kept for another program
* the module is of one stage (`stages`)
"""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.irdl import IRDLOperation

from ...diagnostics import Diagnostic
from ...ir.ops.attention import KeepOp
from ...ir.ops.program import InputOp, OutputOp, RepeatOp
from . import scope, stages, structure
from .findings import finding
from .stages import Stage, stage_of

__all__ = ["Stage", "check", "stage_of"]


def check(module: ModuleOp) -> list[Diagnostic]:
    """All that is wrong with a module as IR; what presupposes the structure is not asked where that is broken."""
    return structure.check(module) or [*scope.check(module), *_ends(module), *_unused(module), *stages.check(module)]


def _ends(module: ModuleOp) -> Iterator[Diagnostic]:
    for kind, what in ((InputOp, "input"), (OutputOp, "output")):
        found = [op for op in module.ops if isinstance(op, kind)]
        if len(found) != 1:
            place: IRDLOperation = found[-1] if found else module
            yield finding("DAG2", place, f"the module has {len(found)} total {what}s", expected="1")


def _unused(module: ModuleOp) -> Iterator[Diagnostic]:
    for op in module.walk():
        if isinstance(op, OutputOp | KeepOp):
            continue
        carried = list(op.body.block.args) if isinstance(op, RepeatOp) else []
        for value in [*op.results, *carried]:
            if not value.uses:
                yield finding("DAG3", op, f"no one uses {_name(value)}")


def _name(value: SSAValue) -> str:
    return f"%{value.name_hint}" if value.name_hint else "its result"
