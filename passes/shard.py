"""shard: gives every value a layout, from where it stands and what its dimensions are called. Nothing propagates.

    before   %q = dag.project(%x, %w) at "layers.attention.q_proj" : … -> [batch_size = B, seq_len = S, heads = 64, …]
    after    %x2 = dag.move(%x) : [… seq_len = S / tp …] -> [… seq_len = S …]
             %q = dag.project(%x2, %w) : … -> [batch_size = B, seq_len = S, heads = 64 / tp, …]

An axis of the plan cuts, at an operator, the one dimension its rule names there (or one related to it: heads cut
kv_heads, tokens cut expert_tokens). Operands need their share of that layout, results inherit it; contracting a cut
dimension leaves a debt. A sum that is owed passes operators linear in it while the result is no larger; where any
user refuses it, it is paid once for all users. Whatever differs becomes a `dag.move`, shared by all users of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import lcm

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from ..diagnostics import Diagnostic, Refused
from ..ir.debts import SUM, debt, debtor, debtors, kind_of
from ..ir.dims import Sizes, number, ratio, rounded_up
from ..ir.layout import Dim, Tensor
from ..ir.local import levels
from ..ir.mesh import Mesh
from ..ir.module import annotate, layer_of, mesh_of, operators, plan_of, replace_body, sizes_of
from ..ir.op import Operator, retype, tensor_of, where_of
from ..ir.ops import UNORDERED
from ..ir.ops.attention import KeepOp
from ..ir.ops.moe import EXPERT_TOKENS, TOKEN_PARTS
from ..ir.ops.move import MoveOp
from ..ir.ops.program import InputOp, OutputOp, RepeatOp, Resident, WeightOp, YieldOp
from ..ir.orders import axes_of, divisor, in_space, is_unequal, order_of
from ..ir.plan import Plan
from .cuts import Cuts, Place
from .store import Stores
from .unpaid import Unpaid


@dataclass(frozen=True)
class ShardPass(ModulePass):
    """Lay out a placed module by its plan. Refused with every conflict and indivisible dimension at once."""

    name = "shard"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        plan, mesh = plan_of(op), mesh_of(op)
        if plan is None:
            raise Refused(Diagnostic("rule", "the module has no plan to shard by", hint="name a strategy"))
        cuts, stores, unpaid = Cuts.of_module(op, plan), Stores(plan, mesh), Unpaid(plan, mesh)
        _without_moves(op)
        paid: dict[SSAValue, set[Tensor]] = {}
        while True:
            sharder = _Sharder(cuts, stores, unpaid, paid)
            body = sharder.block(op.body.block.ops)
            if problems := [*cuts.problems.values(), *stores.problems.values(), *unpaid.problems.values()]:
                raise Refused(*problems)
            if not sharder.refused.keys() - paid.keys():
                break
            paid = paid | {value: sharder.needs[value] for value in sharder.refused}
        working = {axis for inner, _ in operators(op) for axis in _axes(inner, mesh)}
        if idle := [axis for axis in mesh.axes if axis in working - cuts.used and mesh.size((axis,)) > 1]:
            raise Refused(*(_idle(axis, mesh, plan) for axis in idle))
        if nothing := unpaid.idle():
            raise Refused(*nothing)
        replace_body(op, body)
        annotate(op, sizes=_routed(op, mesh))


def _axes(op: Operator, mesh: Mesh) -> tuple[str, ...]:
    """The axes that are to be of use where an operator is; what is only kept for others may be copies."""
    return () if isinstance(op, KeepOp) else mesh.axes_of(tensor_of(op.out).pool)


def _without_moves(module: ModuleOp) -> None:
    """Users say where they need a value and how; a placed module's moves say less."""
    for move in [inner for inner in module.walk() if isinstance(inner, MoveOp)]:
        move.out.replace_all_uses_with(move.operands[0])
        move.detach()
        move.erase()


def _idle(axis: str, mesh: Mesh, plan: Plan) -> Diagnostic:
    size = mesh.size((axis,))
    return Diagnostic(
        "OUT6",
        f"axis {axis} ({size} GPUs) cuts nothing of this model: {size - 1} of {size} GPUs would repeat the work of one",
        plan.where or plan.name,
        expected="every axis cuts a dimension of some operator",
        actual=f"rules of {axis}: "
        + "; ".join(f"{', '.join(r.cuts)} at {', '.join(r.at)}" for r in plan.rules_of(axis)),
        hint=f"use --mesh {axis}=1, or a rule that cuts a dimension the model has",
    )


