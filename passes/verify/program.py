"""A module as the model it computes: every layer by itself, moves looked through.

    %y = dag.repeat %h = %x layers 0 to 1 { %n = dag.rms_norm(%h, %g); %m = dag.all_gather(%n); … }
    (0, layers.attention_norm) reads (None, embed), (0, layers.attention_norm.weight)
    (1, layers.attention_norm) reads (0, layers.ffn_residual), (1, layers.attention_norm.weight)

Two modules with the same steps compute the same undivided model, however repeats are split and values are moved.

Rounds of a repeat differ only in what the first one reads. So where two modules both repeat, with periods p and q, it
is enough to compare max(p, q) + lcm(p, q) layers: every pair of bodies and offsets that meet is among them. `sample`
names these layers; rounds outside are stepped over, which keeps the check flat in layers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from math import lcm

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


Span = tuple[int, int, int]
"""A repeat: its first and last layer, and the layers of its body."""


def spans(module: ModuleOp) -> list[Span]:
    """The repeats of a module."""
    return [op.span for op in module.ops if isinstance(op, RepeatOp)]


def sample(one: Iterable[Span], other: Iterable[Span]) -> frozenset[int]:
    """Layers that show everything two programs with these repeats do in all of theirs."""
    kept: set[int] = set()
    for (first, last, period), (begin, end, rounds) in product(one, other):
        start, stop = max(first, begin), min(last, end) + 1
        kept.update(range(start, min(stop, start + max(period, rounds) + lcm(period, rounds))))
    return frozenset(kept)


def steps(module: ModuleOp, layers: frozenset[int] | None = None) -> list[Step]:
    """The model's operators and weights, layer by layer, in program order; of all layers, or of these."""
    reader = _Reader(layers)
    for op in module.ops:
        if isinstance(op, RepeatOp):
            reader.repeat(op)
        elif isinstance(op, Operator):
            reader.read(op, None)
    return reader.steps


@dataclass
class _Reader:
    """Runs through the program as a machine would, round after round, remembering which operator made each value."""

    layers: frozenset[int] | None
    steps: list[Step] = field(default_factory=list)
    made: dict[SSAValue, Identity | None] = field(default_factory=dict)

    def repeat(self, op: RepeatOp) -> None:
        first, last, period = op.span
        carried = self.made.get(op.init)
        for start in range(first, last + 1, period):
            if self._skips(range(start, start + period), carried):
                carried = _later(carried, period)
                continue
            self.made[op.body.block.args[0]] = carried
            for inner in op.body.block.ops:
                if isinstance(inner, Operator):
                    self.read(inner, start + offset_of(inner))
            carried = self.made.get(op.yielded)
        self.made[op.out] = carried

    def _skips(self, layers: range, carried: Identity | None) -> bool:
        """Step over a round that was not asked for and that reads what the round before it made."""
        unasked = self.layers is not None and self.layers.isdisjoint(layers)
        return unasked and carried is not None and carried[0] in range(layers.start - len(layers), layers.start)

    def read(self, op: Operator, layer: int | None) -> None:
        reads = tuple(self.made.get(value) for value in op.operands)
        if isinstance(op, Mover):
            self.made[op.out] = reads[0]
            return
        identity = (layer, plain_path(op.path.data))
        self.made[op.out] = identity
        if layer is not None and self.layers is not None and layer not in self.layers:
            return
        self.steps.append(Step(identity, op, reads))


def _later(identity: Identity | None, layers: int) -> Identity | None:
    """The same operator that many layers later."""
    return identity and (identity[0] + layers if identity[0] is not None else None, identity[1])
