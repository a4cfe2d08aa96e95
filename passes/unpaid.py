"""unpaid: where a plan asks that a debt is never paid, a GPU takes its addend for the whole. That is another function.

    rule     unpaid at "*.scores": ds
    before   %s = dag.scores(%q, %k) : … owes sum over [ds]
    after    %t = dag.move(%s) {unpaid = ["ds"]} : … owes sum over [ds] -> …

Refused with what it would compute, unless the plan is to be lowered as it is written; no verifier lets it pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..diagnostics import Diagnostic
from ..ir.debts import KINDS, debtor, kind_of
from ..ir.mesh import Mesh
from ..ir.op import Operator
from ..ir.orders import axes_of
from ..ir.plan import Plan, Rule, user_axis
from .cuts import Joint, Place
from .rules import matches


@dataclass
class Unpaid:
    """Answers for one plan on one mesh; collects what is refused instead of stopping at the first."""

    plan: Plan
    mesh: Mesh
    problems: dict[tuple[str, ...], Diagnostic] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)

    def axes(self, op: Operator, cuts: Joint, owed: tuple[str, ...], place: Place) -> tuple[str, ...]:
        """Of what an operator leaves owed the axes over which that stays so, though it counts as paid."""
        forgone = []
        for one in owed:
            axis = debtor(one)
            if rule := self._rule(user_axis(axis), place):
                forgone.append(axis)
                self.found.add(rule.where)
                if not self.plan.as_written:
                    self._refuse(op, cuts, one, rule, place)
        return tuple(forgone)

    def idle(self) -> list[Diagnostic]:
        """Rules that leave nothing unpaid, since nothing is owed there."""
        return [
            Diagnostic("rule", f"nothing is owed over {rule.axis} there, so that nothing is left unpaid", rule.where)
            for rule in self.plan.unpaid
            if rule.where not in self.found
        ]

    def _rule(self, axis: str, place: Place) -> Rule | None:
        found = (r for r in self.plan.unpaid if r.axis == axis)
        return next((r for r in found if any(matches(at, place.path, place.layer) for at in r.at)), None)

    def _refuse(self, op: Operator, cuts: Joint, owed: str, rule: Rule, place: Place) -> None:
        axis, kind = debtor(owed), KINDS[kind_of(owed)].called
        names = ", ".join(name for name in sorted(op.sums()) if axis in axes_of(cuts.get(name, ())))
        problem = (
            f"{user_axis(axis)} cuts {names}, over which {op.name.removeprefix('dag.')} sums: its value is {kind} of "
            f"{self.mesh.size((axis,))} addends, and what follows would be computed of one addend for the whole. That "
            f"is another function than the model's"
        )
        self.problems.setdefault(
            ("unpaid", axis, place.path),
            Diagnostic(
                "unpaid",
                problem,
                f"{rule.where} at {place.path}".strip(),
                expected=f"{kind} paid over {user_axis(axis)} (all-reduce), or {names} gathered before",
                actual=f"unpaid: {user_axis(axis)}",
                hint="remove `unpaid`; --as-written draws it as it is, marked as not the model's",
            ),
        )
