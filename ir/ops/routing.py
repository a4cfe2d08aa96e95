"""Group-limited routing (DeepSeek-V2, V3): tokens choose among the experts of their best groups only.

    scores [.., experts] → ratings [.., expert_groups] → scores of other groups' experts are masked → top-k

Group g holds experts g · experts/groups and the ones after it. Ties go to the lower group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import IntegerAttr
from xdsl.irdl import irdl_op_definition, prop_def

from ..dims import as_number, number
from ..layout import Dim, Tensor
from ..op import Computation, Indices, Role, Rule
from ..residues import MASKED


def highest(x: np.ndarray, count: int) -> np.ndarray:
    """The places of the so many highest along the last axis, highest first; of equal ones the first."""
    return np.argsort(-x, axis=-1, kind="stable")[..., :count]


class Grouped(Computation):
    """Shared by operators on groups of experts, which must be whole."""

    def whole(self) -> frozenset[str]:
        return frozenset({"experts", "expert_groups"})

    @staticmethod
    def grouped(x: np.ndarray, groups: int) -> np.ndarray:
        """[…, experts] → […, groups, experts of a group]"""
        return x.reshape(*x.shape[:-1], groups, -1)


@irdl_op_definition
class GroupRatingOp(Grouped):
    """The sum of each group's `best` highest scores.

    [batch_size, seq_len, experts] → [batch_size, seq_len, expert_groups]. FLOPs: 1 per score by convention.
    """

    name = "dag.group_rating"
    groups = prop_def(IntegerAttr)
    best = prop_def(IntegerAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.ROUTING, selects=(0,), flops=1)

    def points(self) -> tuple[str, ...]:
        return tuple(name for name in self.joint() if name != "expert_groups")

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        kept = tuple(dim for dim in inputs[0].dims if dim.name != "experts")
        experts, groups = as_number(inputs[0].dim("experts").size), self.groups.value.data
        if isinstance(experts, int) and experts % groups:
            raise ValueError(f"{experts} experts are no {groups} equal groups")
        return replace(inputs[0], dims=(*kept, Dim("expert_groups", number(groups))))

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        scores = self.grouped(inputs[0], self.groups.value.data)
        best = highest(scores, self.best.value.data)
        return np.take_along_axis(scores, best, axis=-1).sum(axis=-1)


@irdl_op_definition
class GroupLimitOp(Grouped):
    """Scores with those of all but the `k` best groups masked.

    scores [batch_size, seq_len, experts], ratings [batch_size, seq_len, expert_groups]
    → [batch_size, seq_len, experts].
    """

    name = "dag.group_limit"
    k = prop_def(IntegerAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.ROUTING, selects=(0, 1))

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        if not (inputs[0].has("experts") and inputs[1].has("expert_groups")):
            raise ValueError("needs experts and expert_groups")
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        scores, groups = inputs
        count = groups.shape[-1]
        chosen = highest(groups, self.k.value.data)
        kept = (chosen[..., None, :] == np.arange(count)[:, None]).any(axis=-1)
        return np.where(kept[..., None], self.grouped(scores, count), MASKED).reshape(scores.shape)
