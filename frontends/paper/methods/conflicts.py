"""What a paper says of a method that cannot all hold: 64 experts, one on a GPU, 16 GPUs → four on a GPU.

The planner would take the plan (16 parts on 16 GPUs); it is the paper's own numbers that do not go together. Which do
not, and what is drawn, is data (`tables/conflicts.yaml`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from ..facts import Remark, Verdict
from .arithmetic import evaluated, worked
from .drafts import Draft
from .patterns import table


def settled(draft: Draft) -> tuple[Draft, list[Remark]]:
    """The method as it can hold, and what was changed."""
    remarks = []
    for entry in _table().values():
        if draft.mechanism.name in entry["of"] and _larger(entry["larger"], draft.values):
            remarks.append(_remark(entry, draft))
            if made := worked(entry.get("strategy", ""), draft.values, grouped=False):
                draft = replace(draft, template=made)
    return draft, remarks


@cache
def _table() -> dict[str, dict[str, Any]]:
    return table("conflicts.yaml")


def _larger(pair: list[str], values: Mapping[str, object]) -> bool:
    first, second = (evaluated(expression, values) for expression in pair)
    return first is not None and second is not None and first > second


def _remark(entry: Mapping[str, Any], draft: Draft) -> Remark:
    broken = next((p.source for p in draft.parameters if p.name == entry["parameter"] and p.source), None)
    sources = (broken,) if broken else draft.sources[:1]
    instead = tuple(text for other in entry["instead"] if (text := worked(other, draft.values, grouped=False)))
    arithmetic = worked(entry["arithmetic"], draft.values)
    return Remark(Verdict.FIXED, draft.mechanism.name, entry["text"], sources, arithmetic, instead)
