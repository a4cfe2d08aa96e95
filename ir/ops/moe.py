"""Mixture of experts in named dimensions: routing decisions, and moving tokens into and out of expert order.

`expert_tokens` indexes the tokens an expert sees. In labels it is balanced (tokens · top_k / experts); in numeric
checks it is lossless (one row per token, zero where the token chose other experts). Either way cutting tokens cuts
`expert_tokens`, so that expert parallelism is nothing but a move of an axis from expert_tokens to experts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import BoolAttr, FloatAttr, IntegerAttr
from xdsl.irdl import irdl_op_definition, opt_prop_def, prop_def

from ..dims import number, symbol
from ..layout import Dim, Tensor
from ..op import Computation, Indices, Relation, Role, Rule
from .routing import highest

TOKENS = ("batch_size", "seq_len")
MERGED_TOKENS = Relation("expert_tokens", TOKENS, unordered=True)
SOURCES = Relation("sources", TOKENS, unordered=True)
EXPERT_TOKENS = symbol("T")
"""Rows per expert; defined in the module's sizes."""
TOKEN_PARTS = symbol("P")
"""Parts the tokens are cut into where they are dispatched: one row of routing counts each."""

ROUTE = np.dtype([("expert", np.int64), ("weight", np.float64)])


def routes(expert: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Routing decisions: ids, with weights that are floats (`ROUTE`) or residues."""
    made = np.empty_like(weight, dtype=np.dtype([("expert", np.int64), ("weight", weight.dtype)]))
    made["expert"], made["weight"] = expert, weight
    return made


@irdl_op_definition
class TopKOp(Computation):
    """The `k` experts of each token with their weights: [batch_size, seq_len, experts] → [batch_size, seq_len, top_k].

    Weights are the scores chosen by, or those of a second operand. `normalize` divides them by their sum, then they are
    multiplied by `factor`. Ties go to the lower expert id. An element is one (id, weight).
    """

    name = "dag.top_k"
    k = prop_def(IntegerAttr)
    normalize = prop_def(BoolAttr)
    factor = opt_prop_def(FloatAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.ROUTING, selects=(0, 1))

    def whole(self) -> frozenset[str]:
        return frozenset({"experts", "top_k"})

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        kept = tuple(dim for dim in inputs[0].dims if dim.name != "experts")
        return Tensor((*kept, Dim("top_k", number(self.k.value.data))), "route", pool=inputs[0].pool)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        order = highest(inputs[0], self.k.value.data)
        weight = np.take_along_axis(inputs[-1], order, axis=-1)
        if self.normalize.value.data:
            weight = weight / weight.sum(axis=-1, keepdims=True)
        return routes(order, weight * self.factor.value.data if self.factor is not None else weight)


@irdl_op_definition
class CountOp(Computation):
    """How many rows each part of the tokens sends to each expert: [batch_size, seq_len, top_k] → [sources, experts].

    A device that holds several parts' rows counts an equal run of its tokens in each.
    """

    name = "dag.count"
    experts = prop_def(IntegerAttr)
    RULE: ClassVar[Rule] = Rule(
        role=Role.ROUTING,
        relates=(SOURCES,),
        selects=(0,),
        aligned=frozenset({"batch_size", "seq_len"}),
        indexed=frozenset({"experts"}),
    )

    def whole(self) -> frozenset[str]:
        return frozenset({"top_k"})

    def sums(self) -> frozenset[str]:
        return frozenset()

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        dims = (Dim("sources", TOKEN_PARTS), Dim("experts", number(self.experts.value.data)))
        return Tensor(dims, "i32", pool=inputs[0].pool)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        chosen = inputs[0]["expert"]
        devices, tokens = len(chosen), chosen.reshape(len(chosen), -1, chosen.shape[-1])
        parts = np.array_split(tokens, at.held["sources"].shape[1], axis=1)
        experts = at.held["experts"][:, None, :]
        return np.stack([(p.reshape(devices, -1, 1) == experts).sum(axis=1) for p in parts], axis=1)


@irdl_op_definition
class DispatchOp(Computation):
    """Token split: copies every token to the experts it chose.

    x [batch_size, seq_len, hidden], routing [batch_size, seq_len, top_k] → [experts, expert_tokens, hidden].
    A device that holds part of the experts makes their rows only.
    """

    name = "dag.dispatch"
    experts = prop_def(IntegerAttr)
    RULE: ClassVar[Rule] = Rule(
        role=Role.ROUTING, relates=(MERGED_TOKENS,), linear=((0,),), selects=(1,), indexed=frozenset({"experts"})
    )

    def whole(self) -> frozenset[str]:
        return frozenset({"top_k"})

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        x = inputs[0]
        dims = (Dim("experts", number(self.experts.value.data)), Dim("expert_tokens", EXPERT_TOKENS), x.dim("hidden"))
        return Tensor(dims, x.dtype, pool=x.pool)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, routing = inputs
        ids = routing["expert"].reshape(len(routing), 1, -1, routing.shape[-1])
        chosen = (ids == at.held["experts"][:, :, None, None]).any(axis=-1)
        return chosen[..., None] * x.reshape(len(x), 1, -1, x.shape[-1])


@irdl_op_definition
class CombineOp(Computation):
    """Token aggregation: the weighted sum of what a token's experts made of it.

    y [experts, expert_tokens, hidden], routing [batch_size, seq_len, top_k] → [batch_size, seq_len, hidden].
    Cutting experts owes a sum. FLOPs: 2 per row and hidden element.
    """

    name = "dag.combine"
    RULE: ClassVar[Rule] = Rule(
        role=Role.ROUTING,
        relates=(MERGED_TOKENS,),
        sums=frozenset({"experts"}),
        linear=((0,),),
        selects=(1,),
        indexed=frozenset({"experts"}),
        flops=2,
    )

    def whole(self) -> frozenset[str]:
        return frozenset({"top_k"})

    def points(self) -> tuple[str, ...]:
        return ("experts", "expert_tokens", "hidden")

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        y, routing = inputs
        return Tensor((*(routing.dim(name) for name in TOKENS), y.dim("hidden")), y.dtype, pool=y.pool)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        y, routing = inputs
        devices, batch, seq, chosen = routing.shape
        flat = routing.reshape(devices, batch * seq, chosen)
        mine = flat["expert"][:, :, :, None] == at.held["experts"][:, None, None, :]
        weight = (flat["weight"][:, :, :, None] * mine).sum(axis=2)
        return np.einsum("xte,xeth->xth", weight, y).reshape(devices, batch, seq, -1)
