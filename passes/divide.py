"""divide: the smallest number of micro-batches with which a lowered program fits the memory of its GPUs (DEP5).

    weights 50.7 GB + KV cache 4.3 GB + activations 48.1 GB / m ≤ 80 GB     →     m = 2

Weights are there once and caches hold the whole batch; only values and buffers are those of one micro-batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from ..ir.gpus import Gpus
from ..ir.module import annotate, plan_of, sizes_of
from .measure import measure
from .rules import data_parallel_size


def divisions(module: ModuleOp) -> Iterator[int]:
    """Into how many micro-batches the batch of a module that runs once can go: what divides a replica's sequences."""
    plan, batch = plan_of(module), dict(sizes_of(module).bound).get("B")
    if plan is not None and batch is not None:
        parallel = data_parallel_size(plan)
        whole = batch if batch % parallel else batch // parallel  # in unequal parts any that leaves each one sequence
        yield from (runs for runs in range(1, batch // parallel + 1) if whole % runs == 0)


def divided(module: ModuleOp, kinds: Sequence[Gpus], fused: bool = True) -> tuple[int, dict[str, Any]] | None:
    """The fewest micro-batches that fit, or the most there can be, and what is measured with them.

    None where the batch is left unbound.
    """
    last = None
    for runs in divisions(module):
        last = runs, measure(_in(module, runs), kinds, fused)
        if all(part["fits"] for part in last[1]["classes"]):
            break
    return last


def _in(module: ModuleOp, runs: int) -> ModuleOp:
    """The module with its batch in so many parts."""
    made, plan, sizes = module.clone(), plan_of(module), sizes_of(module)
    assert plan is not None
    bound = tuple((name, value // runs if name == "B" and value else value) for name, value in sizes.bound)
    annotate(made, plan=replace(plan, micro_batches=runs), sizes=replace(sizes, bound=bound))
    return made
