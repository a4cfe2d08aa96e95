"""tidy: what is computed twice is computed once, what no one uses goes.

    before   %a = dag.all_reduce(%x)   %b = dag.all_reduce(%x)   … use of %a … use of %b
    after    %a = dag.all_reduce(%x)                             … use of %a … use of %a

Moves to two layouts can begin with the same step; these are xDSL's own common-subexpression and dead-code passes.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.transforms.common_subexpression_elimination import CommonSubexpressionElimination
from xdsl.transforms.dead_code_elimination import DeadCodeElimination


@dataclass(frozen=True)
class TidyPass(ModulePass):
    """Share equal operators and drop unused ones."""

    name = "tidy"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        CommonSubexpressionElimination().apply(ctx, op)
        DeadCodeElimination().apply(ctx, op)
