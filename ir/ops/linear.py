"""Projections: contractions of an activation with a resident weight, as einsums over names, without reshapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.irdl import irdl_op_definition, prop_def

from ..layout import Tensor
from ..op import Computation, Indices, Operator, Role, Rule


class Contraction(Computation):
    """x · w summed over the names in `over`; other shared names (experts) run in parallel. Two FLOPs a multiply-add."""

    over = prop_def(ArrayAttr[StringAttr])

    def contracted(self) -> tuple[str, ...]:
        return tuple(name.data for name in self.over)

    def sums(self) -> frozenset[str]:
        return frozenset(self.contracted())

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        x, weight = inputs[0], inputs[1]
        over = self.contracted()
        if missing := [name for name in over if not (x.has(name) and weight.has(name))]:
            raise ValueError(f"contracts {missing[0]}, which is not in both operands")
        kept = [dim for dim in x.dims if dim.name not in over]
        new = [dim for dim in weight.dims if dim.name not in over and not x.has(dim.name)]
        return replace(x, dims=(*kept, *new))

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, weight = (list(self.operand_names(i)) for i in (0, 1))
        out = [dim.name for dim in self.out.type.data.dims]
        letter = {name: chr(97 + i) for i, name in enumerate(dict.fromkeys([*x, *weight]))}
        spec = ["x" + "".join(letter[name] for name in names) for names in (x, weight, out)]
        return np.einsum(f"{spec[0]},{spec[1]}->{spec[2]}", inputs[0], inputs[1])


@irdl_op_definition
class ProjectOp(Contraction):
    """x [batch_size, seq_len, hidden] × w [hidden, heads, d_k] over hidden → [batch_size, seq_len, heads, d_k]."""

    name = "dag.project"
    RULE: ClassVar[Rule] = Rule(role=Role.MATMUL, linear=((0,),), flops=2)


@irdl_op_definition
class GroupedProjectOp(Contraction):
    """A projection of every local expert over the rows routed to it; `counts` [sources, experts] says how many.

    x [experts, expert_tokens, hidden] × w [experts, hidden, ffn], counts → [experts, expert_tokens, ffn].
    Rows past an expert's count are padding and stay zero, because dispatch leaves them zero.
    """

    name = "dag.grouped_project"
    RULE: ClassVar[Rule] = Rule(role=Role.MATMUL, linear=((0,),), selects=(2,), aligned=frozenset({"sources"}), flops=2)


@irdl_op_definition
class AddBiasOp(Computation):
    """x + bias, bias over some of x's names. Not linear in x: a bias added to every addend is added too often."""

    name = "dag.add_bias"
    RULE: ClassVar[Rule] = Rule(flops=1)

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        if missing := [name for name in inputs[1].names if not inputs[0].has(name)]:
            raise ValueError(f"the bias has {missing[0]}, the value has not")
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, bias = spread(self, inputs)
        return x + bias


def spread(op: Operator, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """An operator's operands, shaped so that they meet the first: later ones have some of its names."""
    into = list(op.operand_names(0))
    return [inputs[0], *(_shaped(x, list(op.operand_names(i)), into) for i, x in enumerate(inputs[1:], 1))]


def _shaped(small: np.ndarray, names: list[str], into: list[str]) -> np.ndarray:
    """`small`, with axes (devices, *names), shaped so that it meets an array with axes (devices, *into)."""
    ordered = small.transpose([0, *(names.index(name) + 1 for name in into if name in names)])
    shape = iter(ordered.shape)
    return ordered.reshape([next(shape), *(next(shape) if name in names else 1 for name in into)])
