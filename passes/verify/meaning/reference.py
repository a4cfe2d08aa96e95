"""The undivided model, of the layers a block stands for, at small size: any value, computed when it is asked for.

What these layers read from before them is a random value of its own: a block is right whatever comes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from xdsl.ir import SSAValue

from ....ir.deployment import Port
from ....ir.module import plain_path
from ....ir.op import Indices, Operator, tensor_of
from ....ir.ops.program import InputOp, Resident
from ..program import Identity, Step
from .extents import Extents
from .numbers import Numbers


@dataclass
class Reference:
    """Values by what they are of the model: arrays [1, *extents], the leading axis being the one device."""

    steps: dict[Identity, Step]
    first: int | None
    """The first layer of the block; layers are counted from it."""
    extents: Extents
    numbers: Numbers
    made: dict[Identity, np.ndarray] = field(default_factory=dict)

    @staticmethod
    def of(steps: Sequence[Step], first: int | None, extents: Extents, numbers: Numbers) -> Reference:
        return Reference({step.identity: step for step in steps}, first, extents, numbers)

    def value(self, which: Identity) -> np.ndarray:
        """A value of these layers, or of the operators around them. KeyError for any other: see `outside`."""
        if which not in self.made:
            step = self.steps[which]
            self.made[which] = self._compute(step)
        return self.made[which]

    def of_row(self, which: Identity, port: Port) -> np.ndarray:
        """The value that a port states to be part of; one from other layers has the extents that the port says."""
        if which in self.steps:
            return self.value(which)
        return self.outside(which, tuple(self.extents.of[key] for key in zip(port.names, port.whole, strict=True)))

    def outside(self, which: Identity, shape: tuple[int, ...]) -> np.ndarray:
        """What comes in from other layers."""
        return self.made.setdefault(which, self.numbers.random(("in", self._relative(which)), (1, *shape)))

    def weight(self, path: str, layer: int | None, shape: tuple[int, ...], slots: tuple[int, ...] = ()) -> np.ndarray:
        """The parameter, or the cache, of this name in a layer; or copies of these of its first dimension's indices."""
        whole = (max(slots) + 1, *shape[1:]) if slots else shape
        made = self.numbers.random(("weight", self._relative((layer, path))), whole)
        return made[list(slots)] if slots else made

    def _relative(self, which: Identity) -> Identity:
        layer = which[0]
        return (layer if layer is None or self.first is None else layer - self.first), which[1]

    def _compute(self, step: Step) -> np.ndarray:
        op, shape = step.op, self.extents.shape(step.op)
        if isinstance(op, Resident):
            tied = op.identity != op.path.data
            return self.weight(plain_path(op.identity), None if tied else step.identity[0], shape, op.table)[None]
        if isinstance(op, InputOp):
            return self.tokens(op, shape)[None]
        operands = [self._operand(read, value) for read, value in zip(step.reads, op.operands, strict=True)]
        total = {name: self.extents.of[self.extents.key(name, size)] for name, size in op.joint().items()}
        held = {name: np.arange(size)[None] for name, size in total.items()}
        return op.compute(operands, Indices(held, total | self.extents.beyond(op)))

    def _operand(self, read: Identity | None, value: SSAValue) -> np.ndarray:
        assert read is not None
        if read in self.steps:
            return self.value(read)
        tensor = tensor_of(value)
        return self.outside(read, tuple(self.extents.of[self.extents.key(d.name, d.size)] for d in tensor.dims))

    def tokens(self, op: Operator, shape: tuple[int, ...]) -> np.ndarray:
        """The total input: token ids where there is a vocabulary, else numbers."""
        if tensor_of(op.results[0]).dtype != "i32":
            return self.numbers.random("input", shape)
        vocab = min(size for key, size in self.extents.of.items() if key[0] == "vocab")
        return np.random.default_rng(0).integers(0, vocab, shape)


def degree(model: Sequence[Step]) -> int:
    """At most the degree of any value as a polynomial in the random inputs: operands' degrees added, and 2 for what an
    operator multiplies and divides by itself (a weight's own, a norm's and softmax's denominators).
    """
    degrees: dict[Identity, int] = {}
    for step in model:
        degrees[step.identity] = sum(degrees.get(read, 1) for read in step.reads if read is not None) + 2
    return max(degrees.values(), default=1)
