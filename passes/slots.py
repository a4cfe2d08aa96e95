"""slots: physical experts, where the plan says that GPUs hold other ones than an equal part of the model's.

    before   %rows = dag.dispatch(%x, %top_k) {experts = 4} : … -> [experts = 4, expert_tokens = T, hidden = 64]
             %w = dag.weight() at "layers.moe.experts.up_proj.weight" : [experts = 4, hidden = 64, ffn = 128]
    after    %slot = dag.assign(%top_k) at "layers.moe.assign" {slots = array<i64: 0, 1, 0, 2, 3, 2>}
             %rows = dag.dispatch(%x, %slot) {experts = 6} : … -> [experts = 6, expert_tokens = T, hidden = 64]
             %w = dag.weight() at … {slots = array<i64: 0, 1, 0, 2, 3, 2>} : [experts = 6, hidden = 64, ffn = 128]

From the dispatch to the combine `experts` then counts slots; which expert each holds, `deal` says. T becomes the rows
of a slot: as if an expert with n slots were chosen n times as often as one with a single slot, as it is meant to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from xdsl.context import Context
from xdsl.dialects.builtin import DenseArrayBase, ModuleOp, i64
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from ..diagnostics import Diagnostic, Refused
from ..ir.dims import Sizes, number
from ..ir.layout import Dim, Tensor
from ..ir.local import levels
from ..ir.module import annotate, layer_of, mesh_of, operators, plan_of, sizes_of
from ..ir.op import Operator, attribute, retype, tensor_of, where_of
from ..ir.ops.assign import AssignOp
from ..ir.ops.moe import EXPERT_TOKENS, CountOp, DispatchOp
from ..ir.ops.program import RepeatOp, WeightOp
from ..ir.orders import CONTIGUOUS, is_unequal, pieces
from ..ir.slots import Slots
from .cuts import Cuts, Place
from .deal import counted, dealt, table

EXPERTS = "experts"


@dataclass(frozen=True)
class SlotsPass(ModulePass):
    """Give a placed module's experts their slots. Refused where the plan's cannot be."""

    name = "slots"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        plan = plan_of(op)
        if plan is None:
            raise Refused(Diagnostic("rule", "the module has no plan to place experts by", hint="name a strategy"))
        found = [(inner, repeat) for inner, repeat in operators(op) if isinstance(inner, DispatchOp)]
        if plan.slots is None or not found:
            return
        cuts = Cuts(plan, mesh_of(op), sizes_of(op))
        for dispatch, repeat in found:
            _slotted(dispatch, _table(plan.slots, dispatch, repeat, cuts))
        annotate(op, sizes=_shared(sizes_of(op), found[0][0]))


def _table(slots: Slots, dispatch: DispatchOp, repeat: RepeatOp | None, cuts: Cuts) -> DenseArrayBase:
    """The expert of every slot, as the experts of this dispatch are cut."""
    user = next(op for op in _over(dispatch) if any(isinstance(value.owner, WeightOp) for value in op.operands))
    place = Place(user.path.data, layer_of(user, repeat), tensor_of(user.out).pool)
    rules = cuts.rules.at(place.path, place.layer, cuts.mesh.axes_of(place.pool))
    cutting = {axis: rule.order(EXPERTS) for axis, rule in rules if EXPERTS in rule.cuts}
    experts, parts = dispatch.experts.value.data, cuts.mesh.size(tuple(cutting))
    total = counted(slots, experts, parts, alike=not any(map(is_unequal, cutting.values())))
    cut = cuts.named(Tensor((Dim(EXPERTS, number(total)),), "f32", pool=place.pool), place)[EXPERTS]
    if cuts.problems:
        raise Refused(*cuts.problems.values())
    held = pieces(levels(cuts.mesh, cut) or ((parts, CONTIGUOUS),), total)
    return DenseArrayBase.from_list(i64, table(dealt(slots, experts, list(map(len, held))), held))


def _slotted(dispatch: DispatchOp, slots: DenseArrayBase) -> None:
    """Let rows go to slots, and everything between dispatch and combine be of slots."""
    routing, path = dispatch.operands[1], dispatch.path.data.rpartition(".")[0]
    assign = AssignOp.of(routing, path=f"{path}.assign", where=where_of(dispatch), slots=slots)
    retype(assign.out, tensor_of(routing))
    assert isinstance(routing.owner, Operation)
    Rewriter.insert_op(assign, InsertPoint.after(routing.owner))
    routing.replace_uses_with_if(assign.out, lambda use: use.operation is not assign)
    counts = [use.operation for use in assign.out.uses if isinstance(use.operation, CountOp)]
    for op in _over(dispatch, *counts):
        for weight in (value.owner for value in op.operands if isinstance(value.owner, WeightOp)):
            _copied(weight, slots)
        if EXPERTS in op.properties:
            op.properties[EXPERTS] = attribute(len(slots))
        made = op.infer([tensor_of(value).logical() for value in op.operands])
        retype(op.out, replace(made, pool=tensor_of(op.out).pool))


def _over(*first: Operator) -> list[Operator]:
    """Operators of experts' rows, in order: these, and all that read what one of them makes up to the combine."""
    found: dict[Operator, None] = dict.fromkeys(first)
    block = first[0].parent_block()
    assert block is not None
    for op in block.ops:
        if isinstance(op, Operator) and tensor_of(op.out).has(EXPERTS) and not found.keys().isdisjoint(_makers(op)):
            found[op] = None
    return [op for op in block.ops if isinstance(op, Operator) and op in found]


def _makers(op: Operator) -> Iterator[object]:
    return (value.owner for value in op.operands)


def _copied(weight: WeightOp, slots: DenseArrayBase) -> None:
    tensor = tensor_of(weight.out)
    if tensor.names[0] == EXPERTS:
        weight.properties["slots"] = slots
        retype(weight.out, replace(tensor, dims=(Dim(EXPERTS, number(len(slots))), *tensor.dims[1:])))


def _shared(sizes: Sizes, dispatch: DispatchOp) -> Sizes:
    """Rows of a slot: all rows by the slots."""
    routing = tensor_of(dispatch.operands[1])
    rows = routing.points / number(dispatch.experts.value.data)
    return sizes.define(str(EXPERT_TOKENS), rows, rows)
