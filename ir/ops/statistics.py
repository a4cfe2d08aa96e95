"""Norms and softmax in two steps, for where the name they normalise over is cut: a statistic, then what it scales.

    %l = dag.log_sum_exp(%s)            [… kv_len / cp] -> […], owes lse over [cp]
    %p = dag.exp_minus(%s, %l)          exp(s − l): the softmax, every GPU of its own part

A statistic leaves an addend on every GPU. Means are over the whole name, however much of it a GPU holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import FloatAttr, StringAttr
from xdsl.irdl import irdl_op_definition, prop_def

from ..debts import LSE
from ..exponentials import exp_minus, log_sum_exp
from ..layout import Tensor
from ..op import Computation, Indices, Role, Rule
from ..residues import nonlinear
from .linear import spread


class Statistic(Computation):
    """One number of all points along the name `over`, which vanishes."""

    over = prop_def(StringAttr)

    def sums(self) -> frozenset[str]:
        return frozenset({self.over.data})

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        if not inputs[0].has(self.over.data):
            raise ValueError(f"takes a statistic over {self.over.data}, which the operand lacks")
        return replace(inputs[0], dims=tuple(dim for dim in inputs[0].dims if dim.name != self.over.data))

    def axis(self) -> int:
        return list(self.operand_names(0)).index(self.over.data) + 1


@irdl_op_definition
class LogSumExpOp(Statistic):
    """log Σ exp(x). Cutting the name owes a log-sum-exp. FLOPs: 3 per element by convention."""

    name = "dag.log_sum_exp"
    RULE: ClassVar[Rule] = Rule(role=Role.NORM, debt=LSE, flops=3)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return log_sum_exp(inputs[0], self.axis())


class Mean(Statistic):
    """A sum over what is held, divided by the extent of the whole name."""

    def indexed(self) -> frozenset[str]:
        return self.sums()

    def mean(self, x: np.ndarray, at: Indices) -> np.ndarray:
        return x.sum(axis=self.axis()) / at.total[self.over.data]


@irdl_op_definition
class MeanOp(Mean):
    """Σx / n. Cutting the name owes a sum. FLOPs: 1 per element."""

    name = "dag.mean"
    RULE: ClassVar[Rule] = Rule(role=Role.NORM, linear=((0,),), flops=1)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return self.mean(inputs[0], at)


@irdl_op_definition
class MeanSquareOp(Mean):
    """Σx² / n, or Σ(x − mean)² / n where a mean is given. Cutting the name owes a sum. FLOPs: 2 per element."""

    name = "dag.mean_square"
    RULE: ClassVar[Rule] = Rule(role=Role.NORM, flops=2)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, *mean = spread(self, inputs)
        centred = x - mean[0] if mean else x
        return self.mean(centred * centred, at)


class Scaled(Computation):
    """x, every point by itself, with statistics and weights over some of its names."""

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        for tensor in inputs[1:]:
            if missing := [name for name in tensor.names if not inputs[0].has(name)]:
                raise ValueError(f"an operand has {missing[0]}, the value has not")
        return inputs[0]


@irdl_op_definition
class ExpMinusOp(Scaled):
    """exp(x − lse): softmax, given log Σ exp(x). FLOPs: 2 per element by convention."""

    name = "dag.exp_minus"
    RULE: ClassVar[Rule] = Rule(role=Role.NORM, flops=2)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return exp_minus(*spread(self, inputs))


def over_root(x: np.ndarray, square: np.ndarray, eps: FloatAttr) -> np.ndarray:
    """x / √(square + eps)."""
    return x / nonlinear("sqrt", np.sqrt, square + eps.value.data)


@irdl_op_definition
class RmsScaleOp(Scaled):
    """x · gain / √(mean square + eps); operands x, mean square, gain. FLOPs: 2 per element by convention."""

    name = "dag.rms_scale"
    eps = prop_def(FloatAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.NORM, flops=2)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, square, gain = spread(self, inputs)
        return over_root(x, square, self.eps) * gain


@irdl_op_definition
class LayerScaleOp(Scaled):
    """(x − mean) · gain / √(variance + eps) + bias, of operands in the order x, mean, variance, gain, bias.

    FLOPs: 3 per element by convention.
    """

    name = "dag.layer_scale"
    eps = prop_def(FloatAttr)
    RULE: ClassVar[Rule] = Rule(role=Role.NORM, flops=3)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, mean, variance, gain, bias = spread(self, inputs)
        return over_root(x - mean, variance, self.eps) * gain + bias
