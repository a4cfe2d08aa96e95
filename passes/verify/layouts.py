"""Every operator checks the layouts of its operands and result, from the types and its declaration alone. Guarantees:

* an axis is one of the value's pool and appears once in a type; every value is on a pool of the mesh and owes
  debts of one kind
* operands and result agree, name by name of the joint space, on which axes cut it, and in which order
* a name that must be whole is uncut; an axis cuts at most one name that is free
* a name that follows others by a relation (kv_heads: heads) is cut as they are, as far as that divides it; what lies
  any order (routed tokens) has none but the sizes of parts that are not equal
* what passes by in time does so as operators allow (`time`)
* debts are owed, passed on and paid as operators allow (`debts`); moves make what they say (`movers`)
* computation is on one pool of GPUs; the total input and output are whole, paid and on the host
* what a repeat carries owes nothing, and does not pass by
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir.debts import kind_of
from ...ir.layout import Tensor
from ...ir.mesh import HOST, Mesh
from ...ir.module import mesh_of, operators
from ...ir.op import Operator, tensor_of
from ...ir.ops import UNORDERED
from ...ir.ops.move import Mover
from ...ir.ops.program import InputOp, OutputOp, RepeatOp
from ...ir.orders import axes_of, in_space, only_sizes
from ...ir.types import TensorType
from . import debts, movers, time
from .findings import axes_text, debts_text, finding
from .following import followers
from .stages import Stage, stage_of


def check(module: ModuleOp) -> list[Diagnostic]:
    """Every layout that an operator's rule does not allow. A logical module has none."""
    if stage_of(module) is Stage.LOGICAL:
        return []
    mesh = mesh_of(module)
    found = [diagnostic for op, _ in operators(module) for diagnostic in _operator(op, mesh)]
    return found + [d for op in module.ops if isinstance(op, RepeatOp) for d in _repeat(op)]


def _operator(op: Operator, mesh: Mesh) -> Iterator[Diagnostic]:
    yield from _value(op, mesh)
    if isinstance(op, Mover):
        yield from movers.check(op, mesh)
    elif isinstance(op, InputOp | OutputOp):
        yield from _host(op)
    else:
        yield from _computation(op, mesh)


def _value(op: Operator, mesh: Mesh) -> Iterator[Diagnostic]:
    """The laws of a type by itself."""
    tensor = tensor_of(op.out)
    used = (*tensor.axes, *tensor.debtors)
    passing = tensor.times
    if tensor.pool not in (*mesh.pools, HOST):
        yield finding("layout", op, f"there is no pool {tensor.pool}", expected=", ".join(mesh.pools))
        return
    known = mesh.axes_of(tensor.pool)
    if unknown := [axis for axis in (*used, *passing) if axis not in known]:
        problem = f"axis {unknown[0]} is none of those of {tensor.pool}"
        yield finding("layout", op, problem, expected=", ".join(known), actual=unknown[0])
    if twice := [axis for axis in (*used, *passing) if used.count(axis) > 1 or passing.count(axis) > 1]:
        yield finding("layout", op, f"axis {twice[0]} appears twice in a type", actual=str(TensorType(tensor)))
    for dim in tensor.dims:
        if dim.name in UNORDERED and dim.cuts != (free := tuple(map(only_sizes, dim.cuts))):
            problem = f"rows of {dim.name} lie in any order, so that their parts have none"
            yield finding("layout", op, problem, expected=axes_text(free), actual=axes_text(dim.cuts))
    if len({kind_of(owed) for owed in tensor.owes}) > 1:
        yield finding("layout", op, "a value owes debts of two kinds", actual=debts_text(tensor.owes))


def _host(op: Operator) -> Iterator[Diagnostic]:
    for tensor in [tensor_of(value) for value in (*op.operands, op.out)]:
        if tensor.owes:
            yield finding("unpaid", op, f"the total value owes {debts_text(tensor.owes)}")
        if tensor.axes or tensor.times or tensor.pool != HOST:
            yield finding("layout", op, "the total value is not whole on the host", actual=str(TensorType(tensor)))


def _computation(op: Operator, mesh: Mesh) -> Iterator[Diagnostic]:
    pools = sorted({tensor_of(value).pool for value in (*op.operands, op.out)})
    if len(pools) > 1:
        yield finding("layout", op, f"operands and result are on {' and '.join(pools)}", expected="one pool")
    elif pools == [HOST]:
        yield finding("layout", op, "computes on the host", expected="a pool of GPUs")
    joint = _Joint.of(op)
    yield from (finding("layout", op, problem) for problem in [*joint.problems, *_joint_laws(op, joint.cuts, mesh)])
    yield from (finding("time", op, problem) for problem in time.laws(op))
    yield from debts.check(op, {name: axes_of(in_space(cuts)) for name, cuts in joint.cuts.items()})


@dataclass
class _Joint:
    """Per joint name what cuts it, as the first of operands and result says; `problems` where others differ."""

    cuts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @staticmethod
    def of(op: Operator) -> _Joint:
        joint = _Joint()
        for index, value in enumerate(op.operands):
            joint.add(f"operand {index}", tensor_of(value), op.operand_names(index))
        joint.add("the result", tensor_of(op.out), {})
        return joint

    def add(self, who: str, tensor: Tensor, names: dict[str, str]) -> None:
        for dim in tensor.dims:
            name = names.get(dim.name, dim.name)
            cuts = self.cuts.setdefault(name, dim.cuts)
            if cuts != dim.cuts:
                self.problems.append(f"{who} has {name} cut by {axes_text(dim.cuts)}, others by {axes_text(cuts)}")


def _joint_laws(op: Operator, cuts: dict[str, tuple[str, ...]], mesh: Mesh) -> Iterator[str]:
    for name in sorted(op.whole()):
        if in_space(cuts.get(name, ())):
            yield f"{name} must be whole, but is cut by {axes_text(cuts[name])}"
    following = followers(op, cuts, mesh)
    for name, expected in following.items():
        if cuts[name] != expected:
            yield f"{name} is cut by {axes_text(cuts[name])}, what it follows asks for {axes_text(expected)}"
    free = {name: axes_of(in_space(cuts[name])) for name in cuts if name not in following}
    for axis in dict.fromkeys(axis for axes in free.values() for axis in axes):
        if len(names := [name for name, axes in free.items() if axis in axes]) > 1:
            yield f"axis {axis} cuts {' and '.join(names)}: each GPU would see only part of the pairs"


def _repeat(op: RepeatOp) -> Iterator[Diagnostic]:
    owes = tensor_of(op.init).owes
    if tensor_of(op.init).times:
        yield finding("time", op, "the carried value passes by in time", actual=str(op.init.type))
    if owes:
        yield finding("unpaid", op, f"the carried value owes {debts_text(owes)}")