def _routed(module: ModuleOp, mesh: Mesh) -> Sizes:
    """Define P, the parts that routed rows and counts come in, and T, the rows per expert, rounded up per part.

    Of parts that are not equal, P is the units that they are dealt in.
    """
    sizes, values = sizes_of(module), [tensor_of(op.out) for op, _ in operators(module)]
    routed = [dim for value in values for dim in value.dims if dim.name in UNORDERED]
    if not routed:
        return sizes
    count = lcm(*(divisor(levels(mesh, dim.cuts)) * mesh.size(() if _unequal(dim) else dim.axes) for dim in routed))
    exact = next((d.exact for d in sizes.defined if d.name == str(EXPERT_TOKENS)), None)
    if exact is None:
        problem = f"tokens are dispatched, but dag.sizes does not define {EXPERT_TOKENS}, the rows per expert"
        raise Refused(Diagnostic("ill-formed", problem, expected=f'{EXPERT_TOKENS} = "…" exactly "…"'))
    sizes = sizes.define(str(TOKEN_PARTS), number(count), number(count))
    return sizes.define(str(EXPERT_TOKENS), rounded_up(exact, TOKEN_PARTS), exact)


def _unequal(dim: Dim) -> bool:
    return any(is_unequal(order_of(cut)) for cut in dim.cuts)


