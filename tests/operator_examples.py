"""An example of the operands of every operator, for the law tests. A new operator needs a row in `EXAMPLES`."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.dialects.builtin import FloatAttr, f64

from dagc.ir.dims import number, symbol

SIZES = {"batch_size": 5, "seq_len": 3, "hidden": 7, "heads": 6, "kv_heads": 3, "d_k": 4, "kv_len": 11, "ffn": 9,
         "vocab": 10, "experts": 8, "top_k": 2, "expert_tokens": symbol("T"), "sources": 2}  # fmt: skip
"""Pairwise distinct where names meet, so that swapped dimensions are seen; d_k is even, for rope pairs its halves."""
SYMBOLS = {"T": number(SIZES["batch_size"] * SIZES["seq_len"]), "P": number(1)}
"""Lossless: an expert sees every token. One part of the tokens: rows of routing counts add up to it."""

X, TOKENS = "batch_size seq_len hidden", "batch_size seq_len"
HEADS, SCORES, ROUTED = "batch_size seq_len heads d_k", "batch_size heads seq_len kv_len", "batch_size seq_len top_k"
KEYS = "batch_size seq_len=11 kv_heads d_k"
ROWS = "experts expert_tokens hidden"


@dataclass(frozen=True)
class Example:
    """Operands as `names dtype…` (a size follows `=` where it is not the usual one) and properties."""

    operands: tuple[str, ...]
    props: dict[str, object] = field(default_factory=dict)


EPS = {"eps": FloatAttr(1e-6, f64)}
THREE = FloatAttr(3.0, f64)
OVER_TP = {"axes": ("tp",)}

EXAMPLES: dict[str, list[Example]] = {
    "project": [
        Example((X, "hidden heads d_k"), {"over": ("hidden",)}),
        Example((HEADS, "heads d_k hidden"), {"over": ("heads", "d_k")}),
        Example((ROWS, "experts hidden ffn"), {"over": ("hidden",)}),
        Example((X, "hidden"), {"over": ("hidden",)}),
    ],
    "grouped_project": [Example((ROWS, "experts hidden ffn", "sources experts:i32"), {"over": ("hidden",)})],
    "add_bias": [Example((HEADS, "heads d_k")), Example((HEADS, "d_k heads"))],
    "add": [Example((X, X))],
    "multiply": [Example((X, X)), Example((X, TOKENS)), Example((X, "hidden"))],
    "scale": [Example((SCORES,), {"factor": THREE})],
    "activate": [
        Example(("batch_size seq_len ffn",), {"function": name})
        for name in ("silu", "gelu", "gelu_tanh", "relu", "sigmoid")
    ],
    "rms_norm": [Example((X, "hidden"), {"over": "hidden"} | EPS), Example((HEADS, "d_k"), {"over": "d_k"} | EPS)],
    "layer_norm": [Example((X, "hidden", "hidden"), {"over": "hidden"} | EPS)],
    "softmax": [
        Example((SCORES,), {"over": "kv_len"}),
        Example(("batch_size seq_len experts",), {"over": "experts"}),
    ],
    "rope": [Example((HEADS,), {"theta": FloatAttr(1e4, f64)}), Example((KEYS,), {"theta": FloatAttr(1e4, f64)})],
    "cache": [Example((KEYS,))],
    "scores": [Example((HEADS, KEYS)), Example((HEADS, "batch_size seq_len=11 kv_heads=6 d_k"))],
    "mask": [
        Example(("batch_size heads seq_len=11 kv_len",), {"causal": True}),
        Example(("batch_size heads seq_len=11 kv_len",), {"causal": True, "window": 4}),
        Example((SCORES,), {"causal": False}),
    ],
    "context": [Example((SCORES, KEYS)), Example((SCORES, "batch_size seq_len=11 kv_heads=1 d_k"))],
    "lookup": [Example((f"{TOKENS}:i32", "vocab hidden"))],
    "top_k": [
        Example(("batch_size seq_len experts",), {"k": 2, "normalize": True}),
        Example(("batch_size seq_len experts",), {"k": 3, "normalize": False}),
    ],
    "count": [Example((f"{ROUTED}:route",), {"experts": 8})],
    "dispatch": [Example((X, f"{ROUTED}:route"), {"experts": 8})],
    "combine": [Example((ROWS, f"{ROUTED}:route"))],
    "move": [Example((X,))],
    "all_reduce": [Example((X,), OVER_TP)],
    "reduce_scatter": [Example((X,), OVER_TP | {"dim": "hidden"})],
    "all_gather": [Example((X,), OVER_TP | {"dim": "seq_len"})],
    "all_to_all": [Example((X,), OVER_TP | {"dim": "seq_len", "to": "hidden"})],
    "slice": [Example((X,), OVER_TP | {"dim": "hidden"})],
    "transfer": [Example((X,))],
    "scatter": [Example((X,))],
    "gather": [Example((X,))],
}  # fmt: skip
