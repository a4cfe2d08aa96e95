"""Which slot of an expert takes a token, where experts have several (`slots`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, i64
from xdsl.irdl import irdl_op_definition, prop_def
from xdsl.utils.exceptions import VerifyException

from .. import slots
from ..layout import Tensor
from ..op import Computation, Indices, Role, Rule
from .moe import routes


@irdl_op_definition
class AssignOp(Computation):
    """A token's experts become slots that hold them: [batch_size, seq_len, top_k] → the same.

    `slots` is the table of the slots' experts. A token's turn is its place in the batch plus its place in the sequence.
    """

    name = "dag.assign"
    slots = prop_def(DenseArrayBase.constr(i64))
    RULE: ClassVar[Rule] = Rule(role=Role.ROUTING, selects=(0,), indexed=frozenset({"batch_size", "seq_len"}))

    @property
    def table(self) -> tuple[int, ...]:
        """The expert of every slot."""
        return self.slots.get_values()

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        chosen = inputs[0]
        turns = at.held["batch_size"][:, :, None, None] + at.held["seq_len"][:, None, :, None]
        return routes(slots.taken(self.table, chosen["expert"], turns), chosen["weight"])

    def verify_(self) -> None:
        super().verify_()
        if problem := slots.problem(self.table):
            raise VerifyException(f"{self.path.data}: its table {problem}")