@dataclass
class _Sharder:
    """One round over the program under the assumption that only the debts in `paid` are paid at their definition."""

    cuts: Cuts
    stores: Stores
    unpaid: Unpaid
    paid: dict[SSAValue, set[Tensor]]
    refused: dict[SSAValue, None] = field(default_factory=dict)
    needs: dict[SSAValue, set[Tensor]] = field(default_factory=dict)
    env: dict[SSAValue, SSAValue] = field(default_factory=dict)
    moved: dict[tuple[SSAValue, Tensor], SSAValue] = field(default_factory=dict)
    out: list[Operation] = field(default_factory=list)
    repeat: RepeatOp | None = None

    def block(self, ops: Iterable[Operation]) -> list[Operation]:
        for op in list(ops):
            match op:
                case Resident():
                    pass
                case InputOp():
                    self._emit(op, [], tensor_of(op.out))
                case OutputOp():
                    need = tensor_of(op.out)
                    self._emit(op, [self._want(op.operands[0], need)], need)
                case RepeatOp():
                    self._repeat(op)
                case Operator():
                    self._operator(op)
        return self.out

    def _emit(self, op: Operator, operands: list[SSAValue], out: Tensor) -> None:
        made = op.clone(dict(zip(op.operands, operands, strict=True)))
        made.operands = operands
        made.location = op.location
        retype(made.out, out)
        self.env[op.out] = made.out
        self.out.append(made)

    def _operator(self, op: Operator) -> None:
        pool = tensor_of(op.out).pool
        place = Place(op.path.data, layer_of(op, self.repeat), pool)
        cuts = self.cuts.of(op, place)
        needs = [_share(tensor_of(v), op.operand_names(i), cuts, pool) for i, v in enumerate(op.operands)]
        debts = self._debts(op, {axis for each in cuts.values() for axis in axes_of(each)})
        owed = {debt(axis, op.RULE.debt) for name in op.sums() for axis in axes_of(in_space(cuts.get(name, ())))}
        out = _share(tensor_of(op.out), {}, cuts, pool)
        out = replace(out, owes=self.cuts.ordered(owed.union(*debts.values())))
        needs = [replace(need, owes=debts.get(i, ())) for i, need in enumerate(needs)]
        for value, need in zip(op.operands, needs, strict=True):
            if value in self.env:
                self.cuts.check_order(self._made(value), tensor_of(self.env[value]), need, place)
        self._emit(op, [self._operand(v, need, place) for v, need in zip(op.operands, needs, strict=True)], out)
        if forgone := self.unpaid.axes(op, cuts, self.cuts.ordered(owed), place):
            self._forgo(op, forgone)

    def _forgo(self, op: Operator, axes: tuple[str, ...]) -> None:
        """Whoever uses the result takes what a GPU has of it for the whole, as far as it is owed over these axes."""
        made = self.env[op.out]
        rest = tuple(owed for owed in tensor_of(made).owes if debtor(owed) not in axes)
        move = MoveOp.of(
            made, path=op.path.data, where=where_of(op), out=replace(tensor_of(made), owes=rest), unpaid=axes
        )
        self.out.append(move)
        self.env[op.out] = move.out

    def _made(self, value: SSAValue) -> Tensor:
        """The layout of the rows that a value was computed of, as they were made of tokens."""
        while rows := [v for v in _operands(value) if v in self.env and _rows(v) & _rows(value)]:
            value = rows[0]
        return tensor_of(self.env[value])

    def _debts(self, op: Operator, used: set[str]) -> dict[int, tuple[str, ...]]:
        """Per operand the debts that stay owed through this operator; others are refused and noted."""
        owing = {i: self._owed(v) for i, v in enumerate(op.operands) if self._owed(v)}
        if not owing or self._passes(op, owing, used):
            return owing
        for index in owing:
            self.refused[op.operands[index]] = None
        return {}

    def _owed(self, value: SSAValue) -> tuple[str, ...]:
        if value in self.paid or value not in self.env:
            return ()
        return tensor_of(self.env[value]).owes

    def _passes(self, op: Operator, owing: dict[int, tuple[str, ...]], used: set[str]) -> bool:
        """Linear in exactly the operands that owe, the same sum, on its own pool; the axes cut nothing here; the result
        is no larger.
        """
        if tuple(owing) not in op.RULE.linear or len(set(owing.values())) > 1:
            return False
        if any(tensor_of(op.operands[i]).pool != tensor_of(op.out).pool for i in owing):
            return False
        first, owes = next(iter(owing.items()))
        growth = ratio(*(self.cuts.sizes.exact(tensor_of(v).points) for v in (op.out, op.operands[first])))
        sums = all(kind_of(owed) == SUM for owed in owes)
        return sums and used.isdisjoint(debtors(owes)) and growth is not None and growth <= 1

    def _operand(self, value: SSAValue, need: Tensor, place: Place) -> SSAValue:
        if isinstance(value.owner, Resident):
            return self._resident(value.owner, need, place)
        return self._want(value, need)

    def _resident(self, op: Resident, need: Tensor, place: Place) -> SSAValue:
        """It lives where its user needs it, a weight as it is stored; it is moved right before the use."""
        key = (op.out, need)
        if key not in self.moved:
            kept = self.stores.of(need, place.path, place.layer) if isinstance(op, WeightOp) else need
            self._emit(op, [], kept)
            self.moved[key] = self._move(self.env[op.out], need, op.out)
        return self.moved[key]

    def _want(self, value: SSAValue, need: Tensor) -> SSAValue:
        """The value in the layout needed: itself, or one shared move of it."""
        if not need.owes:
            self.needs.setdefault(value, set()).add(need)
        have = self.env[value]
        if tensor_of(have).owes and not need.owes:
            have = self._pay(value, need)
        return self._move(have, need, value)

    def _pay(self, value: SSAValue, need: Tensor) -> SSAValue:
        """Pay a debt once: into the layout needed, or, where users differ, into the one of them with most cuts. What
        goes to one other pool pays on the way there, what goes to several before.
        """
        self.refused.setdefault(value, None)
        have, targets = tensor_of(self.env[value]), self.paid.get(value) or {need}
        here = [target for target in targets if target.pool == have.pool]
        target = max(here or targets, key=lambda t: (self.cuts.mesh.size(t.axes), t == need, str(t)))
        if len({target.pool for target in targets}) > 1 and not here:
            target = replace(have, owes=())
        return self._move(self.env[value], target, value)

    def _move(self, have: SSAValue, need: Tensor, source: SSAValue) -> SSAValue:
        owner = source.owner
        path = owner.path.data if isinstance(owner, Operator) else "layers"
        if tensor_of(have) == need or not self.cuts.may_move(tensor_of(have), need, path):
            return have
        if (have, need) not in self.moved:
            where = where_of(owner) if isinstance(owner, Operator) else ""
            move = MoveOp.of(have, path=path, where=where, out=need)
            self.out.append(move)
            self.moved[have, need] = move.out
        return self.moved[have, need]

    def _repeat(self, op: RepeatOp) -> None:
        """The carried value has the layout that rules give at `layers`, in every round, and owes nothing."""
        arg = op.body.block.args[0]
        cuts = self.cuts.named(tensor_of(arg), Place("layers", op.span[0], tensor_of(arg).pool))
        carried = tensor_of(arg).cut(cuts)
        init = self._want(op.init, carried)
        block = Block(arg_types=[init.type])
        block.args[0].name_hint = arg.name_hint
        outer, self.out, self.repeat = self.out, [], op
        self.env[arg] = block.args[0]
        body = self.block(o for o in op.body.block.ops if not isinstance(o, YieldOp))
        value = self._want(op.yielded, carried)
        block.add_ops([*body, YieldOp.create(operands=[value])])
        self.out, self.repeat = outer, None
        made = RepeatOp.of(init, block, *op.span, where_of(op))
        self.env[op.out] = made.out
        self.out.append(made)


def _operands(value: SSAValue) -> Sequence[SSAValue]:
    return value.owner.operands if isinstance(value.owner, Operator) else ()


def _rows(value: SSAValue) -> frozenset[str]:
    """Names of a value whose rows lie in any order."""
    return UNORDERED.intersection(tensor_of(value).names)


def _share(tensor: Tensor, names: dict[str, str], cuts: dict[str, tuple[str, ...]], pool: str) -> Tensor:
    """A tensor's part of a joint layout; `names` maps its names to joint names where they differ."""
    dims = tuple(Dim(d.name, d.size, cuts.get(names.get(d.name, d.name), ())) for d in tensor.dims)
    return Tensor(dims, tensor.dtype, (), pool)
