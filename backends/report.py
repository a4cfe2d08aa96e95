"""<strategy>.report.json: figures, proofs with their preconditions, assumptions and warnings of one deployment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..diagnostics import Diagnostic
from ..ir.local import FULL_NAMES
from ..ir.plan import Plan, Rule, Stages


def report(
    *,
    identity: dict[str, Any],
    plan: Plan | None,
    sizes: dict[str, int | None],
    figures: dict[str, Any],
    certificate: dict[str, Any],
    assumed: Sequence[str],
    diagnostics: Sequence[Diagnostic],
    alternatives: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Everything that is known of one deployment, as plain data."""
    return {
        **identity,
        "plan": _plan(plan) if plan else None,
        "alternatives": list(alternatives),
        "sizes": {str(name): sizes[symbol] for symbol, name in FULL_NAMES.items() if symbol in sizes},
        "assumptions": list(assumed),
        "warnings": [d.as_dict() for d in diagnostics if d.severity == "warning"],
        "errors": [d.as_dict() for d in diagnostics if d.severity == "error"],
        "certificate": certificate,
        "measurements": figures,
    }


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "about": plan.about,
        "mesh": {axis.name: axis.size for axis in plan.axes},
        "folds": [{axis: list(own) for axis, own in mesh} for mesh in plan.folds],
        "rules": [_rule(rule) for rule in plan.rules],
        "stores": [_rule(rule) for rule in plan.stores],
        "stages": _stages(plan.stages) if plan.stages else None,
        "micro_batches": plan.micro_batches,
        "token_chunks": plan.token_chunks,
        "pools": {pool.name: list(pool.axes) for pool in plan.pools},
        "place": [{"at": list(placing.at), "on": placing.on, "where": placing.where} for placing in plan.places],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    orders = {"orders": dict(rule.orders)} if rule.orders else {}
    return {"at": list(rule.at), "axis": rule.axis, "cuts": list(rule.cuts), "where": rule.where} | orders


def _stages(stages: Stages) -> dict[str, Any]:
    layers = list(stages.layers) if isinstance(stages.layers, tuple) else str(stages.layers)
    return {"axis": stages.axis, "layers": layers} | ({"chunks": stages.chunks} if stages.chunks > 1 else {})
