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
    "q_proj_bias": "Q bias",
    "k_proj_bias": "K bias",
    "v_proj_bias": "V bias",
    "o_proj_bias": "Output bias",
    "q_rope": "RoPE Q",
    "k_rope": "RoPE K",
    "q_norm": "Norm Q",
    "k_norm": "Norm K",
    "k_cache": "K cache append",
    "v_cache": "V cache append",
    "k_cache_read": "K cache read",
    "v_cache_read": "V cache read",
    "k_kept": "K cache kept for decode",
    "v_kept": "V cache kept for decode",
    "scores": "Scores QKᵀ",
    "scale": "Scale",
    "mask": "Causal mask",
    "lse": "Log-sum-exp",
    "part_lse": "Log-sum-exp of a part",
    "part_exp": "Softmax of a part",
    "part_context": "Context PV of a part",
    "merge": "Merge by log-sum-exp",
    "context": "Context PV",
    "attention_residual": "Residual add (attention)",
    "ffn_residual": "Residual add (FFN)",
    "nope": "Scores QKᵀ (part not rotated)",
    "rope": "Scores QKᵀ (rotated part)",
    "sum": "Add scores of both parts",
    "q_down": "Latent Q down-projection",
    "q_up": "Q up-projection",
    "q_rope_up": "Q up-projection (rotated part)",
    "q_rope_proj": "Q projection (rotated part)",
    "kv_down": "Latent KV down-projection",
    "kv_norm": "Norm KV latent",
    "k_up": "K up-projection",
    "v_up": "V up-projection",
    "q_absorb": "Q absorbs the K up-projection",
    "shared_k_proj": "Shared K projection (rotated part)",
    "shared_k_rope": "RoPE shared K",
    "latent_cache": "Latent KV cache append",
    "latent_cache_read": "Latent KV cache read",
    "shared_k_cache": "Shared K cache append",
    "shared_k_cache_read": "Shared K cache read",
    "latent_kept": "Latent KV cache kept for decode",
    "shared_k_kept": "Shared K cache kept for decode",
    "gate": "Gate (router)",
    "gate_softmax": "Gate softmax",
    "gate_sigmoid": "Gate sigmoid",
    "gate_correction": "Gate correction bias",
    "group_rating": "Rate expert groups",
    "group_limit": "Limit to the best expert groups",
    "top_k": "Top-k select",
    "assign": "Slots of the chosen experts",
    "dispatch": "Token split (dispatch)",
    "count": "Routing counts",
    "combine": "Weighted sum (combine)",
    "gate_proj": "Gate projection",
    "up_proj": "Up projection",
    "down_proj": "Down projection",
    "add_shared": "Add shared expert",
}


MODULES = {"experts": "Expert", "shared_expert": "Shared expert"}
"""Modules whose operators are named like others', and what tells them apart."""


def title_of(path: str) -> str:
    """
    >>> title_of("layers.attention.q_proj"), title_of("layers.moe.experts.up_proj")
    ('Q projection', 'Expert up projection')
    """
    *modules, segment = path.split(".")
    title = TITLES.get(segment, segment.replace("_", " ").capitalize())
    module = next((MODULES[name] for name in modules if name in MODULES), None)
    return f"{module} {title[0].lower()}{title[1:]}" if module else title
