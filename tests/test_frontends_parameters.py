"""Read configurations describe exactly the weights of the reference implementation."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import pytest

from dagc.frontends.catalogue import find_model
from dagc.frontends.huggingface import read_config
from dagc.frontends.model import FeedForward, Latent, Model

CONFIGS = sorted((Path(__file__).parent / "data" / "configs").iterdir())


def ffn_parameters(hidden: int, ffn: FeedForward) -> int:
    matrices = 3 if ffn.gated else 2
    biases = (matrices - 1) * ffn.width + hidden if ffn.bias else 0
    return matrices * hidden * ffn.width + biases


def attention_parameters(model: Model) -> int:
    spec, hidden = model.attention, model.hidden
    if spec.latent:
        return latent_parameters(model, spec.latent)
    q, kv = spec.heads * spec.d_k, spec.kv_heads * spec.d_k
    biases = (q + 2 * kv) * spec.qkv_bias + hidden * spec.o_bias
    return hidden * (2 * q + 2 * kv) + biases + 2 * spec.d_k * spec.qk_norm


def latent_parameters(model: Model, latent: Latent) -> int:
    heads, hidden = model.attention.heads, model.hidden
    query, rank = heads * (latent.d_nope + latent.d_rope), latent.q_rank
    queries = hidden * rank + rank + rank * query if rank else hidden * query
    down = hidden * (latent.kv_rank + latent.d_rope) + latent.kv_rank
    return queries + down + heads * (latent.kv_rank * (latent.d_nope + latent.d_v) + latent.d_v * hidden)


def layer_parameters(model: Model, kind: str) -> int:
    hidden, total = model.hidden, attention_parameters(model) + 2 * model.hidden
    if kind == "dense":
        assert model.dense
        return total + ffn_parameters(hidden, model.dense)
    assert model.moe
    total += model.moe.experts * (hidden + ffn_parameters(hidden, model.moe.expert))
    if model.moe.shared:
        total += ffn_parameters(hidden, model.moe.shared) + hidden * model.moe.shared_gate
    return total


def parameters(model: Model) -> int:
    ends = (2 - model.tied) * model.vocab * model.hidden + model.hidden if model.vocab else 0
    return ends + sum(layer_parameters(model, kind) for kind in model.layers)


@pytest.mark.parametrize("folder", CONFIGS, ids=lambda folder: folder.name)
def test_totals_are_those_of_the_reference(folder: Path) -> None:
    reference = json.loads((folder / "weights.json").read_text())
    counted = (w for w in reference["weights"] if "kind" not in w)
    assert sum(prod(w["shape"]) * w["count"] for w in counted) == reference["total"]
    assert parameters(read_config(folder)) == reference["total"]


@pytest.mark.parametrize("folder", CONFIGS, ids=lambda folder: folder.name)
def test_built_in_models_are_found_by_their_published_names(folder: Path) -> None:
    reference = json.loads((folder / "weights.json").read_text())
    model = find_model(f"some-organisation/{folder.name}")
    assert model.where.startswith("models/")
    assert parameters(model) == reference["total"]


def test_the_default_model_has_two_matrix_experts() -> None:
    layer = 4 * 4096 * 4096 + 16 * (4096 + 2 * 4096 * 16384) + 2 * 4096
    assert parameters(find_model("moe-16x16")) == 16 * layer
