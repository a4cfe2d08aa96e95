"""store: how a weight is kept between uses, apart from how it is used.

    rule     stored at "*": fsdp cuts hidden, else ffn
    used     [hidden = 4096, heads = 32 / tp, d_k = 128]
    stored   [hidden = 4096 / fsdp, heads = 32 / tp, d_k = 128]

What cuts a weight where it is used cuts it where it is kept. An axis that does not cut it there, and that a rule stores
by, cuts the first of the rule's names that the weight has and that divides. The move between the two is shard's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from ..diagnostics import Diagnostic
from ..ir.dims import as_number
from ..ir.layout import Dim, Tensor
from ..ir.mesh import Mesh
from ..ir.module import plain_path
from ..ir.plan import Plan, Rule, user_axis
from .rules import Rules


@dataclass
class Stores:
    """Answers for one plan on one mesh; collects what is wrong instead of stopping at the first."""

    plan: Plan
    mesh: Mesh
    problems: dict[tuple[str, ...], Diagnostic] = field(default_factory=dict)

    @cached_property
    def _rules(self) -> Rules:
        return Rules(self.plan.stores, self.mesh.axes)

    def of(self, used: Tensor, path: str, layer: int | None) -> Tensor:
        """How a weight is kept that the operator at `path` uses so: the same tensor, with more cuts."""
        for axis, rule in self._rules.at(path, layer, self.mesh.axes_of(used.pool)):
            if axis not in used.axes and (name := self._name(axis, rule, used, path)):
                used = used.cut({name: (*used.dim(name).cuts, axis)})
        return used

    def _name(self, axis: str, rule: Rule, weight: Tensor, path: str) -> str | None:
        """The first of a rule's names that the axis divides in what is left of the weight."""
        found = (name for name in rule.cuts if weight.has(name) and self._divides(axis, weight.dim(name)))
        name = next(found, None)
        if name is None:
            self._refuse(axis, rule, weight, path)
        return name

    def _divides(self, axis: str, dim: Dim) -> bool:
        size = as_number(dim.size)
        return isinstance(size, int) and size % self.mesh.size((*dim.axes, axis)) == 0

    def _refuse(self, axis: str, rule: Rule, weight: Tensor, path: str) -> None:
        lifted = f"{{at: {plain_path(path)}, store: {{{user_axis(axis)}: ~}}}}"
        whole, dims = user_axis(axis), [f"{dim.name}={dim.size}" for dim in weight.dims]
        cuts = " · ".join(f"{name}={self.mesh.size((name,))}" for name in dict.fromkeys((*weight.axes, axis)))
        self.problems.setdefault(
            ("store", whole, *weight.names),
            Diagnostic(
                "indivisible",
                f"axis {whole} divides none of {', '.join(rule.cuts)} of the weight [{', '.join(dims)}] to store it",
                f"{rule.where} at {path}".strip(),
                expected=f"a dimension that {cuts} divides",
                actual=", ".join(dims),
                hint=f"list another dimension, or keep it as it is used: {lifted}",
            ),
        )
