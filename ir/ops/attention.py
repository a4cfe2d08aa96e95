"""The operators of an attention core, drawn apart even where one fused kernel runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import BoolAttr, FloatAttr, IntegerAttr, StringAttr
from xdsl.irdl import irdl_op_definition, opt_prop_def, prop_def

from ..dims import Size, parse
from ..layout import Dim, Tensor
from ..op import Computation, Indices, Operator, Relation, Role, Rule, tensor_of
from ..residues import MASKED

GROUPED_HEADS = Relation("kv_heads", ("heads",))
"""Query head h reads KV head h // (heads / kv_heads): kv_heads is the outer factor of heads."""


class Meeting(Computation):
    """Queries, or weights of positions, meet what is kept of kv_len positions: keys or values, names before meanings.

    Those have kv_heads, in groups of heads; or heads; or neither, one for all heads.
    """

    RULE: ClassVar[Rule] = Rule(
        role=Role.MATMUL,
        renames={1: {"seq_len": "kv_len"}},
        relates=(GROUPED_HEADS,),
        aligned=frozenset({"kv_heads"}),
        linear=((0,), (1,)),
        indexed=frozenset({"heads", "kv_heads"}),
        flops=2,
    )

    def indexed(self) -> frozenset[str]:
        return self.RULE.indexed if "kv_heads" in self.operand_names(1) else frozenset()

    def features(self) -> list[str]:
        """What the kept have of every position and head."""
        return [name for name in self.operand_names(1).values() if name not in POSITIONS]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        kept, names = self.kept(inputs[1], at)
        return met(inputs[0], [*self.operand_names(0).values()], kept, names, [*tensor_of(self.results[0]).names])

    def kept(self, x: np.ndarray, at: Indices) -> tuple[np.ndarray, list[str]]:
        """What is kept, of every query head where it has heads, and the names it then has."""
        names = ["device", *self.operand_names(1).values()]
        if "kv_heads" in names:
            x, names = self._for_each_head(x, names, at), [_each_head(name) for name in names]
        return x, names[1:]

    @staticmethod
    def _for_each_head(x: np.ndarray, names: list[str], at: Indices) -> np.ndarray:
        """[devices, …, kv_heads, …] → the same per query head, taken from its KV head."""
        wanted = at.held["heads"] // (at.total["heads"] // at.total["kv_heads"])
        found = wanted[:, :, None] == at.held["kv_heads"][:, None, :]
        if not found.any(axis=2).all():
            raise IndexError("a query head's KV head is elsewhere")
        axis, place = names.index("kv_heads"), found.argmax(axis=2)
        shape = [len(place), *(place.shape[1] if i == axis else 1 for i in range(1, x.ndim))]
        return np.take_along_axis(x, place.reshape(shape), axis=axis)


def met(x: np.ndarray, of: Sequence[str], y: np.ndarray, others: Sequence[str], out: Sequence[str]) -> np.ndarray:
    """The contraction of two arrays [devices, *names] over the names that the result lacks."""
    spec = [["device", *names] for names in (of, others, out)]
    letters = {name: chr(97 + i) for i, name in enumerate(dict.fromkeys([*spec[0], *spec[1]]))}
    first, second, result = ("".join(letters[name] for name in each) for each in spec)
    return np.einsum(f"{first},{second}->{result}", x, y)


POSITIONS = ("batch_size", "seq_len", "kv_len", "heads", "kv_heads")


def _each_head(name: str) -> str:
    return "heads" if name == "kv_heads" else name


