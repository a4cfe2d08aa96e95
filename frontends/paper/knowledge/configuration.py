"""A configuration of Hugging Face → the facts of a model, each with the line that says it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ...huggingface import model_of
from ...json_reader import parse_json
from ...model import Model
from ...parsed import read_text
from ..facts import Fact, Source, Value
from .subjects import Subject

SAID_BY: dict[str, tuple[str, ...]] = {
    "hidden": ("hidden_size",),
    "layers": ("num_hidden_layers",),
    "heads": ("num_attention_heads",),
    "kv_heads": ("num_key_value_heads", "num_attention_heads"),
    "d_k": ("head_dim", "hidden_size"),
    "ffn": ("moe_intermediate_size", "intermediate_size"),
    "activation": ("hidden_act",),
    "gated": ("architectures",),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "top_k": ("num_experts_per_tok",),
    "shared_ffn": ("shared_expert_intermediate_size", "n_shared_experts"),
    "dense_layers": ("first_k_dense_replace", "mlp_only_layers"),
    "dense_ffn": ("intermediate_size",),
    "vocab": ("vocab_size",),
    "tied": ("tie_word_embeddings",),
    "norm": ("rms_norm_eps", "architectures"),
    "rope": ("rope_theta", "architectures"),
    "window": ("sliding_window",),
    "dtype": ("torch_dtype", "dtype", "architectures"),
}
"""Key of a description → keys of a configuration, the first of which that it has says it."""


def configured(path: Path) -> list[tuple[Fact, Subject]] | None:
    """The facts of the model that a `config.json` describes, and its name; None for any other file. Refused where it
    is the configuration of an architecture that dagc does not know, or is broken.
    """
    if path.suffix.lower() != ".json":
        return None
    text = read_text(path)
    parsed = parse_json(text, path.name)
    if not isinstance(parsed.data, dict) or "architectures" not in parsed.data:
        return None
    lines, subject = text.split("\n"), Subject(_name(parsed.data, path))
    values = _values(model_of(parsed, path.stem))
    return [(Fact(key, value, _source(SAID_BY[key], lines)), subject) for key, value in values if value is not None]


def _name(data: dict[str, object], path: Path) -> str:
    """As the file says, else its own name, or that of the folder of a `config.json`."""
    stated = data.get("_name_or_path")
    named = path.stem if path.stem != "config" else path.parent.name
    return stated.rstrip("/").rpartition("/")[2] if isinstance(stated, str) and stated else named


def _source(keys: tuple[str, ...], lines: list[str]) -> Source:
    for key in keys:
        form = re.compile(rf'"{re.escape(key)}"\s*:\s*[^,]*')
        for number, line in enumerate(lines, 1):
            if match := form.search(line):
                return Source(number, match[0].strip())
    return Source(1, lines[0].strip())


def _values(model: Model) -> Iterator[tuple[str, Value | None]]:
    attention, moe = model.attention, model.moe
    feed_forward = moe.expert if moe else model.dense
    yield from (("hidden", model.hidden), ("layers", len(model.layers)), ("heads", attention.heads))
    if attention.latent is None:
        yield from (("kv_heads", attention.kv_heads), ("d_k", attention.d_k), ("window", attention.window))
    if feed_forward:
        yield from (("ffn", feed_forward.width), ("activation", feed_forward.activation), ("gated", feed_forward.gated))
    if moe:
        yield from (("experts", moe.experts), ("top_k", moe.top_k))
        yield "shared_ffn", moe.shared.width if moe.shared else None
        dense = tuple(i for i, kind in enumerate(model.layers) if kind == "dense")
        yield "dense_layers", dense or None
        yield "dense_ffn", model.dense.width if dense and model.dense else None
    yield from (("vocab", model.vocab), ("tied", model.tied), ("norm", model.norm), ("rope", attention.rope))
    yield "dtype", model.dtype
