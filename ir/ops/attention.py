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
from ..residues import MASKED

GROUPED_HEADS = Relation("kv_heads", ("heads",))
"""Query head h reads KV head h // (heads / kv_heads): kv_heads is the outer factor of heads."""


def _for_each_head(x: np.ndarray, at: Indices) -> np.ndarray:
    """[devices, batch_size, kv_len, kv_heads, d_k] → the same per query head, taken from its KV head."""
    wanted = at.held["heads"] // (at.total["heads"] // at.total["kv_heads"])
    found = wanted[:, :, None] == at.held["kv_heads"][:, None, :]
    if not found.any(axis=2).all():
        raise IndexError("a query head's KV head is elsewhere")
    return np.take_along_axis(x, found.argmax(axis=2)[:, None, None, :, None], axis=3)


@irdl_op_definition
class RopeOp(Computation):
    """Rotary position embedding of q or k, by the global position along seq_len. FLOPs: 3 per element."""

    name = "dag.rope"
    theta = prop_def(FloatAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.ATTENTION, linear=((0,),), indexed=frozenset({"seq_len"}), flops=3)

    def whole(self) -> frozenset[str]:
        return frozenset({"d_k"})

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        if not (inputs[0].has("seq_len") and inputs[0].has("d_k")):
            raise ValueError("needs seq_len and d_k")
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, names = inputs[0], ["device", *self.operand_names(0)]
        moved = np.moveaxis(x, [names.index("seq_len"), names.index("d_k")], [-2, -1])
        half = moved.shape[-1] // 2
        cos, sin = (turn[at.held["seq_len"]] for turn in self._turns(at.total["seq_len"], half))
        cos, sin = (turn.reshape(len(turn), *[1] * (moved.ndim - 3), *turn.shape[1:]) for turn in (cos, sin))
        first, second = moved[..., :half], moved[..., half : 2 * half]
        turned = [first * cos - second * sin, second * cos + first * sin]
        out = np.concatenate([*turned, moved[..., 2 * half :]], axis=-1)
        return np.moveaxis(out, [-2, -1], [names.index("seq_len"), names.index("d_k")])

    def _turns(self, positions: int, half: int) -> tuple[np.ndarray, np.ndarray]:
        """Cosine and sine of every position's angles [positions, half], to the same last bit on every device."""
        angle = np.arange(positions)[:, None] * self.theta.value.data ** (-np.arange(half) / half)
        return np.cos(angle), np.sin(angle)


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
        indexed=frozenset({"heads", "kv_heads"}),
        flops=2,
    )

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        q, k = inputs
        dims = [q.dim("batch_size"), q.dim("heads"), q.dim("seq_len"), replace(k.dim("seq_len"), name="kv_len")]
        return replace(q, dims=tuple(dims))

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return np.einsum("xbshd,xbthd->xbhst", inputs[0], _for_each_head(inputs[1], at))


@irdl_op_definition
class MaskOp(Computation):
    """Sets scores that a position may not see to −∞: the future (`causal`) and what lies before `window`."""

    name = "dag.mask"
    causal = prop_def(BoolAttr)
    window = opt_prop_def(IntegerAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.ATTENTION, indexed=frozenset({"seq_len", "kv_len"}), flops=1)

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        if not (inputs[0].has("seq_len") and inputs[0].has("kv_len")):
            raise ValueError("needs seq_len and kv_len")
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        names = list(self.operand_names(0))
        query, key = (self._along(at.held[name], names, name) for name in ("seq_len", "kv_len"))
        seen = np.ones(np.broadcast_shapes(query.shape, key.shape), dtype=bool)
        if self.causal.value.data:
            seen &= key <= query
        if self.window is not None:
            seen &= key > query - self.window.value.data
        return np.where(seen, inputs[0], MASKED)

    @staticmethod
    def _along(held: np.ndarray, names: list[str], name: str) -> np.ndarray:
        """Indices [devices, n] as an array that meets one of these names."""
        return held.reshape(len(held), *(held.shape[1] if other == name else 1 for other in names))


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
        indexed=frozenset({"heads", "kv_heads"}),
        flops=2,
    )

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        p, v = inputs
        dims: list[Dim] = [p.dim("batch_size"), p.dim("seq_len"), p.dim("heads"), v.dim("d_k")]
        return replace(p, dims=tuple(dims))

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return np.einsum("xbhst,xbthd->xbshd", inputs[0], _for_each_head(inputs[1], at))