@irdl_op_definition
class RopeOp(Computation):
    """Rotary position embedding of q or k along `over`, by the global position in seq_len. FLOPs: 3 per element.

    `kv_len`: the size of the cache that the tokens are the last of; without it they are all there are. `factor`: what
    cosines and sines are times (YaRN).
    """

    name = "dag.rope"
    over = prop_def(StringAttr)
    theta = prop_def(FloatAttr)
    factor = opt_prop_def(FloatAttr)
    kv_len = opt_prop_def(StringAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.ATTENTION, linear=((0,),), indexed=frozenset({"seq_len"}), flops=3)

    def detail(self) -> str:
        return f"× {self.factor.value.data:.4g}" if self.factor is not None else ""

    def whole(self) -> frozenset[str]:
        return frozenset({self.over.data})

    def beyond(self) -> dict[str, Size]:
        return {"kv_len": parse(self.kv_len.data)} if self.kv_len is not None else {}

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        if not (inputs[0].has("seq_len") and inputs[0].has(self.over.data)):
            raise ValueError(f"needs seq_len and {self.over.data}")
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, names = inputs[0], ["device", *self.operand_names(0)]
        turned = [names.index("seq_len"), names.index(self.over.data)]
        moved = np.moveaxis(x, turned, [-2, -1])
        half = moved.shape[-1] // 2
        positions = at.total["kv_len" if self.kv_len is not None else "seq_len"]
        position = at.held["seq_len"] + positions - at.total["seq_len"]
        cos, sin = (turn[position] for turn in self._turns(positions, half))
        cos, sin = (turn.reshape(len(turn), *[1] * (moved.ndim - 3), *turn.shape[1:]) for turn in (cos, sin))
        first, second = moved[..., :half], moved[..., half : 2 * half]
        parts = [first * cos - second * sin, second * cos + first * sin, moved[..., 2 * half :]]
        return np.moveaxis(np.concatenate(parts, axis=-1), [-2, -1], turned)

    def _turns(self, positions: int, half: int) -> tuple[np.ndarray, np.ndarray]:
        """Cosine and sine of every position's angles [positions, half], to the same last bit on every device, times
        `factor`."""
        angle = np.arange(positions)[:, None] * self.theta.value.data ** (-np.arange(half) / half)
        factor = self.factor.value.data if self.factor is not None else 1.0
        return factor * np.cos(angle), factor * np.sin(angle)


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
class AppendOp(Computation):
    """Writes this step's keys or values over the last rows of the cache, on the GPUs that own these positions.

    new [batch_size, seq_len, kv_heads, d_k], cache [batch_size, kv_len, kv_heads, d_k] → the cache, resident.
    """

    name = "dag.append"
    RULE: ClassVar[Rule] = Rule(role=Role.STATE, linear=((0, 1),), indexed=frozenset({"seq_len", "kv_len"}))

    def whole(self) -> frozenset[str]:
        return frozenset({"seq_len"})

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        new, cache = inputs
        rows = cache.dim("kv_len")
        written = tuple(rows if dim.name == "seq_len" else dim for dim in new.dims)
        if not replace(new, dims=written).logical().same_value(cache.logical()) or not new.has("seq_len"):
            raise ValueError("writes rows of other dimensions than the cache has")
        return cache

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        new, cache = inputs
        axis = list(self.operand_names(1)).index("kv_len") + 1
        row = at.held["kv_len"] - (at.total["kv_len"] - at.total["seq_len"])
        shape = [len(row), *(row.shape[1] if i == axis else 1 for i in range(1, cache.ndim))]
        found = np.take_along_axis(new, np.maximum(row, 0).reshape(shape), axis=axis)
        return np.where((row >= 0).reshape(shape), found, cache)


@irdl_op_definition
class ReadOp(Computation):
    """Reads all rows of the cache that a GPU holds."""

    name = "dag.read"
    RULE: ClassVar[Rule] = Rule(role=Role.STATE, linear=((0,),))

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        if not inputs[0].has("kv_len"):
            raise ValueError("needs kv_len")
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return inputs[0]


@irdl_op_definition
class KeepOp(Operator):
    """What a prefill leaves of a cache to the program that decodes, resident where that one looks for it.

    cache [batch_size, seq_len, kv_heads, d_k] → [batch_size, kv_len, kv_heads, d_k]. No operator of the program reads
    it: it is an effect, and the program has ended when it is there.
    """

    name = "dag.keep"
    RULE: ClassVar[Rule] = Rule(role=Role.STATE, renames={0: {"seq_len": "kv_len"}})

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        rows = inputs[0].dim("seq_len")
        return replace(inputs[0], dims=tuple(Dim("kv_len", d.size) if d is rows else d for d in inputs[0].dims))

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return inputs[0]


CACHES = (CacheOp, AppendOp, KeepOp)
"""Operators whose result is what a cache holds from then on."""


@irdl_op_definition
class ScoresOp(Meeting):
    """Q·Kᵀ. q [batch_size, seq_len, heads, d_k] × k [batch_size, seq_len as kv_len, kv_heads, d_k]
    → [batch_size, heads, seq_len, kv_len]; keys of a cache have kv_len. Cutting d_k, or whatever else queries and keys
    have of a head, owes a sum. FLOPs: 2 per multiply-add.
    """

    name = "dag.scores"

    def sums(self) -> frozenset[str]:
        return frozenset(self.features())

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        q, k = inputs
        features = [dim for dim in k.dims if dim.name not in POSITIONS]
        if not features or [dim for dim in q.dims if dim.name not in POSITIONS] != features:
            raise ValueError("queries and keys are not made of the same")
        rows = replace(k.dim("kv_len" if k.has("kv_len") else "seq_len"), name="kv_len")
        dims = [q.dim("batch_size"), q.dim("heads"), q.dim("seq_len"), rows]
        return replace(q, dims=tuple(dims))


@irdl_op_definition
class MaskOp(Computation):
    """Sets scores that a position may not see to −∞: the future (`causal`) and what lies before `window`.

    Queries are the last seq_len of kv_len positions.
    """

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
        query = query + at.total["kv_len"] - at.total["seq_len"]
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
class ContextOp(Meeting):
    """P·V. p [batch_size, heads, seq_len, kv_len] × v [batch_size, seq_len as kv_len, kv_heads, d_k]
    → [batch_size, seq_len, heads, d_k]; values of a cache have kv_len. Cutting kv_len owes a sum. FLOPs: 2 per
    multiply-add.
    """

    name = "dag.context"

    def sums(self) -> frozenset[str]:
        return frozenset({"kv_len"})

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        p, v = inputs
        features = (dim for dim in v.dims if dim.name not in POSITIONS)
        dims: list[Dim] = [p.dim("batch_size"), p.dim("seq_len"), p.dim("heads"), *features]
        return replace(p, dims=tuple(dims))
