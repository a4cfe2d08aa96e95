"""Reading rows of a resident table by index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from ..layout import Tensor
from ..op import Computation, Indices, Role, Rule


@irdl_op_definition
class LookupOp(Computation):
    """Token embedding. ids [batch_size, seq_len] i32 × table [vocab, hidden] → [batch_size, seq_len, hidden].

    A device with part of vocab gives zero for tokens outside it (mask, then look up), so cutting vocab owes a sum.
    """

    name = "dag.lookup"
    RULE: ClassVar[Rule] = Rule(role=Role.LOOKUP, sums=frozenset({"vocab"}), indexed=frozenset({"vocab"}))

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        ids, table = inputs
        return replace(ids, dims=(*ids.dims, table.dim("hidden")), dtype=table.dtype)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        ids, table = inputs
        held = at.held["vocab"]
        devices = np.arange(len(held))
        row_of = np.full((len(held), at.total["vocab"]), -1)
        row_of[devices[:, None], held] = np.arange(held.shape[1])
        each = devices.reshape(-1, *[1] * (ids.ndim - 1))
        rows = row_of[each, ids]
        return np.where((rows >= 0)[..., None], table[each, rows], 0)
