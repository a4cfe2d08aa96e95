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
    RULE: ClassVar[Rule] = Rule(role=Role.LOOKUP, sums=frozenset({"vocab"}))

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        ids, table = inputs
        return replace(ids, dims=(*ids.dims, table.dim("hidden")), dtype=table.dtype)

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        ids, table = inputs
        row_of = np.full(at.total["vocab"], -1)
        row_of[at.held["vocab"]] = np.arange(len(at.held["vocab"]))
        rows = row_of[ids]
        return np.where((rows >= 0)[..., None], table[rows], 0)
