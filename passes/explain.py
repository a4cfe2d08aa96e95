"""explain: why a value of a lowered module is laid out as it is, and why a move stands where it does.

    all_reduce at layers.attention.o_proj     pays a sum over tp for attention_residual
      owed    o_proj sums over heads, which tp cuts: rule at * (strategies/tp.yaml:4)
      paid    attention_residual adds to what owes nothing

Reasons come from the module alone: its plan's rules, with their file and line, and what operators declare.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, SSAValue

from ..ir.debts import KINDS, debtor, kind_of
from ..ir.dims import text
from ..ir.layout import Dim, Tensor
from ..ir.local import kinds, shown
from ..ir.mesh import HOST
from ..ir.module import layer_of, layers_text, mesh_of, operators, plan_of, sizes_of
from ..ir.op import Operator, tensor_of, where_of
from ..ir.ops import RELATIONS
from ..ir.ops.move import Mover
from ..ir.ops.program import RepeatOp, Resident, YieldOp
from ..ir.orders import CONTIGUOUS, axis_of, order_of
from ..ir.plan import Plan, Rule, user_axis
from .rules import Rules


@dataclass(frozen=True)
class Place:
    """An operator of a module and the repeat that it stands in."""

    op: Operator
    repeat: RepeatOp | None

    @property
    def layer(self) -> int | None:
        return layer_of(self.op, self.repeat)

    @property
    def path(self) -> str:
        return self.op.path.data


class Explainer:
    """Answers for one lowered module."""

    def __init__(self, module: ModuleOp) -> None:
        self.plan, self.mesh, self.sizes = plan_of(module) or Plan("", (), ()), mesh_of(module), sizes_of(module)
        self.places = {op: Place(op, repeat) for op, repeat in operators(module)}
        axes = self.mesh.axes
        self.cutting, self.storing = Rules(self.plan.rules, axes), Rules(self.plan.stores, axes)

    def explained(self, op: Operator) -> dict[str, Any]:
        """What an operator's result is, dimension by dimension, and of a move why it is there."""
        place, tensor = self.places[op], tensor_of(op.out)
        return {
            "operator": op.name.removeprefix("dag."),
            "path": place.path,
            "layers": layers_text(op, place.repeat) if place.repeat else None,
            "from": where_of(op),
            "on": tensor.pool,
            "dimensions": [self._dimension(dim, tensor, op) for dim in tensor.dims],
            "owes": [self._debt(owed, op) for owed in tensor.owes],
            "move": self._move(op) if isinstance(op, Mover) else None,
        }

    def _dimension(self, dim: Dim, tensor: Tensor, op: Operator) -> dict[str, Any]:
        which = kinds(self.mesh, tensor.pool, [dim])
        firsts = [0] if which is None else np.unique(which, return_index=True)[1].tolist()
        sizes = [shown(self.mesh, self.sizes, tensor.pool, dim, at) for at in firsts]
        local, whole = sizes[0] if len(sizes) == 1 else (" or ".join(str(size) for size, _ in sizes), sizes[0][1])
        cuts = [{"axis": axis_of(cut), **self._cut(cut, dim.name, op)} for cut in dim.cuts]
        return {
            "name": dim.name,
            "global": whole,
            "local": local,
            "cuts": cuts,
            "copies": self._copies(dim, tensor, op),
        }

    def _cut(self, cut: str, name: str, op: Operator) -> dict[str, Any]:
        axis, order = axis_of(cut), order_of(cut)
        parts, ordered = self.mesh.size((axis,)), {} if order == CONTIGUOUS else {"order": order}
        return {"parts": parts, **ordered, **self._why(axis, name, op)}

    def _why(self, axis: str, name: str, op: Operator) -> dict[str, str]:
        """Which rule, at the operator or at one that decides for it, makes an axis cut a name."""
        for place in self._deciding(op):
            for told in (name, *(joint for joint in _names(place.op) if _renamed(place.op, joint) == name)):
                if rule := self._rule(self.cutting, axis, told, place):
                    return {"why": _said(rule, axis, told, place, op), "where": rule.where}
        if isinstance(op, Resident | Mover) and (rule := self._rule(self.storing, axis, name, self.places[op])):
            return {"why": f"stored by {_rule(rule)}", "where": rule.where}
        if name == "experts" and self.plan.slots:
            return {"why": "the strategy's slots say which experts each GPU holds", "where": self.plan.where}
        return {"why": f"as {_read(op) or 'what it reads'} is", "where": ""}

    def _rule(self, rules: Rules, axis: str, name: str, place: Place) -> Rule | None:
        """The rule that holds for an axis, if it names this dimension or one that it follows."""
        rule = rules.rule(axis, place.path, place.layer) if axis in rules.axes else None
        listed = rule is not None and (name in rule.cuts or any(source in rule.cuts for source in _sources(name)))
        return rule if listed else None

    def _deciding(self, op: Operator) -> Iterator[Place]:
        """The operator, or, of a move, who needs what it makes, then who made it."""
        if not isinstance(op, Mover):
            yield self.places[op]
        yield from (self.places[user] for user in _users(op.out) if isinstance(op, Mover | Resident))
        if isinstance(op, Mover) and (maker := _maker(op)) is not None:
            yield self.places[maker]

    def _copies(self, dim: Dim, tensor: Tensor, op: Operator) -> list[dict[str, Any]]:
        """Sub-axes that a rule would have cut it, and that do not divide it."""
        if tensor.pool == HOST:
            return []
        missing = [axis for axis in self.mesh.axes_of(tensor.pool) if "." in axis and axis not in tensor.axes]
        found = [(axis, rule) for axis in missing for p in self._deciding(op)
                 if (rule := self._rule(self.cutting, axis, dim.name, p))]  # fmt: skip
        return [
            {"axis": axis, "parts": self.mesh.size((axis,)), "where": rule.where,
             "why": f"{dim.name} = {text(dim.size)} is not divided further: {_rule(rule)}"}
            for axis, rule in dict(found).items()
        ]  # fmt: skip

    def _debt(self, owed: str, op: Operator) -> dict[str, Any]:
        axis, kind = debtor(owed), KINDS[kind_of(owed)].called
        maker = op if not isinstance(op, Mover) else _maker(op)
        said = {"axis": axis, "kind": kind, "why": "", "where": ""}
        for operand in maker.operands if maker else ():
            names = maker.operand_names(list(maker.operands).index(operand)) if maker else {}
            for dim in tensor_of(operand).dims:
                if maker and axis in dim.axes and names[dim.name] in maker.sums():
                    why = self._why(axis, names[dim.name], maker)
                    sums = f"{_short(maker)} sums over {names[dim.name]}, which {user_axis(axis)} cuts: {why['why']}"
                    return {**said, "why": sums, "where": why["where"]}
            if maker and owed in tensor_of(operand).owes and isinstance(operand.owner, Operator):
                return {**said, "why": f"{_short(maker)} passes on what {_short(operand.owner)} owes"}
        return said

    def _move(self, op: Mover) -> dict[str, Any]:
        """The two layouts that it turns into one another, and why each is what it is."""
        before, after = tensor_of(op.operands[0]), tensor_of(op.out)
        maker, users = _maker(op), _users(op.out)
        changed = [
            {"dimension": a.name, "before": self._side(a, maker or op), "after": self._side(b, op)}
            for a, b in zip(before.dims, after.dims, strict=True)
            if a.cuts != b.cuts
        ]
        paid = [self._debt(owed, maker) for owed in before.owes if owed not in after.owes] if maker else []
        return {
            "have": str(_layout(before)), "need": str(_layout(after)),
            "made_by": maker.path.data if maker else None, "needed_by": [user.path.data for user in users],
            "changes": changed, "pays": paid, "pools": [before.pool, after.pool] if before.pool != after.pool else None,
        }  # fmt: skip

    def _side(self, dim: Dim, op: Operator) -> dict[str, Any]:
        cuts = [{"axis": axis_of(cut), **self._cut(cut, dim.name, op)} for cut in dim.cuts]
        rule = None if cuts else self._lifted(dim.name, op)
        return {"cuts": cuts} | ({"why": f"no axis cuts it there: {_rule(rule)}", "where": rule.where} if rule else {})

    def _lifted(self, name: str, op: Operator) -> Rule | None:
        """The rule by which an axis that could cut a name cuts another, or none, where the value is needed."""
        able = [axis for axis in self.mesh.axes if any(name in r.cuts for r in self.plan.rules_of(axis))]
        places = list(self._deciding(op))[:1]
        found = (self.cutting.rule(axis, place.path, place.layer) for place in places for axis in able)
        return next((rule for rule in found if rule and name not in rule.cuts), None)


