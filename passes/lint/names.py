"""What dimensions are called, in the many ways people call them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...ir.drawing import Tensor

BATCH = frozenset(
    {"batch_size", "batch", "b", "B", "bs", "bsz", "micro_batch", "micro_batch_size", "mbs", "local_batch"}
)
SEQUENCE = frozenset({
    "seq_len", "seq", "s", "S", "sequence_length", "sequence", "seqlen", "seq_length", "q_len", "q_seq", "query_len",
})  # fmt: skip
KEYS = frozenset(
    {
        "kv_len",
        "kv_seq",
        "k_len",
        "key_len",
        "kv_seq_len",
        "k_seq",
        "context_len",
        "past_len",
        "S_kv",
        "s_kv",
        "skv",
    }
)
HEADS = frozenset({
    "heads", "num_heads", "n_heads", "head", "kv_heads", "num_kv_heads", "n_kv_heads", "attention_heads", "q_heads",
    "nh", "n_head", "num_attention_heads", "local_heads",
})  # fmt: skip
HEAD_SIZE = frozenset({
    "d_k", "head_dim", "head_size", "d_head", "d_v", "hd", "dk", "dim_head", "dim_per_head", "dh", "d_nope", "d_rope",
    "kv_rank", "kv_lora_rank", "qk_head_dim", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
})  # fmt: skip
"""Latent attention has several: of what is rotated and what is not, of values, and of the latent itself."""
EXPERTS = frozenset({"experts", "num_experts", "n_experts", "E", "expert", "local_experts"})
_H, _D = frozenset({"h", "H"}), frozenset({"d", "D"})
CHOSEN = frozenset({"top_k", "topk", "k", "K", "experts_per_token", "num_experts_per_tok"})
MERGED = frozenset({
    "tokens", "num_tokens", "n_tokens", "expert_tokens", "tokens_per_expert", "total_tokens", "local_tokens", "token",
    "routed_tokens", "rows",
})  # fmt: skip
"""Names of what is several dimensions in one: batch and sequence at least."""


def named(tensor: Tensor, names: Iterable[str]) -> set[str]:
    """Which of its dimensions bear one of these names; `h` means heads beside a head size or keys, `d` beside `h`."""
    found = tensor.dims.keys() & set(names)
    if found or not (names is HEADS or names is HEAD_SIZE) or not tensor.dims.keys() & _H:
        return found
    if names is HEAD_SIZE:
        return tensor.dims.keys() & _D
    return tensor.dims.keys() & _H if tensor.dims.keys() & (HEAD_SIZE | KEYS | _D) else found


def size(tensor: Tensor, names: Iterable[str]) -> int | None:
    """The size of the one dimension that bears one of these names, where it is a number."""
    found = [tensor.dims[name] for name in named(tensor, names)]
    return found[0] if len(found) == 1 and isinstance(found[0], int) else None


def words(title: str) -> set[str]:
    """
    >>> sorted(words("Attention Q_proj"))
    ['attention', 'proj', 'q']
    """
    return set(re.split(r"[^a-z0-9]+", title.lower())) - {""}


def merges(tensor: Tensor) -> bool:
    """Whether one of its dimensions is several in one."""
    return any(name in MERGED or any(sign in name for sign in "·*×") for name in tensor.dims)
