"""The IR of every supported configuration holds exactly the reference's weights: totals, shapes and copies."""

from __future__ import annotations

import json
from collections import Counter
from math import prod
from pathlib import Path

import pytest

from dagc.frontends.build import build
from dagc.frontends.huggingface import read_config
from dagc.frontends.model import Model
from dagc.ir.dims import as_number
from dagc.ir.module import operators, plain_path
from dagc.ir.op import tensor_of
from dagc.ir.ops.program import RepeatOp, WeightOp

CONFIGS = sorted((Path(__file__).parent / "data" / "configs").iterdir())
NAMES = {
    "embed.weight": "embed_tokens.weight", "final_norm.weight": "norm.weight", "head.weight": "lm_head.weight",
    "attention_norm.weight": "input_layernorm.weight", "ffn_norm.weight": "post_attention_layernorm.weight",
    "moe.gate.weight": "mlp.gate.weight", "moe.shared_expert.output_gate.weight": "mlp.shared_expert_gate.weight",
}  # fmt: skip
LATENT = {
    "q_down.weight": "q_a_proj.weight", "q_norm.weight": "q_a_layernorm.weight", "q_up.weight": "q_b_proj.weight",
    "q_rope_up.weight": "q_b_proj.weight", "q_proj.weight": "q_proj.weight", "q_rope_proj.weight": "q_proj.weight",
    "kv_down.weight": "kv_a_proj_with_mqa.weight", "shared_k_proj.weight": "kv_a_proj_with_mqa.weight",
    "kv_norm.weight": "kv_a_layernorm.weight", "core.k_up.weight": "kv_b_proj.weight",
    "core.v_up.weight": "kv_b_proj.weight", "o_proj.weight": "o_proj.weight",
}  # fmt: skip
"""The reference keeps some of these in one matrix."""


def latent_name(path: str) -> str:
    """Of a model with latent attention."""
    module, _, name = path.removeprefix("layers.").partition(".")
    if module == "attention":
        return f"layers.*.self_attn.{LATENT[name]}"
    if name == "gate_correction.weight":
        return "layers.*.mlp.gate.e_score_correction_bias"
    return reference_name(path).replace("shared_expert.", "shared_experts.")


def reference_name(path: str) -> str:
    """`layers.attention.q_proj.weight` → `layers.*.self_attn.q_proj.weight`."""
    inside = path.removeprefix("layers.")
    name = NAMES.get(inside) or inside.replace("attention.", "self_attn.").replace("ffn.", "mlp.").replace(
        "moe.", "mlp."
    )
    name = name.replace("_bias.weight", ".bias")
    name = name.removesuffix(".weight") if ".experts." in name else name
    name = name.replace("experts.gate_proj", "experts.gate_up_proj").replace("experts.up_proj", "experts.gate_up_proj")
    return f"layers.*.{name}" if path.startswith("layers.") else name


def held(model: Model) -> dict[str, tuple[int, int]]:
    """Reference name → (elements of one copy, copies) of what the IR holds."""
    sizes: dict[tuple[str, RepeatOp | None], int] = Counter()
    for op, repeat in operators(build(model)):
        if isinstance(op, WeightOp) and op.tied is None:
            size = as_number(tensor_of(op.out).points)
            assert isinstance(size, int)
            name = (latent_name if model.attention.latent else reference_name)(plain_path(op.path.data))
            sizes[name, repeat] += size
    found: dict[str, tuple[int, int]] = {}
    for (name, repeat), size in sizes.items():
        before, copies = found.get(name, (size, 0))
        assert before == size, f"{name} differs between layers"
        found[name] = (size, copies + (repeat.count if repeat else 1))
    return found


@pytest.mark.parametrize("folder", CONFIGS, ids=lambda folder: folder.name)
def test_weights_are_the_reference_ones(folder: Path) -> None:
    reference = json.loads((folder / "weights.json").read_text())
    expected = {w["name"].removeprefix("model."): (prod(w["shape"]), w["count"]) for w in reference["weights"]}
    found = held(read_config(folder))
    assert found == expected
    buffers = {w["name"].removeprefix("model.") for w in reference["weights"] if w.get("kind") == "buffer"}
    assert sum(size * copies for name, (size, copies) in found.items() if name not in buffers) == reference["total"]
