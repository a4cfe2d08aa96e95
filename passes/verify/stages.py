"""What may appear when. Guarantees that a module is of one stage, and that from PLACED on every value has its GPUs.

| stage   | after       | pools | cuts, debts | dag.move | collectives, slices, transfers, scatter, gather |
| ---     | ---         | ---   | ---         | ---      | ---                                              |
| logical | a frontend  |       |             |          |                                                  |
| placed  | place       | yes   |             | yes      |                                                  |
| sharded | shard       | yes   | yes         | yes      |                                                  |
| lowered | communicate | yes   | yes         |          | yes                                              |
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir.module import operators
from ...ir.op import Operator, tensor_of
from ...ir.ops.move import MoveOp, Mover
from .findings import finding


class Stage(StrEnum):
    """How far a module has been lowered."""

    LOGICAL = "logical"
    PLACED = "placed"
    SHARDED = "sharded"
    LOWERED = "lowered"


ALLOWS: dict[Stage, frozenset[str]] = {
    Stage.LOGICAL: frozenset(),
    Stage.PLACED: frozenset({"a pool", "dag.move"}),
    Stage.SHARDED: frozenset({"a pool", "dag.move", "a cut", "a debt"}),
    Stage.LOWERED: frozenset({"a pool", "a cut", "a debt", "a step of communication"}),
}


def stage_of(module: ModuleOp) -> Stage:
    """The first stage that allows all that the module holds; LOWERED where it mixes stages."""
    seen = {feature for op, _ in operators(module) for feature in _features(op)}
    return next((stage for stage, allowed in ALLOWS.items() if seen <= allowed), Stage.LOWERED)


def check(module: ModuleOp) -> list[Diagnostic]:
    """Everything that does not belong to the module's stage."""
    stage = stage_of(module)
    return [
        finding("ill-formed", op, problem, expected=f"a {stage} module")
        for op, _ in operators(module)
        for problem in _problems(op, stage)
    ]


def _problems(op: Operator, stage: Stage) -> Iterator[str]:
    for feature in _features(op):
        if feature not in ALLOWS[stage]:
            yield f"{feature} in a {stage} module"
    if stage is not Stage.LOGICAL and not tensor_of(op.out).pool:
        yield f"a value without GPUs in a {stage} module"


def _features(op: Operator) -> Iterator[str]:
    tensor = tensor_of(op.out)
    if isinstance(op, Mover):
        yield "dag.move" if isinstance(op, MoveOp) else "a step of communication"
    for feature, present in (("a pool", tensor.pool), ("a cut", tensor.axes), ("a debt", tensor.owes)):
        if present:
            yield feature
