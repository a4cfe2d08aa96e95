"""A model written in a YAML description → Model.

    {name: large-ep, hidden: 4096, layers: 16, heads: 32, ffn: 16384, experts: 16, top_k: 2, gated: false}

What the description leaves out is listed under `Model.assumed`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from ..diagnostics import Diagnostic
from .consistency import group_problems, head_problems, head_size_problems, layer_problems, router_problems
from .model import Attention, FeedForward, Latent, MixtureOfExperts, Model
from .padding import padded
from .parsed import Parsed
from .schema import MAX_SIZE, Flag, LayerList, Layers, Name, Size, Strict, checked


class LatentText(Strict):
    """What heads of latent attention share; a query is made through `q_rank` if that is given."""

    q_rank: Size | None = None
    """Width of the latent a query is made through; made from the token itself if not said."""
    kv_rank: Size
    """Width of the latent of keys and values."""
    d_nope: Size
    """Part of a head's key that is not rotated."""
    d_rope: Size
    """Part that is, shared by all heads."""
    d_v: Size
    """Dimension of a head's value."""


class RoutingText(Strict):
    """How tokens choose experts, where it is not by the top-k of a softmax."""

    scoring: Literal["softmax", "sigmoid"] = "softmax"
    """What makes scores of the gate's logits."""
    scale: Annotated[float, Field(gt=0, lt=MAX_SIZE)] = 1.0
    """The chosen weights are multiplied by it."""
    correction: Flag = False
    """A bias of every expert counts for the choice, not for the weight."""
    groups: Size = 1
    """Groups that experts are in."""
    top_groups: Size = 1
    """Groups whose experts a token may choose."""
    group_best: Size = 1
    """A group's score is the sum of so many best ones."""


class ModelText(Strict):
    """The keys of a described model. `ffn` is the width of an expert where there are experts."""

    name: Name
    """What it is called in folders and pictures."""
    hidden: Size
    """Width of a token between the layers: token, embedding or model dimension."""
    layers: Layers
    """How many layers there are, dense and of experts."""
    heads: Size
    """Query heads."""
    kv_heads: Size | None = None
    """Key and value heads; as many as heads if not said."""
    d_k: Size | None = None
    """Dimension of a head; hidden / heads if not said."""
    ffn: Size
    """Hidden width of the feed-forward network, of one expert where there are experts."""
    activation: Literal["silu", "gelu", "gelu_tanh", "relu"] = "silu"
    """Activation of the feed-forward network."""
    gated: Flag = True
    """Three matrices (gate, up, down) or two (up, down)."""
    experts: Size | None = None
    """Routed experts of a layer."""
    top_k: Size | None = None
    """Experts that see a token."""
    normalize: Flag = True
    """The chosen experts' weights are divided by their sum."""
    shared_ffn: Size | None = None
    """Hidden width of the expert that sees every token."""
    shared_gate: Flag = False
    """Its result is scaled by a gate of its own."""
    dense_layers: LayerList = []
    """Layers, from 0, that have a dense feed-forward network in place of experts."""
    dense_ffn: Size | None = None
    """Hidden width of the feed-forward network of those."""
    vocab: Size | None = None
    """Tokens of the vocabulary; if not said, hidden states go in and come out."""
    make_vocab_size_divisible_by: Size | None = None
    """It is padded to a multiple of this, so that axes divide it."""
    tied: Flag = False
    """The head is the transposed embedding."""
    norm: Literal["rms_norm", "layer_norm"] = "rms_norm"
    """Kind of norm."""
    rope: Flag = False
    """Rotary position embedding."""
    causal: Flag = True
    """A token attends to those before it only."""
    window: Size | None = None
    """It attends to the last so many only."""
    qkv_bias: Flag = False
    """The projections of queries, keys and values have a bias."""
    o_bias: Flag = False
    """The output projection has one."""
    qk_norm: Flag = False
    """Norms of queries and keys, per head."""
    dtype: Literal["bf16", "f16", "f32", "f8"] = "bf16"
    """Element type of weights and values."""
    latent: LatentText | None = None
    """Heads share a latent (MLA)."""
    routing: RoutingText | None = None
    """How tokens choose experts, where it is not by the top-k of a softmax."""


PARTS = ("latent", "routing", "make_vocab_size_divisible_by")
"""Keys that few models have; that one lacks them is not worth saying."""
INSTEAD = ("kv_heads", "d_k", "rope", "window", "qkv_bias", "o_bias", "qk_norm")
"""Keys of grouped attention that say nothing where heads share a latent."""
NEEDS: dict[str, str] = {
    "top_k": "experts",
    "normalize": "experts",
    "shared_ffn": "experts",
    "shared_gate": "shared_ffn",
    "dense_layers": "experts",
    "dense_ffn": "dense_layers",
    "tied": "vocab",
    "make_vocab_size_divisible_by": "vocab",
    "routing": "experts",
}
"""Keys that say something only where another is given."""

