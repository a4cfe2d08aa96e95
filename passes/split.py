"""split: where a rule cuts a name that an operator needs whole, its split form takes its place.

    before   %p = dag.softmax(%s) at "layers.attention.core.softmax" {over = "kv_len"}    and cp cuts kv_len there
    after    %l = dag.log_sum_exp(%s) at "layers.attention.core.softmax.lse" {over = "kv_len"}
             %p = dag.exp_minus(%s, %l) at "layers.attention.core.softmax"

or, where the rule keeps the parts of kv_len apart (it names kv_parts too, or lets them pass by in time), with context

    after    %l = dag.part_log_sum_exp(%s) at "layers.attention.core.softmax.part_lse" {parts = "4 contiguous"}
             %p = dag.part_exp_minus(%s, %l) at "layers.attention.core.softmax.part_exp"
             %o = dag.part_context(%p, %v) at "layers.attention.core.context.part_context"
             %c = dag.merge_parts(%o, %l) at "layers.attention.core.merge"

What the form is, the operator's class says (`Operator.split`, `Operator.apart`). An operator without one stays: shard
refuses the cut.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from ..diagnostics import Diagnostic, Refused
from ..ir import orders
from ..ir.module import layer_of, operators, plan_of
from ..ir.op import Operator, Split, tensor_of, where_of
from .cuts import Cuts, Place


@dataclass(frozen=True)
class SplitPass(ModulePass):
    """Split what a placed module's plan cuts."""

    name = "split"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        plan = plan_of(op)
        if plan is None:
            raise Refused(Diagnostic("rule", "the module has no plan to split by", hint="name a strategy"))
        cuts = Cuts.of_module(op, plan)
        for inner, repeat in list(operators(op)):
            if inner.whole():
                _one(inner, cuts, Place(inner.path.data, layer_of(inner, repeat), tensor_of(inner.out).pool))


def _one(op: Operator, cuts: Cuts, place: Place) -> None:
    joint = cuts.joint(op, place)
    if not any(joint.get(name) for name in op.whole()):
        return
    parts, readers = cuts.kept_apart(op, place), [use.operation for use in op.out.uses]
    if not parts:
        _replace((op,), op.split(*op.operands))
    elif orders.unequal(orders.parse(parts)):
        raise Refused(_unequal(op, parts))
    elif len(readers) == 1 and isinstance(reader := readers[0], Operator):
        others = [value for value in reader.operands if value is not op.out]
        _replace((op, reader), op.apart(reader, parts, op.operands, others))


def _unequal(op: Operator, parts: str) -> Diagnostic:
    return Diagnostic(
        "order",
        f"parts of {', '.join(op.whole())} that are merged later are not equal: {parts}",
        f"{where_of(op)} at {op.path.data}".strip(),
        expected="equal parts, or a sum over them that is paid at once",
        actual=parts,
        hint="cut it contiguously, or do not name what numbers the parts",
    )


def _replace(chain: Split, steps: Split) -> None:
    """The steps in place of operators of which each reads the one before; as it is where there are none."""
    if not steps:
        return
    for step in steps:
        step.location = chain[0].location
    Rewriter.insert_op(steps, InsertPoint.before(chain[-1]))
    steps[-1].out.name_hint = chain[-1].out.name_hint
    chain[-1].out.replace_all_uses_with(steps[-1].out)
    for op in reversed(chain):
        op.detach()
        op.erase()