def _said(rule: Rule, axis: str, name: str, place: Place, op: Operator) -> str:
    follows = next((source for source in _sources(name) if source in rule.cuts), "") if name not in rule.cuts else ""
    part = f" ({axis} is the part of {user_axis(axis)} that does)" if "." in axis else ""
    how = f"{name} follows {follows}, by " if follows else ""
    by = "" if place.op is op else f", for {_short(place.op)}"
    return f"{how}{_rule(rule)}{part}{by}"


def _rule(rule: Rule) -> str:
    cuts = f"cuts {', '.join(rule.cuts)}" if rule.cuts else "cuts nothing"
    return f"rule at {', '.join(rule.at)}: {rule.axis} {cuts}"


def _sources(name: str) -> tuple[str, ...]:
    return RELATIONS[name].sources if name in RELATIONS else ()


def _names(op: Operator) -> set[str]:
    return {joint for index in range(len(op.operands)) for joint in op.operand_names(index).values()}


def _renamed(op: Operator, joint: str) -> str:
    """The name under which an operand has a joint name."""
    pairs = (pair for index in range(len(op.operands)) for pair in op.operand_names(index).items())
    return next((own for own, name in pairs if name == joint and own != joint), "")


def _maker(op: Mover) -> Operator | None:
    """Who computes what a move moves, through other moves; what enters a body is what the body starts from."""
    owner = op.operands[0].owner
    while isinstance(owner, Mover | RepeatOp | Block):
        repeat = owner.parent_op() if isinstance(owner, Block) else owner
        if not isinstance(repeat, Mover | RepeatOp):
            return None
        owner = (repeat.yielded if repeat is owner and isinstance(repeat, RepeatOp) else repeat.operands[0]).owner
    return owner if isinstance(owner, Operator) else None


