"""expand: the lowered program becomes the deployment graph, one row per operator, GPUs as an axis of arrays.

    before   %y = dag.all_reduce(%x) {axes = ["tp"]} : … on all
    after    Row(op="all_reduce", kind=comm, places=[[0 1 2 3], [4 5 6 7]], move=Move(…))

Repeated bodies stay folded: their rows carry `repeat`. Weights and caches are written on the rows that hold them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from ..ir.debts import KINDS, SUM, kind_of
from ..ir.deployment import Deployment, EdgeKind, Experts, Kind, Link, Move, Pool, Port, Repeat, Row, Share
from ..ir.dims import Sizes, number
from ..ir.layout import DTYPE_BITS, Tensor
from ..ir.local import elements, levels, nbytes, plain, shown, steps
from ..ir.mesh import HOST, Mesh
from ..ir.module import mesh_of, operators, plain_path, plan_of, sizes_of
from ..ir.op import Operator, Role, tensor_of, where_of
from ..ir.ops.assign import AssignOp
from ..ir.ops.attention import KeepOp
from ..ir.ops.move import Collective, Mover, Reduction, TransferOp
from ..ir.ops.program import InputOp, OutputOp, RepeatOp, Resident, StateOp, WeightOp
from ..ir.orders import CONTIGUOUS, axes_of, in_time, indices
from ..ir.plan import Plan, named_axes
from .selection import is_selection
from .sends import sends
from .titles import title_of

MERGES = {"expert_tokens": "expert_tokens = batch_size·seq_len·top_k/experts"}
TITLES = {"transfer": "send/recv", "unpaid": "slice taken as the whole"}
"""What moves are called, where not as they are named."""
ROLE_KIND = {Role.ROUTING: Kind.ROUTE, Role.HOST: Kind.ROUTE, Role.MOVE: Kind.COMM}
HOST_PLACES = np.empty((1, 0), dtype=np.int64)


def expand(module: ModuleOp, model: str, facts: tuple[str, ...] = ()) -> Deployment:
    """The deployment graph of a lowered module, without idle pools. `facts` are lines for the title of pictures."""
    plan, mesh = plan_of(module), mesh_of(module)
    builder = _Builder(plan, mesh, sizes_of(module))
    builder.run(module)
    pools = tuple(Pool(name, mesh.ids(name).reshape(-1)) for name in working_pools(module))
    name, runs = (plan.name, plan.micro_batches) if plan else ("", 1)
    return Deployment(model, name, facts, mesh.gpus, pools, tuple(builder.rows), tuple(builder.links), runs)


def working_pools(module: ModuleOp) -> list[str]:
    """The pools of a module's mesh on which anything runs."""
    used = {tensor_of(op.out).pool for op, _ in operators(module)}
    return [pool for pool in mesh_of(module).pools if pool in used]


def sent(op: Mover, mesh: Mesh, sizes: Sizes) -> tuple[int | str, int | str]:
    """(elements, bytes) that one member of a communication sends."""
    before, after = tensor_of(op.operands[0]), tensor_of(op.out)
    if isinstance(op, Collective):
        members = mesh.size(op.over)
        counts = [measure(mesh, sizes, before) for measure in (elements, nbytes)]
        wholes = [measure(mesh, sizes, after) for measure in (elements, nbytes)]
        moved = [op.sent(b, a, members) * steps(mesh, before) for b, a in zip(counts, wholes, strict=True)]
        return plain(moved[0]), plain(moved[1])
    most = number(sends(before, after, mesh).most)
    whole = sizes.exact(before.points) * most
    return plain(whole), plain(whole * number(Fraction(DTYPE_BITS[before.dtype], 8)))


def received(op: Mover, mesh: Mesh, sizes: Sizes) -> tuple[int | str, int | str]:
    """(elements, bytes) that one member of a communication receives: as much as it sends, but for a transfer."""
    if isinstance(op, Collective):
        return sent(op, mesh, sizes)
    after = tensor_of(op.out)
    return plain(elements(mesh, sizes, after)), plain(nbytes(mesh, sizes, after))


def stage_axes(mesh: Mesh) -> tuple[str, ...]:
    """What a transfer is over: the axis that numbers the pools, if one does."""
    return (mesh.stages,) if mesh.stages else ()


