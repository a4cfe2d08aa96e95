"""Models of the catalogue in the keys of a description, and what a paper says otherwise of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...model import Attention, Model
from ..facts import Fact, Value

_AS_WIDE = {"f16": "bf16"}
"""Types that are as wide as another: not worth another model."""


def published_facts(model: Model) -> dict[str, Value]:
    """What a model of the catalogue is, in the keys of a description."""
    facts = {"layers": len(model.layers), "hidden": model.hidden, "heads": model.attention.heads, "vocab": model.vocab}
    facts |= {"norm": model.norm, "dtype": model.dtype, "tied": model.tied}
    network = model.moe.expert if model.moe else model.dense
    if network:
        facts |= {"ffn": network.width, "activation": network.activation, "gated": network.gated}
    facts |= dict(_attention(model.attention)) | dict(_experts(model))
    return {key: value for key, value in facts.items() if value is not None}


def _attention(attention: Attention) -> Iterator[tuple[str, Value | None]]:
    if attention.latent:
        for key in ("q_rank", "kv_rank", "d_nope", "d_rope", "d_v"):
            yield f"latent.{key}", getattr(attention.latent, key)
        return
    for key in ("kv_heads", "d_k", "rope", "window", "qkv_bias", "o_bias", "qk_norm"):
        yield key, getattr(attention, key)


def _experts(model: Model) -> Iterator[tuple[str, Value | None]]:
    if model.moe is None:
        return
    for key in ("experts", "top_k", "normalize"):
        yield key, getattr(model.moe, key)
    yield "shared_ffn", model.moe.shared.width if model.moe.shared else None
    if dense := tuple(i for i, kind in enumerate(model.layers) if kind == "dense"):
        yield "dense_layers", dense
        yield "dense_ffn", model.dense.width if model.dense else None


def differing(stated: Iterable[Fact], model: Model) -> list[Fact]:
    """Facts that say otherwise than the catalogue."""
    own = published_facts(model)
    return [fact for fact in stated if fact.key in own and _wide(fact.value) != _wide(own[fact.key])]


def _wide(value: Value) -> Value:
    return _AS_WIDE.get(value, value) if isinstance(value, str) else value
