"""How many layers each pipeline stage has, as its plan says.

pp = 4 over 94 layers, uneven         24, 24, 23, 23
pp = 2, two chunks, 8 layers, even    2, 2, 2, 2        dealt out in turn: stage 0 has layers 0-1 and 4-5
"""

from __future__ import annotations

from ..diagnostics import Diagnostic, Refused
from ..ir.plan import Plan, Stages


def stage_layers(plan: Plan, layers: int) -> list[int]:
    """Layers of each stage, or of each chunk in turn. Refused where the cut is impossible, naming what would work."""
    if plan.stages is None:
        return [layers]
    count, cut = plan.size(plan.stages.axis) * plan.stages.chunks, plan.stages.layers
    if not isinstance(cut, tuple) and cut not in ("even", "uneven"):
        problem, hint = f"how {cut} cuts the layers is not found yet", "list the layers of each stage"
        raise Refused(Diagnostic("stages", problem, plan.stages.where, hint=hint))
    counts = list(cut) if isinstance(cut, tuple) else [layers // count + (i < layers % count) for i in range(count)]
    problem = _stage_problem(plan.stages, counts, count, layers)
    if problem:
        raise Refused(problem)
    return counts


def _stage_problem(stages: Stages, counts: list[int], count: int, layers: int) -> Diagnostic | None:
    where = stages.where
    if len(counts) != count or sum(counts) != layers:
        return Diagnostic(
            "stages",
            f"the listed stages hold {sum(counts)} layers in {len(counts)} stages",
            where,
            expected=f"{count} counts that sum to {layers}",
            actual=", ".join(map(str, counts)),
        )
    if min(counts) < 1:
        hint = f"use at most {layers // stages.chunks} stages"
        return Diagnostic("OUT6", f"{_called(stages, count)} leaves GPUs idle: {layers} layers", where, hint=hint)
    if stages.layers == "even" and len(set(counts)) > 1:
        return Diagnostic(
            "stages",
            f"{_called(stages, count)} does not divide {layers} layers evenly",
            where,
            expected=f"a divisor of {layers} ({', '.join(str(d) for d in range(1, layers + 1) if layers % d == 0)})",
            actual=str(count),
            hint=f"use --stages uneven ({', '.join(map(str, counts))}), or list the layers of each stage",
        )
    return None


def _called(stages: Stages, count: int) -> str:
    """The number of parts, and how it comes about: `pp = 4`, or `pp × chunks = 4 × 2 = 8`."""
    if stages.chunks == 1:
        return f"{stages.axis} = {count}"
    return f"{stages.axis} × chunks = {count // stages.chunks} × {stages.chunks} = {count}"
