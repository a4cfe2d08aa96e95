"""Attention in parts: softmax and context over some keys at a time, merged by the log-sum-exps of the parts' scores.

    %l = dag.part_log_sum_exp(%s)    [… seq_len, kv_len / cp] -> [… seq_len, kv_parts / cp]
    %p = dag.part_exp_minus(%s, %l)  exp(s − l): the softmax inside each part
    %o = dag.part_context(%p, %v)    -> [kv_parts / cp, batch_size, seq_len, heads, d_k]
    %c = dag.merge_parts(%o, %l)      Σ exp(l_part − l) · o_part, l being the log-sum-exp of all parts

`kv_parts` numbers the parts that kv_len is cut into, in the order that `parts` states (`4 contiguous`, `2 contiguous /
4 zigzag`). What is exchanged is a part's output and its log-sum-exp (flash decoding, ring attention), and a merge may
take parts one after the other as they come by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import StringAttr
from xdsl.irdl import irdl_op_definition, prop_def
from xdsl.utils.exceptions import VerifyException

from .. import orders
from ..dims import number
from ..exponentials import exp_minus, log_sum_exp, shares
from ..layout import Dim, Tensor
from ..op import Computation, Indices, Relation, Role, Rule, tensor_of
from .attention import POSITIONS, Meeting, met

KEYS, PARTS = "kv_len", "kv_parts"
NUMBERED_KEYS = Relation(PARTS, (KEYS,), counts=True)
"""Part p of kv_len has number p in kv_parts, whichever indices the part holds."""


class Parted(Computation):
    """Base of what works on whole parts of kv_len."""

    parts = prop_def(StringAttr)

    @property
    def count(self) -> int:
        """How many parts there are."""
        return len(orders.indices(self._levels, orders.divisor(self._levels)))

    @property
    def _levels(self) -> orders.Levels:
        return orders.parse(self.parts.data)

    def by_part(self, x: np.ndarray, axis: int, at: Indices) -> np.ndarray:
        """What lies along kv_len, part by part: [… n …] → [… parts, n / parts …], parts as kv_parts has them."""
        place, held = self._places(at), at.held[PARTS].shape[1]
        moved = np.take_along_axis(x, _meeting(place, x.ndim, axis), axis=axis)
        return moved.reshape(*x.shape[:axis], held, -1, *x.shape[axis + 1 :])

    def in_line(self, x: np.ndarray, axis: int, at: Indices) -> np.ndarray:
        """The reverse: every key where it was."""
        flat = x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])
        return np.take_along_axis(flat, _meeting(np.argsort(self._places(at), axis=1), flat.ndim, axis), axis=axis)

    def _places(self, at: Indices) -> np.ndarray:
        """Positions in what is held of kv_len, part after part: [devices, n]. IndexError where parts are not whole."""
        held, total = at.held[KEYS], at.total[KEYS]
        part = np.empty(total, dtype=np.int64)
        of_part = orders.indices(self._levels, total)
        part[of_part.reshape(-1)] = np.repeat(np.arange(len(of_part)), of_part.shape[1])
        rank = part[held][:, :, None] == at.held[PARTS][:, None, :]
        if not rank.any(axis=2).all() or (rank.sum(axis=1) != of_part.shape[1]).any():
            raise IndexError("holds parts of kv_len that are not whole")
        return np.argsort(rank.argmax(axis=2), axis=1, kind="stable")

    def verify_(self) -> None:
        try:
            if orders.unequal(self._levels):
                raise ValueError(f"not equal: {self.parts.data}")
        except ValueError as error:
            raise VerifyException(f"{self.path.data}: parts: {error}") from error
        super().verify_()


def _meeting(place: np.ndarray, ndim: int, axis: int) -> np.ndarray:
    """Positions [devices, n] as an array that meets one axis of another."""
    return place.reshape(len(place), *(place.shape[1] if i == axis else 1 for i in range(1, ndim)))


@irdl_op_definition
class PartLogSumExpOp(Parted):
    """log Σ exp(x) of every part: [batch_size, heads, seq_len, kv_len] → [batch_size, heads, seq_len, kv_parts].

    FLOPs: 3 per element by convention.
    """

    name = "dag.part_log_sum_exp"
    RULE: ClassVar[Rule] = Rule(
        role=Role.NORM, relates=(NUMBERED_KEYS,), aligned=frozenset({KEYS}), indexed=frozenset({KEYS, PARTS}), flops=3
    )

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        x = inputs[0]
        if not x.has(KEYS):
            raise ValueError(f"takes a statistic over {KEYS}, which the operand lacks")
        kept = tuple(dim for dim in x.dims if dim.name != KEYS)
        return replace(x, dims=(*kept, Dim(PARTS, number(self.count))))

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        axis = list(self.operand_names(0)).index(KEYS) + 1
        return np.moveaxis(log_sum_exp(self.by_part(inputs[0], axis, at), axis + 1), axis, -1)


@irdl_op_definition
class PartExpMinusOp(Parted):
    """exp(x − lse of its part): x [… seq_len, kv_len], lse [… seq_len, kv_parts] → […, seq_len, kv_len].

    FLOPs: 2 per element by convention.
    """

    name = "dag.part_exp_minus"
    RULE: ClassVar[Rule] = Rule(
        role=Role.NORM, relates=(NUMBERED_KEYS,), aligned=frozenset({PARTS}), indexed=frozenset({KEYS, PARTS}), flops=2
    )

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        x, lse = inputs
        if x.names[:-1] != lse.names[:-1] or (x.names[-1], lse.names[-1]) != (KEYS, PARTS):
            raise ValueError(f"needs x over …, {KEYS} and its log-sum-exps over …, {PARTS}")
        return x

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        x, lse = inputs
        axis = x.ndim - 1
        return self.in_line(exp_minus(self.by_part(x, axis, at), lse[..., None]), axis, at)


@irdl_op_definition
class PartContextOp(Parted, Meeting):
    """P·V of every part. p [batch_size, heads, seq_len, kv_len] × v [batch_size, seq_len as kv_len, kv_heads, d_k]
    → [kv_parts, batch_size, seq_len, heads, d_k]; values as `ContextOp` takes them. FLOPs: 2 per multiply-add.
    """

    name = "dag.part_context"
    RULE: ClassVar[Rule] = replace(
        Meeting.RULE,
        relates=(*Meeting.RULE.relates, NUMBERED_KEYS),
        aligned=Meeting.RULE.aligned | {KEYS},
        indexed=Meeting.RULE.indexed | {KEYS, PARTS},
    )

    def indexed(self) -> frozenset[str]:
        return super().indexed() | {KEYS, PARTS}

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        p, v = inputs
        features = [dim for dim in v.dims if dim.name not in POSITIONS]
        return replace(p, dims=(Dim(PARTS, number(self.count)), *map(p.dim, ROWS), *features))

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        p, (v, kept) = inputs[0], self.kept(inputs[1], at)
        weights = list(self.operand_names(0).values())
        p, v = (self.by_part(x, n.index(KEYS) + 1, at) for x, n in ((p, weights), (v, kept)))
        return met(p, _in_parts(weights), v, _in_parts(kept), tensor_of(self.results[0]).names)


ROWS = ("batch_size", "seq_len", "heads")


def _in_parts(names: list[str]) -> list[str]:
    at = names.index(KEYS)
    return [*names[:at], PARTS, *names[at:]]


@irdl_op_definition
class MergePartsOp(Computation):
    """The parts' outputs, weighted by what each has of Σ exp: o [kv_parts, batch_size, seq_len, heads, d_k], lse
    [batch_size, heads, seq_len, kv_parts] → [batch_size, seq_len, heads, d_k]. Parts may come one after the other: it
    keeps what it has so far and its log-sum-exp. FLOPs: 2 per element of the parts by convention.
    """

    name = "dag.merge_parts"
    RULE: ClassVar[Rule] = Rule(role=Role.ATTENTION, linear=((0,),), accumulates=frozenset({PARTS}), flops=2)

    def whole(self) -> frozenset[str]:
        return frozenset({PARTS})

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        o, lse = inputs
        if missing := [name for name in lse.names if not o.has(name)]:
            raise ValueError(f"the log-sum-exps have {missing[0]}, the outputs have not")
        return replace(o, dims=tuple(dim for dim in o.dims if dim.name != PARTS))

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        o, lse = inputs
        of, weights = (list(self.operand_names(i)) for i in (0, 1))
        return met(o, of, shares(lse, weights.index(PARTS) + 1), weights, [name for name in of if name != PARTS])
