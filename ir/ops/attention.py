"""The operators of an attention core, drawn apart even where one fused kernel runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import BoolAttr, FloatAttr, IntegerAttr
from xdsl.irdl import irdl_op_definition, opt_prop_def, prop_def

from ..layout import Dim, Tensor
from ..op import Computation, Indices, Relation, Role, Rule

GROUPED_HEADS = Relation("kv_heads", ("heads",))
"""Query head h reads KV head h // (heads / kv_heads): kv_heads is the outer factor of heads."""


def _kv_head_of(at: Indices) -> np.ndarray:
    """For every local query head, the position of its KV head among the local KV heads."""
    wanted = at.held["heads"] // (at.total["heads"] // at.total["kv_heads"])
    held = {int(head): position for position, head in enumerate(at.held["kv_heads"])}
    return np.array([held[int(head)] for head in wanted])


@irdl_op_definition
class RopeOp(Computation):
    """Rotary position embedding of q or k, by the global position along seq_len. FLOPs: 3 per element."""

    name = "dag.rope"
    theta = prop_def(FloatAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.ATTENTION, linear=((0,),), flops=3)

    def whole(self) -> frozenset[str]:
        return frozenset({"d_k"})

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        if not (inputs[0].has("seq_len") and inputs[0].has("d_k")):
            raise ValueError("needs seq_len and d_k")
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, names = inputs[0], list(self.operand_names(0))
        moved = np.moveaxis(x, [names.index("seq_len"), names.index("d_k")], [-2, -1])
        half = moved.shape[-1] // 2
        angle = at.held["seq_len"][:, None] * self.theta.value.data ** (-np.arange(half) / half)
        first, second = moved[..., :half], moved[..., half : 2 * half]
        turned = [first * np.cos(angle) - second * np.sin(angle), second * np.cos(angle) + first * np.sin(angle)]
        out = np.concatenate([*turned, moved[..., 2 * half :]], axis=-1)
        return np.moveaxis(out, [-2, -1], [names.index("seq_len"), names.index("d_k")])


@irdl_op_definition
class CacheOp(Computation):
    """Appends keys or values to the KV cache, which stays resident where its tokens and heads are."""

    name = "dag.cache"
    RULE: ClassVar[Rule] = Rule(role=Role.STATE)

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return inputs[0]


@irdl_op_definition
class ScoresOp(Computation):
    """Q·Kᵀ. q [batch_size, seq_len, heads, d_k] × k [batch_size, seq_len as kv_len, kv_heads, d_k]
    → [batch_size, heads, seq_len, kv_len]. Cutting d_k owes a sum. FLOPs: 2 per multiply-add.
    """

    name = "dag.scores"
    RULE: ClassVar[Rule] = Rule(
        role=Role.MATMUL,
        renames={1: {"seq_len": "kv_len"}},
        sums=frozenset({"d_k"}),
        relates=(GROUPED_HEADS,),
        aligned=frozenset({"kv_heads"}),
        linear=((0,), (1,)),
        flops=2,
    )

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        q, k = inputs
        dims = [q.dim("batch_size"), q.dim("heads"), q.dim("seq_len"), replace(k.dim("seq_len"), name="kv_len")]
        return replace(q, dims=tuple(dims))

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        keys = inputs[1][:, :, _kv_head_of(at), :]
        return np.einsum("bshd,bthd->bhst", inputs[0], keys)


@irdl_op_definition
class MaskOp(Computation):
    """Sets scores that a position may not see to −∞: the future (`causal`) and what lies before `window`."""

    name = "dag.mask"
    causal = prop_def(BoolAttr)
    window = opt_prop_def(IntegerAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.ATTENTION, flops=1)

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        if not (inputs[0].has("seq_len") and inputs[0].has("kv_len")):
            raise ValueError("needs seq_len and kv_len")
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        query, key = at.held["seq_len"][:, None], at.held["kv_len"][None, :]
        seen = np.ones(np.broadcast_shapes(query.shape, key.shape), dtype=bool)
        if self.causal.value.data:
            seen &= key <= query
        if self.window is not None:
            seen &= key > query - self.window.value.data
        return np.where(seen, inputs[0], -1e30)


@irdl_op_definition
class ContextOp(Computation):
    """P·V. p [batch_size, heads, seq_len, kv_len] × v [batch_size, seq_len as kv_len, kv_heads, d_k]
    → [batch_size, seq_len, heads, d_k]. Cutting kv_len owes a sum. FLOPs: 2 per multiply-add.
    """

    name = "dag.context"
    RULE: ClassVar[Rule] = Rule(
        role=Role.MATMUL,
        renames={1: {"seq_len": "kv_len"}},
        sums=frozenset({"kv_len"}),
        relates=(GROUPED_HEADS,),
        aligned=frozenset({"kv_heads"}),
        linear=((0,), (1,)),
        flops=2,
    )

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        p, v = inputs
        dims: list[Dim] = [p.dim("batch_size"), p.dim("seq_len"), p.dim("heads"), v.dim("d_k")]
        return replace(p, dims=tuple(dims))

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        values = inputs[1][:, :, _kv_head_of(at), :]
        return np.einsum("bhst,bthd->bshd", inputs[0], values)
