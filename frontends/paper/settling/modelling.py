"""What is said of one model → the model of a description: a name of the catalogue, or all its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...catalogue import builtin_model
from ...model_text import INSTEAD, NEEDS
from ..facts import Fact, How, Remark, Verdict
from .deciding import Decisions
from .describing import LATENT_KEYS, MODEL_KEYS, described
from .filling import NOWHERE, Chosen, choose, declare, derive, lacking
from .published import differing, published_facts
from .scoping import Scope

EXTRA = ("attention_kind", "heads_per_kv", "ffn_ratio", "shared_experts", "shared_width", "dense_first")
"""Facts that no key of a description holds, but that others are derived of."""
NARROWED = {
    "int8": ("f8", "as wide: one byte a value"),
    "int4": ("f8", "the narrowest that is drawn; its bytes are half"),
}
"""Types of values that are not drawn → the one that is taken, and why."""


def model_of(decisions: Decisions, scope: Scope, given: Mapping[str, int]) -> dict[str, Any] | str:
    """The model; `given` are values of methods and cluster that its defaults rest on."""
    chosen = decisions.decided(scope.facts, scope.name)
    if scope.published:
        return _published(decisions, scope, chosen)
    keys = (*MODEL_KEYS, *EXTRA)
    latent = _is_latent(chosen)
    _dense_first(chosen)
    for key in INSTEAD if latent else ():
        chosen.pop(key, None)
    usable = tuple(key for key in keys if not latent or key not in INSTEAD)
    decisions.remarks += derive(chosen, usable, scope.name)
    decisions.remarks += choose(chosen, usable, scope.name, {**given, **({"mla": 1} if latent else {})})
    decisions.remarks += _narrowed(chosen, scope.name)
    for key in [key for key in chosen if key in NEEDS and NEEDS[key] not in chosen]:
        del chosen[key]
    decisions.remarks += declare(chosen, "model", scope.name, INSTEAD if latent else ())
    decisions.remarks += lacking(chosen, usable, scope.name)
    decisions.counted += chosen.values()
    return described(scope.name, chosen)


def _is_latent(chosen: Chosen) -> bool:
    kind = chosen.get("attention_kind")
    return any(key in chosen for key in LATENT_KEYS) or (kind is not None and kind.value == "mla")


def _dense_first(chosen: Chosen) -> None:
    """ "The first three layers are dense" → their indices."""
    first = chosen.get("dense_first")
    if first is not None and isinstance(first.value, int) and "experts" in chosen:
        chosen["dense_layers"] = replace(first, key="dense_layers", value=tuple(range(first.value)))


def _narrowed(chosen: Chosen, of: str) -> list[Remark]:
    fact = chosen.get("dtype")
    if fact is None or fact.value not in NARROWED:
        return []
    taken, why = NARROWED[str(fact.value)]
    text = f"{fact.value} is drawn as {taken}, {why}"
    chosen["dtype"] = replace(fact, value=taken, how=How.DERIVED, why=text)
    return [Remark(Verdict.ASSUMED, f"{of}: dtype", text, (fact.source,))]


def _published(decisions: Decisions, scope: Scope, chosen: Chosen) -> dict[str, Any] | str:
    """A model of the catalogue by its name, unless the paper says otherwise of it."""
    model = builtin_model(scope.published)
    _narrowed(chosen, scope.name)
    stated = differing(chosen.values(), model)
    decisions.counted += [replace(fact, of=scope.name) for fact in chosen.values()]
    if not stated:
        return scope.published
    own, name = published_facts(model), f"{scope.name}-as-stated"
    for fact in stated:
        text = f"{fact.key} = {fact.value} as the paper says; of {scope.published} it is {own[fact.key]}"
        decisions.remarks.append(Remark(Verdict.CONTRADICTION, f"{scope.name}: {fact.key}", text, (fact.source,)))
    known = Fact("", 0, NOWHERE, of=name, how=How.DECLARED, why=f"as published of {scope.published}")
    changed = {key: replace(known, key=key, value=value) for key, value in own.items()}
    changed |= {fact.key: replace(fact, of=name) for fact in stated}
    decisions.counted += changed.values()
    return described(name, changed)
