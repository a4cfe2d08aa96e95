"""Debts. Guarantees, per operator:

* a result owes exactly over the axes that cut a contracted name, of the kind that the operator leaves, and what its
  operands owed
* a sum passes only where the operator declares itself linear: all operands of a linear set owe the same, the others
  are paid, and the axes owed cut nothing else here; so never into a norm, and never full + partial
* debts of other kinds pass no operator
"""

from __future__ import annotations

from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ...ir.debts import SUM, debt, debtors, kind_of
from ...ir.op import Operator, tensor_of
from .findings import debts_text, finding

Cuts = dict[str, tuple[str, ...]]


def check(op: Operator, cuts: Cuts) -> Iterator[Diagnostic]:
    """What is wrong with the debts of an operator whose joint space is cut so."""
    owing = {i: frozenset(tensor_of(value).owes) for i, value in enumerate(op.operands) if tensor_of(value).owes}
    refusal = _refusal(op, owing, cuts) if owing else ""
    if refusal:
        yield finding("unpaid", op, refusal, hint="pay it before with an all-reduce or reduce-scatter")
        return
    begun = {debt(axis, op.RULE.debt) for name in op.sums() for axis in cuts.get(name, ())}
    yield from _result(op, begun.union(*owing.values()))


def _refusal(op: Operator, owing: dict[int, frozenset[str]], cuts: Cuts) -> str:
    """Why a debt may not pass, or nothing."""
    kind = op.name.removeprefix("dag.")
    said = ", ".join(f"operand {i} owes {_listed(owes)}" for i, owes in owing.items())
    if other := next((owed for owes in owing.values() for owed in sorted(owes) if kind_of(owed) != SUM), None):
        return f"{kind} takes no operand that owes {debts_text((other,))}: {said}"
    if tuple(sorted(owing)) not in op.RULE.linear:
        mixed = any(set(owing) < set(operands) for operands in op.RULE.linear)
        return f"{kind} mixes full and partial values: {said}" if mixed else f"{kind} is not linear there: {said}"
    if len(set(owing.values())) > 1:
        return f"{kind} joins different debts: {said}"
    owed = debtors(frozenset[str]().union(*owing.values()))
    cutting = [name for name, axes in cuts.items() if set(owed).intersection(axes)]
    return f"{cutting[0]} is cut by an axis still owed: {said}" if cutting else ""


def _result(op: Operator, expected: set[str]) -> Iterator[Diagnostic]:
    owes = set(tensor_of(op.out).owes)
    if dropped := expected - owes:
        problem = f"the result owes {_listed(dropped)}, which its type drops"
        yield finding("unpaid", op, problem, expected=_listed(expected), actual=_listed(owes))
    if invented := owes - expected:
        problem = f"the type owes {_listed(invented)} that the operator does not leave"
        yield finding("layout", op, problem, expected=_listed(expected), actual=_listed(owes))


def _listed(owes: set[str] | frozenset[str]) -> str:
    return debts_text(tuple(sorted(owes, key=lambda owed: (kind_of(owed), owed))))
