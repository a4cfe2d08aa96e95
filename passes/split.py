"""split: where a rule cuts a name that an operator needs whole, its split form takes its place.

    before   %p = dag.softmax(%s) at "layers.attention.core.softmax" {over = "kv_len"}    and cp cuts kv_len there
    after    %l = dag.log_sum_exp(%s) at "layers.attention.core.softmax.lse" {over = "kv_len"}
             %p = dag.exp_minus(%s, %l) at "layers.attention.core.softmax"

What the form is, the operator's class says (`Operator.split`). An operator without one stays: shard refuses the cut.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from ..diagnostics import Diagnostic, Refused
from ..ir.module import layer_of, mesh_of, operators, plan_of, sizes_of
from ..ir.op import Operator, tensor_of
from .cuts import Cuts, Place


@dataclass(frozen=True)
class SplitPass(ModulePass):
    """Split what a placed module's plan cuts."""

    name = "split"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        plan = plan_of(op)
        if plan is None:
            raise Refused(Diagnostic("rule", "the module has no plan to split by", hint="name a strategy"))
        cuts = Cuts(plan, mesh_of(op), sizes_of(op))
        for inner, repeat in list(operators(op)):
            joint = (
                cuts.joint(inner, Place(inner.path.data, layer_of(inner, repeat), tensor_of(inner.out).pool))
                if inner.whole()
                else {}
            )
            if any(joint.get(name) for name in inner.whole()):
                _split(inner)


def _split(op: Operator) -> None:
    steps = op.split(*op.operands)
    if not steps:
        return
    for step in steps:
        step.location = op.location
    Rewriter.insert_op(steps, InsertPoint.before(op))
    steps[-1].out.name_hint = op.out.name_hint
    op.out.replace_all_uses_with(steps[-1].out)
    op.detach()
    op.erase()
