"""Phases: what of a strategy holds in prefill and what in decode, where each is a program on GPUs of its own.

place:
  - {at: "*", on: prefill, phase: prefill}
  - {at: "*", on: decode,  phase: decode}

plan              with both, each with its phase
prefill program   `*` on prefill; what it leaves of caches is kept where decode looks for it: keeps `*` on decode
decode program    `*` on decode, the pool prefill idle

That caches are handed over is said nowhere: it follows from the two programs, as a move does from two layouts.
"""

from __future__ import annotations

from dataclasses import replace

from ..ir.plan import Placing, Plan
from .model import Phase


def is_apart(plan: Plan) -> bool:
    """Has each phase a program of its own, the first of which leaves its caches to the second?"""
    return any(placing.phase for placing in plan.places)


def in_phase(plan: Plan, phase: Phase) -> Plan:
    """The plan of one phase: what holds in it, unconditionally. A pool on which it has nothing may be idle."""
    if not is_apart(plan):
        return plan
    places = _held(plan, phase)
    keeps = _held(plan, Phase.DECODE) if phase is Phase.PREFILL else ()
    used = {placing.on for placing in (*places, *keeps)}
    pools = tuple(replace(pool, idle=pool.idle or pool.name not in used) for pool in plan.pools)
    return replace(plan, places=places, keeps=keeps, pools=pools)


def _held(plan: Plan, phase: Phase) -> tuple[Placing, ...]:
    return tuple(replace(each, phase="") for each in plan.places if each.phase in ("", phase))