@dataclass
class _Builder:
    plan: Plan | None
    mesh: Mesh
    sizes: Sizes
    rows: list[Row] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    made: dict[SSAValue, int] = field(default_factory=dict)
    """Value → the row that makes it."""
    shares: dict[tuple[str, tuple[str, ...]], Share] = field(default_factory=dict)
    table: tuple[int, ...] = ()
    """The expert of every slot, as the assignment before says."""

    def run(self, module: ModuleOp) -> None:
        for op in module.ops:
            if isinstance(op, RepeatOp):
                self._repeat(op)
            elif isinstance(op, Operator):
                self._row(op, None)

    def _repeat(self, op: RepeatOp) -> None:
        repeat = Repeat(*op.span)
        self.made[op.body.block.args[0]] = self.made[op.init]
        for inner in op.body.block.ops:
            if isinstance(inner, Operator):
                self._row(inner, repeat)
        self.made[op.out] = self.made[op.yielded]

    def _row(self, op: Operator, repeat: Repeat | None) -> None:
        if isinstance(op, Resident):
            return
        if isinstance(op, AssignOp):
            self.table = op.table
        index = len(self.rows)
        resident = [i for i, value in enumerate(op.operands) if isinstance(value.owner, Resident)]
        flowing = [i for i in range(len(op.operands)) if i not in resident]
        for slot, value in enumerate(op.operands[i] for i in flowing):
            kind = EdgeKind.SELECT if is_selection(value) else EdgeKind.DATA
            source = self.made[value]
            self.links.append(Link(source, index, 0, slot, kind, self.rows[source].outputs[0].tensor))
        if resident and not flowing:
            self.links += [Link(row, index, 0, 0, EdgeKind.ORDER, "") for row in self._before(op)]
        if isinstance(op, OutputOp):
            self.links += [Link(row.index, index, 0, 0, EdgeKind.ORDER, "") for row in self._kept()]
        self.made[op.out] = index
        self.rows.append(self._make(op, index, repeat, flowing, resident))

    def _kept(self) -> list[Row]:
        """What is kept for another program: this one has not ended before it is there."""
        return [row for row in self.rows if isinstance(row.operator, KeepOp)]

    def _before(self, op: Operator) -> list[int]:
        """What each GPU of an operator runs right before it: that is waited for where resident state alone feeds it."""
        waiting, found = np.zeros(self.mesh.gpus, dtype=bool), []
        waiting[self._members(op)] = True
        for row in reversed(self.rows):
            made = slice(None) if row.on_host else row.making
            if waiting[made].any():
                found.append(row.index)
                waiting[made] = False
        return found

    def _make(self, op: Operator, index: int, repeat: Repeat | None, flowing: list[int], resident: list[int]) -> Row:
        name = op.name.removeprefix("dag.") if isinstance(op, Mover) else op.path.data.rsplit(".", 1)[-1]
        out = self._port(f"{name}.{index}" if isinstance(op, Mover) else op.path.data, tensor_of(op.out))
        values = [op.operands[i] for i in flowing]
        inputs = tuple(self._port(self.rows[self.made[v]].outputs[0].tensor, tensor_of(v)) for v in values)
        places, senders, pairs = self._places(op)
        return Row(
            index=index,
            op=name,
            title=_title(op, name),
            kind=_kind(op),
            path=op.path.data,
            places=places,
            inputs=inputs if op.operands else (out,),
            outputs=(out,),
            weights=tuple(self._resident(op.operands[i]) for i in resident),
            state=(out,) if op.RULE.role is Role.STATE else (),
            repeat=repeat,
            move=self._move(op),
            spread=self._spread(op),
            where=where_of(op),
            operator=op,
            operands=(*flowing, *resident),
            senders=senders,
            pairs=pairs,
        )

    def _port(self, name: str, tensor: Tensor) -> Port:
        pairs = [shown(self.mesh, self.sizes, dim) for dim in tensor.dims]
        merges = next((MERGES[dim.name] for dim in tensor.dims if dim.name in MERGES), "")
        merges = merges.replace("experts", "slots") if self.table else merges
        local, whole = tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
        shares = tuple(self._share(tensor.pool, dim.cuts) for dim in tensor.dims)
        owed, kind = self._share(tensor.pool, tensor.debtors), kind_of(tensor.owes[0]) if tensor.owes else SUM
        return Port(name, tensor.names, local, whole, tensor.dtype, merges, shares, owed, debt=kind)

    def _resident(self, value: SSAValue) -> Port:
        op = value.owner
        assert isinstance(op, Resident)
        port = self._port(op.path.data, tensor_of(value))
        return replace(port, parameter=plain_path(op.identity), cached=isinstance(op, StateOp), slots=op.table)

    def _share(self, pool: str, cuts: tuple[str, ...]) -> Share | None:
        """What the GPUs of a pool hold of a dimension with these cuts; made once and shared by all ports."""
        if not cuts:
            return None
        if (pool, cuts) not in self.shares:
            axes, of = axes_of(cuts), np.full(self.mesh.gpus, -1, dtype=np.int64)
            of[self.mesh.ids(pool).reshape(-1)] = self.mesh.coordinate(pool, axes)
            steps = self.mesh.size(axes_of(filter(in_time, cuts)))
            self.shares[pool, cuts] = Share(self.mesh.size(axes), of, levels(self.mesh, cuts), steps=steps)
        return self.shares[pool, cuts]

    def _places(self, op: Operator) -> tuple[np.ndarray, int, np.ndarray | None]:
        """A row's places and, of a transfer, how many members send and who to whom."""
        if isinstance(op, TransferOp):
            all_sends = sends(tensor_of(op.operands[0]), tensor_of(op.out), self.mesh)
            return all_sends.places, all_sends.senders, all_sends.pairs
        return self._members(op), 0, None

    def _members(self, op: Operator) -> np.ndarray:
        pool = tensor_of(op.out).pool
        if op.RULE.role is Role.HOST or pool == HOST:
            return HOST_PLACES
        if isinstance(op, Collective):
            return self.mesh.groups(pool, op.over)
        return self.mesh.ids(pool).reshape(-1, 1)

    def _move(self, op: Operator) -> Move | None:
        if isinstance(op, TransferOp):
            return self._transfer(op)
        if isinstance(op, Collective):
            return Move(op.collective, named_axes(op.over, self.plan), *sent(op, self.mesh, self.sizes))
        return None

    def _transfer(self, op: TransferOp) -> Move:
        first, second = (each(op, self.mesh, self.sizes) for each in (sent, received))
        return Move("send/recv", stage_axes(self.mesh), *first, None if second == first else second)

    def _spread(self, op: Operator) -> Sequence[str]:
        """Per GPU the experts it computes, for operators that run on several experts' rows."""
        out = tensor_of(op.out)
        if isinstance(op, Mover) or op.RULE.role is Role.ROUTING or not {"experts", "expert_tokens"} <= set(out.names):
            return ()
        dim = out.dim("experts")
        _, count = shown(self.mesh, self.sizes, dim)
        assert isinstance(count, int)
        order = levels(self.mesh, dim.cuts) or ((self.mesh.size(dim.axes), CONTIGUOUS),)
        return Experts(self.mesh.coordinate(out.pool, dim.axes), indices(order, count), self.table)


def _title(op: Operator, name: str) -> str:
    """`Q projection`; for a move what it is between: `All-to-all: down_proj → combine`."""
    if not isinstance(op, Mover):
        return title_of(plain_path(op.path.data))
    if op.RULE.role is Role.HOST:
        return {"scatter": "Scatter input", "gather": "Gather output"}[name]
    kind = op.collective if isinstance(op, Collective) else TITLES.get(name, name)
    merge = f" of {KINDS[op.kind].called}" if isinstance(op, Reduction) and op.kind != SUM else ""
    users = [use.operation for use in op.out.uses]
    user = users[0].path.data.rsplit(".", 1)[-1] if users and isinstance(users[0], Operator) else "layers"
    moved = ".".join(op.path.data.split(".")[-2 if isinstance(op.operands[0].owner, WeightOp) else -1 :])
    return f"{kind.capitalize()}{merge}: {moved} → {user}" + " …" * (len(users) > 1)


def _kind(op: Operator) -> Kind:
    if isinstance(op, InputOp):
        return Kind.INPUT
    return Kind.OUTPUT if isinstance(op, OutputOp) else ROLE_KIND.get(op.RULE.role, Kind.COMPUTE)
