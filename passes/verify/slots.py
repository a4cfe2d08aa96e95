"""Experts of the model that a program computes in slots.

    model      dispatch reads ffn_norm and top_k, combine reads down_proj and top_k, all over experts = 4
    program    assign reads top_k; dispatch reads ffn_norm and assign, …, all over experts = 6, slots of 4 experts

A layer that has an assignment is to have all of it: every operator from the dispatch up to the combine over as many
slots as the table lists, every weight of theirs in copies by that table. This is made here anew of the model's
operators and the table alone. What the combine makes is the model's own value, of the model's experts; what is made
before it are values over slots. Guarantees (`check`), of a module whose plan places experts:

* every expert of the model has a slot, and there are as many slots as the plan says, each part of GPUs equally many
* an expert has as many as the plan says of it, and the GPUs hold the experts that a placement lists
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from xdsl.dialects.builtin import DenseArrayBase, ModuleOp
from xdsl.ir import Block, SSAValue

from ...diagnostics import Diagnostic
from ...ir.dims import number
from ...ir.layout import Tensor
from ...ir.local import levels
from ...ir.mesh import Mesh
from ...ir.module import mesh_of, operators, plan_of
from ...ir.op import Operator, attribute, retype, tensor_of
from ...ir.ops.assign import AssignOp
from ...ir.ops.moe import CountOp, DispatchOp
from ...ir.ops.program import WeightOp
from ...ir.orders import CONTIGUOUS, pieces
from ...ir.slots import EACH_GPU, Slots
from ...ir.types import TensorType
from .findings import finding
from .program import Identity, Step
from .stages import Stage, stage_of

EXPERTS = "experts"
OF_EXPERTS = " (of experts)"
"""Marks a value of the model that the program has over slots only."""

Found = Mapping[Identity, Operator | None]
"""What a program computes, by what it is of the model."""


def computed(model: Iterable[Step], found: Found) -> list[Step]:
    """The steps that a program is to have which computes `found`."""
    return [one for layer in _layers(model, found) for one in layer.computed()]


def valued(model: Iterable[Step], found: Found) -> list[Step]:
    """Steps that make every value of such a program: those over slots, and the model's own for what comes of them."""
    return [one for layer in _layers(model, found) for one in layer.valued()]


def _layers(model: Iterable[Step], found: Found) -> Iterator[_Layer]:
    made: dict[tuple[Operator, DenseArrayBase], Operator] = {}
    for _, layer in groupby(model, key=lambda step: step.identity[0]):
        yield _Layer.of(list(layer), found, made)


@dataclass
class _Layer:
    """The steps of one layer, or of those around the layers.

    `assigned`: routing decisions with what the program makes of them; `tables`: by which table; `over`: what is over
    slots, with the table too.
    """

    steps: list[Step]
    made: dict[tuple[Operator, DenseArrayBase], Operator]
    """Operators over slots by the model's: layers of a repeated body share them."""
    assigned: dict[Identity | None, Identity]
    tables: dict[Identity | None, DenseArrayBase]
    over: dict[Identity | None, DenseArrayBase]

    @staticmethod
    def of(steps: list[Step], found: Found, made: dict[tuple[Operator, DenseArrayBase], Operator]) -> _Layer:
        layer = _Layer(steps, made, {}, {}, {})
        for step in steps:
            if isinstance(step.op, DispatchOp) and (assign := _assignment(step, found)):
                layer.assigned[step.reads[1]], layer.tables[step.reads[1]] = assign[0], assign[1].slots
        for step in steps:
            layer._add(step)
        for step in [step for step in steps if step.identity in layer.over]:
            weights = (read for read, value in zip(step.reads, step.op.operands, strict=True) if _of_experts(value))
            layer.over |= dict.fromkeys(weights, layer.over[step.identity])
        return layer

    def _add(self, step: Step) -> None:
        """Is it over slots? What counts or dispatches assigned decisions is, and what is of experts and reads such."""
        begins = isinstance(step.op, DispatchOp | CountOp)
        known = self.tables if begins else self.over if tensor_of(step.op.out).has(EXPERTS) else {}
        if table := next((known[read] for read in step.reads if read in known), None):
            self.over[step.identity] = table

    def computed(self) -> Iterator[Step]:
        """The program's steps."""
        for step in self.steps:
            slotted = step.identity in self.over
            ends = not self.over.keys().isdisjoint(step.reads)
            reads = _renamed(step.reads, self.assigned) if slotted or ends else step.reads
            yield Step(step.identity, self._over_slots(step) if slotted else step.op, reads)
            if step.identity in self.assigned:
                yield self._assign(step)

    def valued(self) -> Iterator[Step]:
        """The model's steps, renamed where the program's are over slots, and those."""
        names: dict[Identity | None, Identity] = {key: (key[0], key[1] + OF_EXPERTS) for key in self.over if key}
        for step in self.steps:
            yield Step(names.get(step.identity, step.identity), step.op, _renamed(step.reads, names))
        added = {*self.over, *self.assigned.values()}
        yield from (step for step in self.computed() if step.identity in added)

    def _assign(self, routing: Step) -> Step:
        identity, table = self.assigned[routing.identity], self.tables[routing.identity]
        op = self._made(routing.op, table, lambda: _assigning(routing.op, identity[1], table))
        return Step(identity, op, (routing.identity,))

    def _over_slots(self, step: Step) -> Operator:
        table = self.over[step.identity]
        return self._made(step.op, table, lambda: _slotted(step.op, table))

    def _made(self, op: Operator, table: DenseArrayBase, make: Callable[[], Operator]) -> Operator:
        if (op, table) not in self.made:
            self.made[op, table] = make()
        return self.made[op, table]


