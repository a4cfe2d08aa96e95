"""An example of the operands of every operator, for the law tests. A new operator needs a row in `EXAMPLES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, FloatAttr, f64, i64
from xdsl.irdl import IRDLOperation

from dagc.ir.dims import Size, as_number, number, substitute, symbol
from dagc.ir.layout import Dim, Tensor
from dagc.ir.op import Operator, tensor_of
from dagc.ir.ops.moe import routes
from dagc.ir.ops.program import WeightOp
from dagc.ir.residues import random_residues

SIZES = {"batch_size": 5, "seq_len": 3, "hidden": 7, "heads": 6, "kv_heads": 3, "d_k": 4, "kv_len": 11, "ffn": 9,
         "vocab": 10, "experts": 8, "expert_groups": 4, "top_k": 2, "expert_tokens": symbol("T"), "sources": 2,
         "q_rank": 13, "kv_rank": 14, "d_nope": 2, "d_rope": 6, "d_v": 8, "kv_parts": 7}  # fmt: skip
"""Pairwise distinct where names meet, so that swapped dimensions are seen; d_k is even, for rope pairs its halves."""
SYMBOLS = {"T": number(SIZES["batch_size"] * SIZES["seq_len"]), "P": number(1)}
"""Lossless: an expert sees every token. One part of the tokens: rows of routing counts add up to it."""

X, TOKENS = "batch_size seq_len hidden", "batch_size seq_len"
HEADS, SCORES, ROUTED = "batch_size seq_len heads d_k", "batch_size heads seq_len kv_len", "batch_size seq_len top_k"
KEYS, CACHE = "batch_size seq_len=11 kv_heads d_k", "batch_size kv_len kv_heads d_k"
LSES, FOURTEEN = "batch_size heads seq_len kv_parts", "batch_size heads seq_len kv_len=14"
"""Log-sum-exps of seven parts, and scores that can be cut into them."""
ROWS = "experts expert_tokens hidden"


@dataclass(frozen=True)
class Example:
    """Operands as `names dtype…` (a size follows `=` where it is not the usual one) and properties."""

    operands: tuple[str, ...]
    props: dict[str, object] = field(default_factory=dict)


EPS = {"eps": FloatAttr(1e-6, f64)}
LARGE_EPS = {"eps": FloatAttr(16.0, f64)}
"""For squares that are random numbers, some of them negative."""
ROTATED = {"over": "d_k", "theta": FloatAttr(1e4, f64)}
THREE = FloatAttr(3.0, f64)
FACTOR = {"factor": FloatAttr(2.5, f64)}
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
        Example((FOURTEEN,), {"over": "kv_len"}),
        Example(("batch_size seq_len experts",), {"over": "experts"}),
    ],
    "log_sum_exp": [Example((SCORES,), {"over": "kv_len"})],
    "mean": [Example((X,), {"over": "hidden"})],
    "mean_square": [
        Example((X,), {"over": "hidden"}), Example((HEADS,), {"over": "d_k"}), Example((X, TOKENS), {"over": "hidden"}),
    ],
    "part_log_sum_exp": [Example((FOURTEEN,), {"parts": parts}) for parts in ("7 contiguous", "7 zigzag")],
    "part_exp_minus": [Example((FOURTEEN, LSES), {"parts": parts}) for parts in ("7 contiguous", "7 zigzag")],
    "part_context": [
        Example((FOURTEEN, "batch_size seq_len=14 kv_heads d_k"), {"parts": parts})
        for parts in ("7 contiguous", "7 zigzag")
    ],
    "merge_parts": [Example(("kv_parts batch_size seq_len heads d_k", LSES))],
    "exp_minus": [Example((SCORES, "batch_size heads seq_len"))],
    "rms_scale": [Example((X, TOKENS, "hidden"), LARGE_EPS)],
    "layer_scale": [Example((X, TOKENS, TOKENS, "hidden", "hidden"), LARGE_EPS)],
    "rope": [
        Example((HEADS,), ROTATED), Example((KEYS,), ROTATED), Example((HEADS,), ROTATED | {"kv_len": "11"}),
        Example(("batch_size seq_len d_rope",), ROTATED | {"over": "d_rope"}),
        Example((KEYS,), ROTATED | {"factor": FloatAttr(1.25, f64)}),
    ],
    "cache": [Example((KEYS,))],
    "keep": [Example((KEYS,))],
    "append": [Example(("batch_size seq_len kv_heads d_k", CACHE))],
    "read": [Example((CACHE,))],
    "scores": [
        Example(("batch_size seq_len heads d_nope", "batch_size seq_len=11 heads d_nope")),
        Example(("batch_size seq_len heads kv_rank", "batch_size kv_len kv_rank")),
        Example((HEADS, KEYS)), Example((HEADS, CACHE)), Example((HEADS, "batch_size seq_len=11 kv_heads=6 d_k")),
    ],
    "mask": [
        Example(("batch_size heads seq_len=11 kv_len",), {"causal": True}),
        Example(("batch_size heads seq_len=11 kv_len",), {"causal": True, "window": 4}),
        Example((SCORES,), {"causal": False}), Example((SCORES,), {"causal": True}),
    ],
    "context": [
        Example((SCORES, "batch_size seq_len=11 heads d_v")), Example((SCORES, "batch_size kv_len kv_rank")),
        Example((SCORES, KEYS)), Example((SCORES, CACHE)), Example((SCORES, "batch_size seq_len=11 kv_heads=1 d_k")),
    ],
    "lookup": [Example((f"{TOKENS}:i32", "vocab hidden"))],
    "top_k": [
        Example(("batch_size seq_len experts",), {"k": 2, "normalize": True}),
        Example(("batch_size seq_len experts",), {"k": 3, "normalize": False}),
        Example(("batch_size seq_len experts", "batch_size seq_len experts"), {"k": 3, "normalize": True} | FACTOR),
    ],
    "group_rating": [
        Example(("batch_size seq_len experts",), {"groups": 4, "best": 2}),
        Example(("batch_size seq_len experts",), {"groups": 2, "best": 1}),
    ],
    "group_limit": [Example(("batch_size seq_len experts", "batch_size seq_len expert_groups"), {"k": 2})],
    "assign": [Example((f"{ROUTED}:route",), {"slots": DenseArrayBase.from_list(i64, [*range(8), 2, 5, 2])})],
    "count": [Example((f"{ROUTED}:route",), {"experts": 8})],
    "dispatch": [Example((X, f"{ROUTED}:route"), {"experts": 8})],
    "combine": [Example((ROWS, f"{ROUTED}:route"))],
    "move": [Example((X,))],
    "all_reduce": [Example((X,), OVER_TP)],
    "reduce_scatter": [Example((X,), OVER_TP | {"dim": "hidden"})],
    "all_gather": [Example((X,), OVER_TP | {"dim": "seq_len"})],
    "all_to_all": [Example((X,), OVER_TP | {"dim": "seq_len", "to": "hidden"})],
    "rotate": [Example((X,), OVER_TP | {"dim": "seq_len", "shifts": 1})],
    "slice": [Example((X,), OVER_TP | {"dim": "hidden"})],
    "unpaid": [Example((X,), OVER_TP)],
    "transfer": [Example((X,))],
    "scatter": [Example((X,))],
    "gather": [Example((X,))],
}  # fmt: skip


def short(kind: type[IRDLOperation]) -> str:
    """The operator's key in `EXAMPLES`."""
    return kind.name.removeprefix("dag.")


