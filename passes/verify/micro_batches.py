"""The program runs once per micro-batch, each time on an equal part of the batch. Guarantees that this is the model:

* no operator joins sequences, needs all of them, or tells one from another; so what is computed of a part of the batch
  is that part of what is computed of all of it, and micro-batches may go through one after the other

What remains of one micro-batch for the next is nothing but resident: weights, which none changes, and caches, of which
each sequence has its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir.module import operators, plan_of
from .findings import finding

CUT = "batch_size"


def check(module: ModuleOp) -> Iterator[Diagnostic]:
    """Every operator that would have to see more than one micro-batch."""
    plan = plan_of(module)
    if plan is None or plan.micro_batches == 1:
        return
    for op, _ in operators(module):
        if CUT in op.sums() | op.whole() | op.indexed():
            problem = f"joins the {CUT} of {plan.micro_batches} micro-batches, or tells their sequences apart"
            yield finding("micro-batches", op, problem, hint="run the whole batch at once (--micro-batches 1)")
