"""Which plan one module gets where passes are run by hand: `dagc opt` makes one program, not all of a strategy's.

    two-level, sizes bound       the alternative that sends the fewest bytes per GPU, as `dagc lower` keeps it
    fa-pool, seq_len = 8192      the regime seq_len>4096
    fa-pool, seq_len unbound     the first regime; `dagc lower` makes every one

What was decided is said, as warnings.
"""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.dialects.builtin import ModuleOp

from .choosing import FEWEST, UNBOUND, bytes_sent, fewest
from .diagnostics import Diagnostic, Refused
from .fitting import fitted
from .frontends.cluster_text import default_cluster
from .frontends.model import Phase
from .frontends.phases import in_phase
from .frontends.regimes import SYMBOLS, regimes, under
from .ir.dims import Sizes
from .ir.module import annotate, sizes_of
from .ir.ops.program import StateOp
from .ir.plan import Plan
from .passes.measure import measure
from .pipeline import lower


def decided(ways: Mapping[str, Plan], module: ModuleOp) -> tuple[Plan, list[Diagnostic]]:
    """The plan for a logical module of one that lists these alternatives, and what was decided. Refused where none
    can be lowered.
    """
    phase = Phase.DECODE if any(isinstance(op, StateOp) for op in module.walk()) else Phase.PREFILL
    made = {way: _in_regime(in_phase(plan, phase), sizes_of(module)) for way, plan in ways.items()}
    plans = {way: fitted(plan, module, default_cluster()[0])[0] for way, (plan, _) in made.items()}
    kept, said = _fewest(plans, module) if len(plans) > 1 else (next(iter(plans)), [])
    return plans[kept], [*said, *made[kept][1]]


def _in_regime(plan: Plan, sizes: Sizes) -> tuple[Plan, list[Diagnostic]]:
    """The plan of the regime that sizes are in."""
    found = regimes(plan)
    if not found:
        return plan, []
    name = found[0].name
    bound = dict(sizes.bound)
    size = bound.get(SYMBOLS[name], bound["S"])
    regime = next((one for one in found if size is not None and one.has(size)), found[0])
    others = ", ".join(str(one) for one in found if one is not regime)
    why = f"{name} is {'unbound' if size is None else size}"
    return under(plan, regime), [_said(plan, f"the regime {regime} is taken ({why}), not {others}")]


def _fewest(plans: Mapping[str, Plan], module: ModuleOp) -> tuple[str, list[Diagnostic]]:
    """The alternative that sends the fewest bytes per GPU."""
    sent: dict[str, int | str] = {}
    refused: list[Diagnostic] = []
    for way, plan in plans.items():
        try:
            sent[way] = _sends(plan, module.clone())
        except Refused as problem:
            refused += problem.diagnostics
    if not sent:
        raise Refused(*dict.fromkeys(refused))
    kept = list(sent)[fewest([*sent.values()])]
    why = UNBOUND if isinstance(sent[kept], str) else FEWEST
    others = ", ".join(f"{way} ({sent.get(way, 'refused')})" for way in plans if way != kept)
    return kept, [_said(plans[kept], f"the alternative `{kept}` is taken ({sent[kept]}; {why}), not {others}")]


def _sends(plan: Plan, module: ModuleOp) -> int | str:
    annotate(module, plan=plan)
    sent = bytes_sent(measure(lower(module)))
    assert sent is not None
    return sent


def _said(plan: Plan, problem: str) -> Diagnostic:
    hint = "dagc lower makes and compares all of a strategy's"
    return Diagnostic("rule", problem, plan.where or plan.name, hint=hint, severity="warning")
