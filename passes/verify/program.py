"""A module as the model it computes: every layer by itself, moves looked through.

    %y = dag.repeat %h = %x layers 0 to 1 { %n = dag.rms_norm(%h, %g); %m = dag.all_gather(%n); … }
    (0, layers.attention_norm) reads (None, embed), (0, layers.attention_norm.weight)
    (1, layers.attention_norm) reads (0, layers.ffn_residual), (1, layers.attention_norm.weight)

Two modules with the same steps compute the same undivided model, however repeats are split and values are moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from ...ir.module import offset_of, plain_path
from ...ir.op import Operator
from ...ir.ops.move import Mover
from ...ir.ops.program import RepeatOp

Identity = tuple[int | None, str]
"""Absolute layer (None outside the layers) and path without layer numbers: one operator or weight of the model."""


@dataclass(frozen=True)
class Step:
    """One operator of the model in one layer, and what it reads."""

    identity: Identity
    op: Operator
    reads: tuple[Identity | None, ...]


def steps(module: ModuleOp) -> list[Step]:
    """The model's operators and weights, layer by layer, in program order."""
    reader = _Reader()
    for op in module.ops:
        if isinstance(op, RepeatOp):
            reader.repeat(op)
        elif isinstance(op, Operator):
            reader.read(op, None)
    return reader.steps


@dataclass
class _Reader:
    """Runs through the program as a machine would, round after round, remembering which operator made each value."""

    steps: list[Step] = field(default_factory=list)
    made: dict[SSAValue, Identity | None] = field(default_factory=dict)

    def repeat(self, op: RepeatOp) -> None:
        first, last, period = op.span
        carried = self.made.get(op.init)
        for start in range(first, last + 1, period):
            self.made[op.body.block.args[0]] = carried
            for inner in op.body.block.ops:
                if isinstance(inner, Operator):
                    self.read(inner, start + offset_of(inner))
            carried = self.made.get(op.yielded)
        self.made[op.out] = carried

    def read(self, op: Operator, layer: int | None) -> None:
        reads = tuple(self.made.get(value) for value in op.operands)
        if isinstance(op, Mover):
            self.made[op.out] = reads[0]
            return
        identity = (layer, plain_path(op.path.data))
        self.made[op.out] = identity
        self.steps.append(Step(identity, op, reads))
