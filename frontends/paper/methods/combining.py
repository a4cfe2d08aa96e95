"""Proposals that are nothing but degrees: `EP=16, TP=4, DP=4` as the product, or the fold, that 16 GPUs make of it.

tp=4,dp=4        on 16 GPUs   the product
ep=4,tp=4        on 16 GPUs   the product
ep=16,tp=4,dp=4  on 16 GPUs   attention TP4 × DP4, the same GPUs as EP16 for the experts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from ..facts import Method, Value
from .baselines import Degrees
from .drafts import Draft
from .mechanisms import Mechanism
from .statements import Role
from .templates import filled

AROUND = ("tp", "pp", "dp")
"""Axes that may stand around a method's own."""
FOLDED: dict[str, Any] = {
    "about": "attention tensor and data parallel, experts over the same GPUs",
    "rules": [
        {"at": "*", "cut": {"dp": "batch_size", "tp": "batch_size"}},
        {"at": "*.attention", "cut": {"tp": "heads"}},
        {"at": "*.ffn", "cut": {"tp": "ffn"}},
        {"at": "*.experts", "cut": {"dp": "experts", "tp": "experts"}},
        {"at": ["embed", "head"], "cut": {"tp": "vocab"}},
    ],
}


def combined(found: Sequence[Degrees], known: Mapping[str, Value], compared: Sequence[Method]) -> list[Method]:
    """Every set of degrees that is no baseline's, once; those that a paper calls its own first, if it does."""
    taken = {method.strategy for method in compared}
    others = [one for one in found if one.text not in taken and not _parts_of(one, compared)]
    whole = [one for one in others if not any(one is not other and one.within(other) for other in others)]
    own = [one for one in whole if one.statement.role is Role.PROPOSED]
    made = [_method(one, known, one in own or not own) for one in {one.text: one for one in reversed(whole)}.values()]
    return sorted(made, key=lambda method: method.role == "compared")


def beside(draft: Draft, found: Sequence[Degrees]) -> Draft:
    """A method in a text with the axes that the paper writes beside its own, where they make up the GPUs:
    ring=4 and "CP4 with TP8 in each" on 32 GPUs are ring=4,tp=8.
    """
    gpus, own = draft.values.get("gpus"), _axes_of(draft.mechanism)
    if not isinstance(draft.template, str) or draft.lacking or not isinstance(gpus, int):
        return draft
    size = prod(int(entry.partition("=")[2] or 1) for entry in filled(draft.template, draft.values).split(","))
    for one in found:
        others = {axis: n for axis, n in one.sizes.items() if axis not in own and n > 1}
        if own & {*one.sizes} and set(others) <= {*AROUND} and others and size * prod(others.values()) == gpus:
            more = "".join(f",{axis}={n}" for axis, n in others.items())
            return replace(draft, template=draft.template + more, sources=(*draft.sources[:3], one.source))
    return draft


def _axes_of(mechanism: Mechanism) -> set[str]:
    """The axes whose degrees give a mechanism's sizes."""
    ways = [way for ways in mechanism.parameters.values() for way in ways]
    return {way.removeprefix("degree ") for way in ways if way.startswith("degree ")}


def _parts_of(one: Degrees, compared: Sequence[Method]) -> bool:
    return (
        any(f"{axis}={size}" in m.strategy.split(",") for m in compared for axis, size in one.sizes.items())
        and len(one.sizes) == 1
    )


def _method(one: Degrees, known: Mapping[str, Value], proposed: bool) -> Method:
    role = "proposed" if proposed else "compared"
    gpus, sizes = known.get("gpus"), dict(one.sizes)
    experts = sizes.get("ep", 0)
    others = {axis: size for axis, size in sizes.items() if axis != "ep"}
    if experts and experts == gpus and {*others} == {"dp", "tp"} and prod(others.values()) == gpus:
        name = "-".join(f"{axis}{size}" for axis, size in sizes.items())
        body = {**FOLDED, "mesh": {"dp": others["dp"], "tp": others["tp"]}}
        return Method(name, role, name, (one.source,), body, "folded")
    if experts and experts == gpus and others.get("dp") == gpus:
        sizes = {"ep": experts}
    text = ",".join(f"{axis}={size}" for axis, size in sizes.items())
    return Method(one.text, role, text, (one.source,), mechanism="degrees")
