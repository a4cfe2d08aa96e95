"""The IR of every supported configuration holds exactly the reference's weights: totals, shapes and copies."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import pytest

from dagc.frontends.build import build
from dagc.frontends.huggingface import read_config
from dagc.ir.dims import as_number
from dagc.ir.module import operators, plain_path
from dagc.ir.op import tensor_of
from dagc.ir.ops.program import WeightOp

CONFIGS = sorted((Path(__file__).parent / "data" / "configs").iterdir())
NAMES = {
    "embed.weight": "embed_tokens.weight", "final_norm.weight": "norm.weight", "head.weight": "lm_head.weight",
    "attention_norm.weight": "input_layernorm.weight", "ffn_norm.weight": "post_attention_layernorm.weight",
    "moe.gate.weight": "mlp.gate.weight", "moe.shared_expert.output_gate.weight": "mlp.shared_expert_gate.weight",
}  # fmt: skip


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


def held(folder: Path) -> dict[str, tuple[int, int]]:
    """Reference name → (elements of one copy, copies) of what the IR holds."""
    found: dict[str, tuple[int, int]] = {}
    for op, repeat in operators(build(read_config(folder))):
        if isinstance(op, WeightOp) and op.tied is None:
            size = as_number(tensor_of(op.out).points)
            assert isinstance(size, int)
            name, copies = reference_name(plain_path(op.path.data)), repeat.count if repeat else 1
            found[name] = (found.get(name, (0, 0))[0] + size, copies)
    return found


@pytest.mark.parametrize("folder", CONFIGS, ids=lambda folder: folder.name)
def test_weights_are_the_reference_ones(folder: Path) -> None:
    reference = json.loads((folder / "weights.json").read_text())
    expected = {w["name"].removeprefix("model."): (prod(w["shape"]), w["count"]) for w in reference["weights"]}
    found = held(folder)
    assert found == expected
    assert sum(size * copies for size, copies in found.values()) == reference["total"]