def cases(kind: type[Operator]) -> list[Operator]:
    """The operator over the undivided operands of each of its examples."""
    return [make(kind, example) for example in EXAMPLES[short(kind)]]


def make(kind: type[Operator], example: Example) -> Operator:
    """The operator over undivided operands."""
    values = [WeightOp.of(path=f"x{i}", out=tensor(spec)).out for i, spec in enumerate(example.operands)]
    return kind.of(*values, path="under_test", **example.props)


def tensor(spec: str) -> Tensor:
    """What an operand of an `Example` says."""
    names, _, dtype = spec.partition(":")
    pairs = (word.partition("=") for word in names.split())
    sizes = [(name, int(size) if size else SIZES[name]) for name, _, size in pairs]
    return Tensor(tuple(Dim(n, number(s) if isinstance(s, int) else s) for n, s in sizes), dtype or "bf16")


def extent(size: Size) -> int:
    """A size as a number."""
    value = as_number(substitute(size, SYMBOLS))
    assert isinstance(value, int), size
    return value


def totals(op: Operator) -> dict[str, int]:
    """The extents of the joint space, and of what the meaning reads beyond it."""
    return {name: extent(size) for name, size in (op.joint() | op.beyond()).items()}


Kind = Callable[[tuple[int, ...], int], np.ndarray]
"""Of a shape and a seed some random numbers."""


def floats(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Normal numbers in float64."""
    return np.random.default_rng(seed).normal(size=shape)


def field_numbers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Residues; all have the random functions of salt 0."""
    return random_residues(seed, shape, salt=0)


KINDS: dict[str, Kind] = {"float64": floats, "residues": field_numbers}


def numbers(op: Operator, kind: Kind = floats, seed: int = 0) -> list[np.ndarray]:
    """Random undivided operands: numbers, small indices, or a routing to distinct experts."""
    total = totals(op)
    return [_operand(tensor_of(value), kind, 10 * seed + i, total) for i, value in enumerate(op.operands)]


def _operand(tensor: Tensor, kind: Kind, seed: int, total: dict[str, int]) -> np.ndarray:
    rng, shape = np.random.default_rng(seed), tuple(extent(dim.size) for dim in tensor.dims)
    if tensor.dtype == "i32":
        return rng.integers(0, SIZES["vocab"], shape)
    if tensor.dtype == "route":
        chosen = rng.random((*shape[:-1], total.get("experts", SIZES["experts"]))).argsort(-1)[..., : shape[-1]]
        return routes(chosen, kind(shape, seed))
    return kind(shape, seed)
