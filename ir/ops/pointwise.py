"""Operators that act on every element by itself, on values of one shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import erf
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import FloatAttr, StringAttr
from xdsl.irdl import irdl_op_definition, prop_def

from ..layout import Tensor
from ..op import Computation, Indices, Rule
from ..residues import nonlinear
from .linear import spread


@irdl_op_definition
class AddOp(Computation):
    """Residual and branch sums. A debt passes only when both addends owe it: full + partial counts the full twice."""

    name = "dag.add"
    RULE: ClassVar[Rule] = Rule(linear=((0, 1),), flops=1)

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        if not inputs[0].logical().same_value(inputs[1].logical()):
            raise ValueError("adds values of different dimensions")
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return inputs[0] + inputs[1]


@irdl_op_definition
class MultiplyOp(Computation):
    """x · y, y over all or some of x's names. Linear in either factor while the other is full."""

    name = "dag.multiply"
    RULE: ClassVar[Rule] = Rule(linear=((0,), (1,)), flops=1)

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        if missing := [name for name in inputs[1].names if not inputs[0].has(name)]:
            raise ValueError(f"the second factor has {missing[0]}, the first has not")
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, other = spread(self, inputs)
        return x * other


@irdl_op_definition
class ScaleOp(Computation):
    """x · factor: attention scores by 1/√d_k (with the global d_k, whatever part of it a device holds)."""

    name = "dag.scale"
    factor = prop_def(FloatAttr)
    RULE: ClassVar[Rule] = Rule(linear=((0,),), flops=1)

    def detail(self) -> str:
        return f"× {self.factor.value.data:.4g}"

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return inputs[0] * self.factor.value.data


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: x * 0.5 * (1 + np.vectorize(erf, otypes=[float])(x / np.sqrt(2))),
    "gelu_tanh": lambda x: x * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": _sigmoid,
}


@irdl_op_definition
class ActivateOp(Computation):
    """A nonlinear function of every element (`ACTIVATIONS`). FLOPs: 4 per element by convention."""

    name = "dag.activate"
    function = prop_def(StringAttr)
    RULE: ClassVar[Rule] = Rule(flops=4)

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        if self.function.data not in ACTIVATIONS:
            raise ValueError(f"unknown activation {self.function.data!r}; known: {', '.join(ACTIVATIONS)}")
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return nonlinear(self.function.data, ACTIVATIONS[self.function.data], inputs[0])