def _assignment(dispatch: Step, found: Found) -> tuple[Identity, AssignOp] | None:
    """What the program has in front of this dispatch, if its table has a slot for every expert."""
    layer, path = dispatch.identity
    identity = layer, f"{path.rpartition('.')[0]}.assign"
    op = found.get(identity)
    if not isinstance(op, AssignOp) or not isinstance(dispatch.op, DispatchOp):
        return None
    experts = dispatch.op.experts.value.data
    return (identity, op) if sorted(set(op.table)) == list(range(experts)) else None


def _of_experts(value: SSAValue) -> bool:
    return isinstance(value.owner, WeightOp) and tensor_of(value).has(EXPERTS)


def _renamed(
    reads: Iterable[Identity | None], names: Mapping[Identity | None, Identity]
) -> tuple[Identity | None, ...]:
    return tuple(names.get(read, read) for read in reads)


def _assigning(routing: Operator, path: str, table: DenseArrayBase) -> Operator:
    block = Block(arg_types=[TensorType(tensor_of(routing.out).logical())])
    return AssignOp.of(*block.args, path=path, slots=table)


def _slotted(op: Operator, table: DenseArrayBase) -> Operator:
    """The same operator over slots."""
    tensors = [_widened(tensor_of(value), len(table)) for value in op.operands]
    properties = dict(op.properties)
    if isinstance(op, WeightOp):
        properties["slots"] = table
    if EXPERTS in properties:
        properties[EXPERTS] = attribute(len(table))
    block = Block(arg_types=map(TensorType, tensors))
    made = type(op).create(operands=block.args, result_types=[op.out.type], properties=properties)
    retype(made.out, _widened(tensor_of(op.out), len(table)) if isinstance(op, WeightOp) else made.infer(tensors))
    return made


def _widened(tensor: Tensor, slots: int) -> Tensor:
    sized = (replace(dim, size=number(slots)) if dim.name == EXPERTS else dim for dim in tensor.logical().dims)
    return Tensor(tuple(sized), tensor.dtype)


def check(module: ModuleOp) -> list[Diagnostic]:
    """Weights of experts that are not where the plan says."""
    plan = plan_of(module)
    if plan is None or stage_of(module) in (Stage.LOGICAL, Stage.PLACED):
        return []
    found = []
    for op, _ in operators(module):
        if isinstance(op, WeightOp) and (plan.slots or op.table) and ".experts." in op.path.data:
            problem = _misplaced(op, plan.slots, mesh_of(module)) if plan.slots else "the plan says nothing of slots"
            found += [finding("coverage", op, f"experts are not placed as planned: {problem}")] if problem else []
    return found


def _misplaced(op: WeightOp, slots: Slots, mesh: Mesh) -> str:
    """What is wrong with the experts that GPUs hold, or nothing."""
    dim, copies = tensor_of(op.out).dims[0], Counter(op.table)
    parts, experts = mesh.size(dim.axes), len(copies)
    needed = experts + sum(count - 1 for _, count in slots.replicas)
    for said, count, on_each in (
        (slots.total, len(op.table), -(-needed // parts)),
        (slots.redundant, len(op.table) - experts, 1),
    ):
        if said is not None and count != (wanted := on_each * parts if said == EACH_GPU else said):
            return f"{count} slots or redundant ones, not {wanted}"
    if few := [f"{expert}: {copies[expert]} of {count}" for expert, count in slots.replicas if copies[expert] != count]:
        return f"slots of expert {few[0]}"
    held = pieces(levels(mesh, dim.cuts) or ((parts, CONTIGUOUS),), len(op.table))
    rows = [sorted(op.table[slot] for slot in own.tolist()) for own in held]
    if slots.placement and rows != [sorted(own) for own in slots.placement]:
        return "GPUs hold other experts than the placement lists"
    return ""
