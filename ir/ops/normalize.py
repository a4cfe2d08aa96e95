"""Operators that need one dimension whole because they divide by a statistic of it.

Where it is cut, their split form takes the statistic first: rms_norm = mean square, which owes a sum, and scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import FloatAttr, StringAttr
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, prop_def

from ..layout import Tensor
from ..op import Computation, Indices, Operator, Role, Rule
from ..residues import nonlinear
from .attention import ContextOp
from .linear import spread
from .parts import KEYS, MergePartsOp, PartContextOp, PartExpMinusOp, PartLogSumExpOp
from .statistics import ExpMinusOp, LayerScaleOp, LogSumExpOp, MeanOp, MeanSquareOp, RmsScaleOp, over_root


class Normalize(Computation):
    """Shared by norms and softmax: `over` is the name that must be whole."""

    over = prop_def(StringAttr)

    def whole(self) -> frozenset[str]:
        return frozenset({self.over.data})

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        for tensor in inputs:
            if not tensor.has(self.over.data):
                raise ValueError(f"normalises over {self.over.data}, which an operand lacks")
        return inputs[0]

    def axis(self) -> int:
        return list(self.operand_names(0)).index(self.over.data) + 1

    def under(self, name: str) -> str:
        """The path of a step of the split form."""
        return f"{self.path.data}.{name}"


@irdl_op_definition
class RmsNormOp(Normalize):
    """x · gain / √(mean(x²) + eps) over one name. FLOPs: 4 per element by convention."""

    name = "dag.rms_norm"
    eps = prop_def(FloatAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.NORM, flops=4)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, gain = spread(self, inputs)
        return over_root(x, np.mean(x * x, axis=self.axis(), keepdims=True), self.eps) * gain

    def split(self, *inputs: SSAValue) -> tuple[Operator, ...]:
        x, gain = inputs
        square = MeanSquareOp.of(x, path=self.under("mean_square"), over=self.over)
        return square, RmsScaleOp.of(x, square.out, gain, path=self.path.data, eps=self.eps)


@irdl_op_definition
class LayerNormOp(Normalize):
    """(x − mean) · gain / √(variance + eps) + bias over one name. FLOPs: 6 per element by convention."""

    name = "dag.layer_norm"
    eps = prop_def(FloatAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.NORM, flops=6)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, gain, bias = spread(self, inputs)
        centred = x - np.mean(x, axis=self.axis(), keepdims=True)
        variance = np.mean(centred * centred, axis=self.axis(), keepdims=True)
        return over_root(centred, variance, self.eps) * gain + bias

    def split(self, *inputs: SSAValue) -> tuple[Operator, ...]:
        x, gain, bias = inputs
        mean = MeanOp.of(x, path=self.under("mean"), over=self.over)
        variance = MeanSquareOp.of(x, mean.out, path=self.under("variance"), over=self.over)
        last = LayerScaleOp.of(x, mean.out, variance.out, gain, bias, path=self.path.data, eps=self.eps)
        return mean, variance, last


@irdl_op_definition
class SoftmaxOp(Normalize):
    """exp(x) / Σ exp(x) over one name (kv_len of scores, experts of the gate). FLOPs: 5 per element by convention."""

    name = "dag.softmax"
    RULE: ClassVar[Rule] = Rule(role=Role.NORM, flops=5)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        shifted = nonlinear("exp", self._stable, inputs[0])
        return shifted / shifted.sum(axis=self.axis(), keepdims=True)

    def split(self, *inputs: SSAValue) -> tuple[Operator, ...]:
        (x,) = inputs
        lse = LogSumExpOp.of(x, path=self.under("lse"), over=self.over)
        return lse, ExpMinusOp.of(x, lse.out, path=self.path.data)

    def apart(
        self, reader: Operator, parts: str, inputs: Sequence[SSAValue], others: Sequence[SSAValue]
    ) -> tuple[Operator, ...]:
        if self.over.data != KEYS or not isinstance(reader, ContextOp):
            return ()
        (x,), (v,), path = inputs, others, reader.path.data
        lse = PartLogSumExpOp.of(x, path=self.under("part_lse"), parts=parts)
        weights = PartExpMinusOp.of(x, lse.out, path=self.under("part_exp"), parts=parts)
        context = PartContextOp.of(weights.out, v, path=f"{path}.part_context", parts=parts)
        return lse, weights, context, MergePartsOp.of(context.out, lse.out, path=f"{path.rpartition('.')[0]}.merge")

    def _stable(self, x: np.ndarray) -> np.ndarray:
        """exp without overflow; the factor is the same above and below the line."""
        return np.exp(x - x.max(axis=self.axis(), keepdims=True))
