"""Every operator, one class each, one file per family. `OPERATORS` is the dialect's list; laws are tested over it."""

from __future__ import annotations

from xdsl.irdl import IRDLOperation

from ..op import Relation
from .assign import AssignOp
from .attention import AppendOp, CacheOp, ContextOp, KeepOp, MaskOp, ReadOp, RopeOp, ScoresOp
from .linear import AddBiasOp, GroupedProjectOp, ProjectOp
from .lookup import LookupOp
from .moe import CombineOp, CountOp, DispatchOp, TopKOp
from .move import (
    AllGatherOp,
    AllReduceOp,
    AllToAllOp,
    GatherOp,
    MoveOp,
    ReduceScatterOp,
    RotateOp,
    ScatterOp,
    SliceOp,
    TransferOp,
    UnpaidOp,
)
from .normalize import LayerNormOp, RmsNormOp, SoftmaxOp
from .parts import MergePartsOp, PartContextOp, PartExpMinusOp, PartLogSumExpOp
from .pointwise import ActivateOp, AddOp, MultiplyOp, ScaleOp
from .program import InputOp, OutputOp, RepeatOp, StateOp, WeightOp, YieldOp
from .routing import GroupLimitOp, GroupRatingOp
from .statistics import ExpMinusOp, LayerScaleOp, LogSumExpOp, MeanOp, MeanSquareOp, RmsScaleOp

COMPUTE = (
    ProjectOp, GroupedProjectOp, AddBiasOp, AddOp, MultiplyOp, ScaleOp, ActivateOp, RmsNormOp, LayerNormOp, SoftmaxOp,
    PartLogSumExpOp, PartExpMinusOp, PartContextOp, MergePartsOp,
    LogSumExpOp, MeanOp, MeanSquareOp, ExpMinusOp, RmsScaleOp, LayerScaleOp,
    RopeOp, CacheOp, AppendOp, ReadOp, KeepOp, ScoresOp, MaskOp, ContextOp, LookupOp,
    GroupRatingOp, GroupLimitOp, TopKOp, AssignOp, CountOp, DispatchOp, CombineOp,
)  # fmt: skip
MOVES = (
    MoveOp, AllReduceOp, ReduceScatterOp, AllGatherOp, AllToAllOp, RotateOp, SliceOp, UnpaidOp, TransferOp, ScatterOp,
    GatherOp,
)  # fmt: skip
PROGRAM = (WeightOp, StateOp, InputOp, OutputOp, RepeatOp, YieldOp)

OPERATORS: tuple[type[IRDLOperation], ...] = (*COMPUTE, *MOVES, *PROGRAM)

RELATIONS: dict[str, Relation] = {relation.name: relation for op in COMPUTE for relation in op.RULE.relates}
"""Every declared relation by the name it derives."""

UNORDERED = frozenset(name for name, relation in RELATIONS.items() if relation.unordered)
"""Dimensions whose axes may be taken away and added in any order."""