def _users(value: SSAValue) -> list[Operator]:
    """Who computes with a value, through other moves, and inside and behind the bodies that it enters."""
    found: dict[Operator, None] = {}
    for use in value.uses:
        user = use.operation
        if isinstance(user, YieldOp):
            user = user.parent_op()
            found |= dict.fromkeys(_users(user.out) if isinstance(user, RepeatOp) else [])
        elif isinstance(user, RepeatOp):
            found |= dict.fromkeys(_users(user.body.block.args[0]))
        elif isinstance(user, Mover):
            found |= dict.fromkeys(_users(user.out))
        elif isinstance(user, Operator):
            found[user] = None
    return list(found)


def _read(op: Operator) -> str:
    owners = [value.owner for value in op.operands if isinstance(value.owner, Operator)]
    return _short(owners[0]) if owners else ""


def _short(op: Operator) -> str:
    return op.path.data.rsplit(".", 1)[-1]


def _layout(tensor: Tensor) -> str:
    dims = ", ".join(" / ".join((f"{dim.name} = {text(dim.size)}", *dim.cuts)) for dim in tensor.dims)
    owed = f", owes {KINDS[kind_of(tensor.owes[0])].called} over {', '.join(tensor.debtors)}" if tensor.owes else ""
    return f"[{dims}]{owed} on {tensor.pool}"
