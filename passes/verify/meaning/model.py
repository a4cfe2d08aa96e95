"""The undivided model's operators, of the layers that are asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from xdsl.dialects.builtin import ModuleOp

from ..forms import valued
from ..identity import is_moved
from ..program import Span, Step, spans, steps
from .blocks import Block


@dataclass
class Model:
    """A module of any stage as the model it computes; moves are looked through."""

    module: ModuleOp
    _made: dict[frozenset[int], list[Step]] = field(default_factory=dict)

    @cached_property
    def spans(self) -> list[Span]:
        """Its repeats."""
        return spans(self.module)

    def steps(self, block: Block) -> list[Step]:
        """Those that a block's first round stands for, or those around the layers, with the steps of split forms."""
        first, period = (block.repeat.first, block.repeat.period) if block.repeat else (0, 0)
        found = self._of(frozenset(range(first, first + period)))
        own = [step for step in found if (step.identity[0] is None) == (block.repeat is None)]
        rows = zip(block.means, block.deployment.rows, strict=True)
        return valued(own, {which: row.operator for which, row in rows if which is not None and not is_moved(row)})

    def by_layer(self, layers: frozenset[int]) -> Mapping[int, list[Step]]:
        """The operators of each of these layers, in order."""
        found: dict[int, list[Step]] = defaultdict(list)
        for step in self._of(layers):
            if step.identity[0] is not None:
                found[step.identity[0]].append(step)
        return found

    def _of(self, layers: frozenset[int]) -> list[Step]:
        """Those of these layers and those around all layers."""
        if layers not in self._made:
            self._made[layers] = steps(self.module, layers)
        return self._made[layers]
