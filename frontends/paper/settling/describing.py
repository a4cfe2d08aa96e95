"""Settled facts → the keys of a YAML description."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...gpus import find_gpu
from ...model_text import ModelText
from ..facts import Method, Value
from .filling import Chosen

LATENT_KEYS = ("latent.q_rank", "latent.kv_rank", "latent.d_nope", "latent.d_rope", "latent.d_v")
MODEL_KEYS = (*ModelText.model_fields, *LATENT_KEYS)
CLUSTER_KEYS = ("gpu", "gpus", "gpus_per_node", "memory", "cache", "links.inside", "links.across")
SIZE_KEYS = ("batch_size", "seq_len", "kv_len", "phase")


def described(name: str, chosen: Chosen) -> dict[str, Any]:
    """A model in the keys of a description, in their order."""
    return {"name": name, **_nested(chosen, MODEL_KEYS)}


def cluster_of(chosen: Chosen) -> dict[str, Any]:
    """The cluster. A type of GPU that the table of GPUs does not have counts with memory and links only."""
    known = {key: fact for key, fact in chosen.items() if key != "gpu" or find_gpu(str(fact.value))}
    whole = all(key in chosen for key in ("memory", "links.inside", "links.across"))
    return _nested(chosen if whole else known, CLUSTER_KEYS)


def sizes_of(chosen: Chosen) -> dict[str, Any]:
    return _nested(chosen, SIZE_KEYS)


def in_order(parts: Mapping[str, Any]) -> dict[str, Any]:
    """A description with its outermost keys in their order."""
    return {key: parts[key] for key in ("models", "cluster", "baseline", "strategies", "sizes") if key in parts}


def methods_as(methods: Iterable[Method]) -> dict[str, Any]:
    """Baseline and strategies; a body stands under its name."""
    found = list(methods)
    baseline = next((_entry(method) for method in found if method.role == "baseline"), None)
    strategies = [_entry(method) for method in found if method.role != "baseline"]
    return {**({"baseline": baseline} if baseline else {}), **({"strategies": strategies} if strategies else {})}


def _entry(method: Method) -> Any:
    return {method.strategy: method.body} if method.body else method.strategy


def _nested(chosen: Chosen, keys: Iterable[str]) -> dict[str, Any]:
    """`links.inside` becomes a key of a mapping `links`."""
    found: dict[str, Any] = {}
    for key in keys:
        if key in chosen:
            outer, _, inner = key.partition(".")
            value = _plain(chosen[key].value)
            if inner:
                found.setdefault(outer, {})[inner] = value
            else:
                found[outer] = value
    return found


def _plain(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value
