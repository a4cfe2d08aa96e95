"""Reductions in their midst: a value of which a GPU has merged some of the addends, and says which.

What the addends are is learnt from the value before the reduction, of which every GPU has its own alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ....ir.debts import KINDS
from ....ir.deployment import Port
from ..program import Identity
from .compare import Difference, first, shaped
from .numbers import Numbers
from .pieces import Held, Impossible, Value, meshed, pick


@dataclass
class Addends:
    """By value of the model, number of addends and kind of debt: the undivided addends [addends, *extents]."""

    known: dict[tuple[Identity, int, str], np.ndarray] = field(default_factory=dict)

    def learn(self, which: Identity, port: Port, value: Value, held: Held, extents: tuple[int, ...]) -> None:
        """Of a value that is still owed, what every GPU has; nothing of others. It has been compared before."""
        if port.addend is None:
            return
        whole = np.zeros_like(value.data, shape=(port.addend.parts, *extents))
        rank = port.addend.of[value.gpus].reshape(-1, *[1] * len(held))
        whole[(rank, *meshed(held))] = value.data
        self.known[which, port.addend.parts, port.debt] = whole

    def difference(self, which: Identity, port: Port, value: Value, held: Held, numbers: Numbers) -> Difference | None:
        """The first number that is not what the addends merge to that a GPU says it has."""
        assert port.addend is not None
        assert port.addend.merged is not None
        shaped(value, held)
        known, merged = self.known.get((which, port.addend.parts, port.debt)), port.addend.merged[value.gpus]
        if known is None or not merged.any(axis=1).all():
            raise Impossible("has merged addends of nothing known")
        for has in np.unique(merged, axis=0):
            gpus = np.flatnonzero((merged == has).all(axis=1))
            mine = [own[gpus] for own in held]
            expected = pick(KINDS[port.debt].merge(known[has], 0)[None], mine)
            if found := first(port, value.data[gpus], value.gpus[gpus], mine, expected, numbers):
                return found
        return None