ORIGIN = {
    "hidden": "hidden",
    "layers": "layers",
    "attention": "heads",
    "dense": "ffn",
    "ffn": "ffn",
    "moe": "experts",
    "vocab": "vocab",
    "embed": "vocab",
    "head": "vocab",
    "norm": "norm",
    "dtype": "dtype",
    "tied": "tied",
}
"""Part of a model → the key that a message or a location about it points at."""


def described_model(parsed: Parsed) -> tuple[Model | None, list[Diagnostic]]:
    """The model, or None and everything that is wrong with its description."""
    text, problems = checked(ModelText, parsed)
    if text is None:
        return None, problems
    problems = list(_problems(text, parsed))
    if problems:
        return None, problems
    model = _model(text, parsed)
    return (padded(model, text.make_vocab_size_divisible_by) if text.make_vocab_size_divisible_by else model), []


def _problems(text: ModelText, parsed: Parsed) -> Iterator[Diagnostic]:
    yield from head_problems(text.heads, text.kv_heads, parsed.where)
    for key in INSTEAD if text.latent else ():
        if key in text.model_fields_set:
            yield Diagnostic("unknown-key", f"key {key} says nothing beside latent", parsed.where(key))
    if text.routing:
        routing = text.routing
        yield from group_problems(
            text.experts, routing.groups, routing.top_groups, lambda name: parsed.where("routing", name)
        )
    if text.d_k is None and text.latent is None:
        yield from head_size_problems(text.hidden, text.heads, parsed.where)
    yield from router_problems(text.experts, text.top_k, parsed.where)
    yield from layer_problems(text.dense_layers, text.layers, parsed.where)
    for key, needed in NEEDS.items():
        if getattr(text, key) and key in text.model_fields_set and not getattr(text, needed):
            yield Diagnostic("unknown-key", f"key {key} says nothing without {needed}", parsed.where(key))
    for key, needing in (("top_k", True), ("dense_ffn", text.dense_layers)):
        if text.experts and needing and not getattr(text, key):
            yield Diagnostic("missing-key", f"key {key} is missing", parsed.where())


def _model(text: ModelText, parsed: Parsed) -> Model:
    return Model(
        name=text.name,
        hidden=text.hidden,
        layers=_layers(text),
        attention=_attention(text),
        norm=text.norm,
        dtype=text.dtype,
        dense=_dense(text),
        moe=_experts(text),
        vocab=text.vocab,
        tied=text.tied,
        where=parsed.where(),
        assumed=tuple(_assumed(text)),
        origin={part: parsed.where(key) for part, key in ORIGIN.items()},
    )


def _layers(text: ModelText) -> tuple[str, ...]:
    if not text.experts:
        return ("dense",) * text.layers
    dense = set(text.dense_layers)
    return tuple("dense" if layer in dense else "moe" for layer in range(text.layers))


def _attention(text: ModelText) -> Attention:
    if text.latent:
        latent = Latent(**text.latent.model_dump())
        size = latent.d_nope + latent.d_rope
        return Attention(text.heads, text.heads, size, rope=True, causal=text.causal, latent=latent)
    return Attention(
        heads=text.heads,
        kv_heads=text.kv_heads or text.heads,
        d_k=text.d_k or text.hidden // text.heads,
        rope=text.rope,
        causal=text.causal,
        window=text.window,
        qkv_bias=text.qkv_bias,
        o_bias=text.o_bias,
        qk_norm=text.qk_norm,
    )


def _dense(text: ModelText) -> FeedForward | None:
    width = text.dense_ffn if text.experts else text.ffn
    return FeedForward(width, text.activation, text.gated) if width else None


def _experts(text: ModelText) -> MixtureOfExperts | None:
    if not text.experts or not text.top_k or len(set(text.dense_layers)) == text.layers:
        return None
    shared = FeedForward(text.shared_ffn, text.activation, text.gated) if text.shared_ffn else None
    expert = FeedForward(text.ffn, text.activation, text.gated)
    routing = text.routing.model_dump() if text.routing else {}
    return MixtureOfExperts(text.experts, text.top_k, expert, text.normalize, shared, text.shared_gate, **routing)


def _assumed(text: ModelText) -> Iterator[str]:
    """Every key that was left out and says something here, with the value taken for it."""
    derived = {"kv_heads": f"{text.heads} (= heads)", "d_k": f"{text.hidden // text.heads} (hidden / heads)"}
    derived["vocab"] = "none (hidden states in and out)"
    for key, field in ModelText.model_fields.items():
        stated = key in text.model_fields_set and (key not in derived or key == "vocab" or getattr(text, key))
        moot = key in (*PARTS, "experts") or (text.latent is not None and key in INSTEAD)
        if stated or field.is_required() or moot or (key in NEEDS and not getattr(text, NEEDS[key])):
            continue
        yield f"{key} = {derived.get(key) or _written(getattr(text, key))}"


def _written(value: Any) -> str:
    if value is None or value == []:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
