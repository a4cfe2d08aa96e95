"""What operators are called in pictures: by the last segment of their path. Unlisted ones are spelled from it."""

from __future__ import annotations

TITLES = {
    "input": "Total input",
    "output": "Total output",
    "embed": "Token embedding",
    "head": "LM head",
    "attention_norm": "Norm (attention)",
    "ffn_norm": "Norm (FFN)",
    "q_proj": "Q projection",
    "k_proj": "K projection",
    "v_proj": "V projection",
    "o_proj": "Output projection",
    "q_rope": "RoPE Q",
    "k_rope": "RoPE K",
    "q_norm": "Norm Q",
    "k_norm": "Norm K",
    "k_cache": "K cache append",
    "v_cache": "V cache append",
    "scores": "Scores QKᵀ",
    "scale": "Scale 1/√d_k",
    "mask": "Causal mask",
    "context": "Context PV",
    "attention_residual": "Residual add (attention)",
    "ffn_residual": "Residual add (FFN)",
    "gate": "Gate (router)",
    "gate_softmax": "Gate softmax",
    "top_k": "Top-k select",
    "dispatch": "Token split (dispatch)",
    "count": "Routing counts",
    "combine": "Weighted sum (combine)",
    "gate_proj": "Gate projection",
    "up_proj": "Up projection",
    "down_proj": "Down projection",
    "add_shared": "Add shared expert",
}


def title_of(segment: str) -> str:
    """`q_proj` → "Q projection"."""
    return TITLES.get(segment, segment.replace("_", " ").capitalize())
