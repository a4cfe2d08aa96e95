"""Regimes: what of a strategy holds at which sizes. Every regime is a deployment of its own.

place:
  - {at: "*.core", on: pool, when: "seq_len > 4096"}

plan      fa-pool                      with both, each with its condition
regimes   fa-pool[seq_len<=4096]       without that entry
          fa-pool[seq_len>4096]        with it, unconditionally
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from ..diagnostics import Diagnostic, Refused
from ..ir.plan import Plan

SYMBOLS = {"batch_size": "B", "seq_len": "S", "kv_len": "K"}
"""Sizes that a condition may speak of."""

_CONDITION = re.compile(rf"({'|'.join(SYMBOLS)})\s*(<=|>=|<|>)\s*([1-9]\d{{0,8}})", re.ASCII)


@dataclass(frozen=True)
class Regime:
    """Sizes `name` from `above` (not included) to `most` (None: any)."""

    name: str
    above: int
    most: int | None

    def __str__(self) -> str:
        if self.above and self.most:
            return f"{self.above}<{self.name}<={self.most}"
        return f"{self.name}>{self.above}" if self.most is None else f"{self.name}<={self.most}"

    def has(self, size: int) -> bool:
        """Is it the regime of this size?"""
        return self.above < size and (self.most is None or size <= self.most)


def _when(value: Any) -> str:
    """A condition as `seq_len > 4096` or `seq_len <= 4096`, whichever way it is written."""
    match = _CONDITION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"a condition such as seq_len > 4096, of {', '.join(SYMBOLS)}")
    name, sign, number = match[1], match[2], int(match[3]) - (match[2] in ("<", ">="))
    return f"{name} {'>' if sign.startswith('>') else '<='} {number}"


_Text = Annotated[str, Field(pattern=rf"^\s*{_CONDITION.pattern}\s*$", examples=["seq_len > 4096"])]
When = Annotated[Any, PlainValidator(_when, json_schema_input_type=_Text)]


def regimes(plan: Plan) -> tuple[Regime, ...]:
    """The regimes that the conditions of a plan tell apart; none without conditions. Refused where two sizes decide."""
    conditions = sorted({each.when for each in (*plan.rules, *plan.stores, *plan.places) if each.when})
    names = list(dict.fromkeys(_parsed(condition)[0] for condition in conditions))
    if len(names) > 1:
        problem = f"conditions speak of {' and '.join(names)}"
        raise Refused(Diagnostic("rule", problem, plan.where or plan.name, "one size that decides between regimes"))
    edges: list[int] = sorted({0, *(_parsed(condition)[2] for condition in conditions)})
    ends = [*edges[1:], None]
    return tuple(Regime(names[0], low, high) for low, high in zip(edges, ends, strict=True)) if names else ()


def under(plan: Plan, regime: Regime) -> Plan:
    """The plan of one regime: what holds there, without conditions, and a name that says so."""

    def held(each: Any) -> bool:
        return not each.when or _holds(each.when, regime)

    rules, stores, places = (
        tuple(replace(each, when="") for each in listed if held(each))
        for listed in (plan.rules, plan.stores, plan.places)
    )
    return replace(plan, name=f"{plan.name}[{regime}]", rules=rules, stores=stores, places=places)


def _parsed(condition: str) -> tuple[str, str, int]:
    name, sign, number = condition.split()
    return name, sign, int(number)


def _holds(condition: str, regime: Regime) -> bool:
    """Conditions' numbers are edges of regimes, so that one holds in all of a regime or nowhere in it."""
    _, sign, number = _parsed(condition)
    return (regime.above >= number) == (sign == ">")
