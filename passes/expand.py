"""expand: the lowered program becomes the deployment graph, one row per operator, GPUs as an axis of arrays.

    before   %y = dag.all_reduce(%x) {axes = ["tp"]} : … on all
    after    Row(op="all_reduce", kind=comm, places=[[0 1 2 3], [4 5 6 7]], move=Move(…))

Repeated bodies stay folded: their rows carry `repeat`. Weights and caches are written on the rows that hold them.
Where GPUs hold parts of several sizes an operator is a row for each, and a collective or the host has an input (or
output) for each, so that in a row arrays are rectangular.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from ..ir.debts import KINDS, SUM
from ..ir.deployment import Deployment, EdgeKind, Experts, Kind, Link, Move, Pool, Port, Repeat, Row
from ..ir.dims import Sizes
from ..ir.local import levels, shown
from ..ir.mesh import HOST, Mesh
from ..ir.module import mesh_of, operators, plain_path, plan_of, sizes_of
from ..ir.op import Operator, Role, tensor_of, where_of
from ..ir.ops.assign import AssignOp
from ..ir.ops.attention import KeepOp
from ..ir.ops.move import Collective, Mover, Reduction, TransferOp
from ..ir.ops.program import InputOp, OutputOp, RepeatOp, Resident, WeightOp
from ..ir.orders import CONTIGUOUS, pieces
from ..ir.plan import Plan
from .ports import Ports
from .selection import is_selection
from .sends import sends
from .titles import title_of
from .volumes import kinds_of, move

TITLES = {"transfer": "send/recv", "unpaid": "slice taken as the whole"}
"""What moves are called, where not as they are named."""
ROLE_KIND = {Role.ROUTING: Kind.ROUTE, Role.HOST: Kind.ROUTE, Role.MOVE: Kind.COMM}
HOST_PLACES = np.empty((1, 0), dtype=np.int64)


def expand(module: ModuleOp, model: str, facts: tuple[str, ...] = (), sizes: Sizes | None = None) -> Deployment:
    """The deployment graph of a lowered module, without idle pools. `facts` are lines for the title of pictures,
    `sizes` what its symbols stand for, if that is not what it says.
    """
    plan, mesh = plan_of(module), mesh_of(module)
    builder = _Builder(plan, mesh, sizes or sizes_of(module))
    builder.run(module)
    pools = tuple(Pool(name, mesh.ids(name).reshape(-1)) for name in working_pools(module))
    made = Deployment(
        model, plan.name if plan else "", facts, mesh.gpus, pools, tuple(builder.rows), tuple(builder.links)
    )
    return replace(made, micro_batches=plan.micro_batches, token_chunks=plan.token_chunks) if plan else made


def working_pools(module: ModuleOp) -> list[str]:
    """The pools of a module's mesh on which anything runs."""
    used = {tensor_of(op.out).pool for op, _ in operators(module)}
    return [pool for pool in mesh_of(module).pools if pool in used]


@dataclass(frozen=True)
class _Made:
    """An output of a row, and the GPUs that have it (none: the host)."""

    row: int
    output: int
    port: Port
    gpus: np.ndarray

    def feeds(self, port: Port, gpus: np.ndarray) -> bool:
        """Is it what a port reads on any of these GPUs? The host, without GPUs, reads and feeds all of them."""
        across = not (self.gpus.size and gpus.size)
        common = np.union1d(self.gpus, gpus) if across else np.intersect1d(self.gpus, gpus)
        return bool((self.port.holds(common) & port.holds(common)).any())


@dataclass(frozen=True)
class _Places:
    """The places of a row and, of a transfer, how many members send and who to whom."""

    all: np.ndarray
    senders: int = 0
    pairs: np.ndarray | None = None


@dataclass
class _Builder:
    plan: Plan | None
    mesh: Mesh
    sizes: Sizes
    rows: list[Row] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    made: dict[SSAValue, list[_Made]] = field(default_factory=dict)
    """Value → the outputs that make it: one, or one for each size of its parts."""

    def __post_init__(self) -> None:
        self.ports = Ports(self.mesh, self.sizes)

    def run(self, module: ModuleOp) -> None:
        for op in module.ops:
            if isinstance(op, RepeatOp):
                self._repeat(op)
            elif isinstance(op, Operator):
                self._operator(op, None)

    def _repeat(self, op: RepeatOp) -> None:
        repeat = Repeat(*op.span)
        self.made[op.body.block.args[0]] = self.made[op.init]
        for inner in op.body.block.ops:
            if isinstance(inner, Operator):
                self._operator(inner, repeat)
        self.made[op.out] = self.made[op.yielded]

    def _operator(self, op: Operator, repeat: Repeat | None) -> None:
        """Its rows: one, or one for each of the sizes of what GPUs hold of its operands and result."""
        if isinstance(op, Resident):
            return
        if isinstance(op, AssignOp):
            self.ports.table = op.table
        name = op.name.removeprefix("dag.") if isinstance(op, Mover) else op.path.data.rsplit(".", 1)[-1]
        tensor = f"{name}.{len(self.rows)}" if isinstance(op, Mover) else op.path.data
        made: list[_Made] = []
        for places in self._places(op):
            row = self._row(op, name, tensor, places, repeat)
            self.rows.append(row)
            made += (_Made(row.index, i, port, row.making.reshape(-1)) for i, port in enumerate(row.outputs))
        self.made[op.out] = made

    def _row(self, op: Operator, name: str, tensor: str, places: _Places, repeat: Repeat | None) -> Row:
        resident = [i for i, value in enumerate(op.operands) if isinstance(value.owner, Resident)]
        flowing = [i for i in range(len(op.operands)) if i not in resident]
        all_, senders = places.all, places.senders
        reading, making = all_[:, : senders or None], all_[:, senders:]
        if resident and not flowing:
            self.links += [Link(row, len(self.rows), 0, 0, EdgeKind.ORDER, "") for row in self._before(all_)]
        if isinstance(op, OutputOp):
            self.links += [Link(row.index, len(self.rows), 0, 0, EdgeKind.ORDER, "") for row in self._kept()]
        inputs: list[Port] = []
        for value in (op.operands[i] for i in flowing):
            inputs += self._read(value, reading.reshape(-1), len(inputs))
        outputs = self.ports.of(tensor, tensor_of(op.out), making)
        return Row(
            index=len(self.rows),
            op=name,
            title=_title(op, name),
            kind=_kind(op),
            path=op.path.data,
            places=all_,
            inputs=tuple(inputs) if op.operands else outputs,
            outputs=outputs,
            weights=tuple(port for i in resident for port in self.ports.resident(op.operands[i], all_)),
            state=outputs if op.RULE.role is Role.STATE else (),
            repeat=repeat,
            move=self._move(op, reading),
            spread=self._spread(op, all_),
            where=where_of(op),
            operator=op,
            operands=(*flowing, *resident),
            senders=senders,
            pairs=places.pairs,
        )

    def _read(self, value: SSAValue, gpus: np.ndarray, slot: int) -> tuple[Port, ...]:
        """The inputs, from `slot` on, by which the next row reads a value on these GPUs, linked to what makes it."""
        sources = self.made[value]
        ports = self.ports.of(sources[0].port.tensor, tensor_of(value), gpus)
        kind = EdgeKind.SELECT if is_selection(value) else EdgeKind.DATA
        for number, port in enumerate(ports, slot):
            feeding = [made for made in sources if len(sources) == len(ports) == 1 or made.feeds(port, gpus)]
            self.links += (Link(m.row, len(self.rows), m.output, number, kind, m.port.tensor) for m in feeding)
        return ports

    def _kept(self) -> list[Row]:
        """What is kept for another program: this one has not ended before it is there."""
        return [row for row in self.rows if isinstance(row.operator, KeepOp)]

    def _before(self, places: np.ndarray) -> list[int]:
        """What each GPU of an operator runs right before it: that is waited for where resident state alone feeds it."""
        waiting, found = np.zeros(self.mesh.gpus, dtype=bool), []
        waiting[places] = True
        for row in reversed(self.rows):
            made = slice(None) if row.on_host else row.making
            if waiting[made].any():
                found.append(row.index)
                waiting[made] = False
        return found

    def _places(self, op: Operator) -> list[_Places]:
        """Where it runs, apart where GPUs (of a collective, groups) hold parts of other sizes."""
        pool = tensor_of(op.out).pool
        if isinstance(op, TransferOp):
            made = sends(tensor_of(op.operands[0]), tensor_of(op.out), self.mesh)
            if made.pairs is not None:
                return [_Places(made.places, made.senders, made.pairs)]
            apart = self._apart(op, made.places, made.places[:, :1], tensor_of(op.operands[0]).pool)
            return [_Places(places, made.senders) for places in apart]
        if op.RULE.role is Role.HOST or pool == HOST:
            return [_Places(HOST_PLACES)]
        groups = isinstance(op, Collective)
        places = self.mesh.groups(pool, op.over) if groups else self.mesh.ids(pool).reshape(-1, 1)
        return [_Places(each) for each in self._apart(op, places, places, pool)]

    def _apart(self, op: Operator, places: np.ndarray, gpus: np.ndarray, pool: str) -> list[np.ndarray]:
        which = kinds_of(self.mesh, op)
        if which is None:
            return [places]
        of = which[self.ports.places(pool, gpus)]
        _, first, number = np.unique(of, axis=0, return_index=True, return_inverse=True)
        return [places[number.reshape(-1) == kind] for kind in np.argsort(first)]

    def _move(self, op: Operator, reading: np.ndarray) -> Move | None:
        if not isinstance(op, Collective | TransferOp):
            return None
        members = reading[0, :1] if isinstance(op, TransferOp) else reading[0]
        return move(op, self.plan, self.mesh, self.sizes, self.ports.places(tensor_of(op.operands[0]).pool, members))

    def _spread(self, op: Operator, places: np.ndarray) -> Sequence[str]:
        """Per GPU the experts it computes, for operators that run on several experts' rows."""
        out = tensor_of(op.out)
        if isinstance(op, Mover) or op.RULE.role is Role.ROUTING or not {"experts", "expert_tokens"} <= set(out.names):
            return ()
        dim = out.dim("experts")
        _, count = shown(self.mesh, self.sizes, out.pool, dim)
        assert isinstance(count, int)
        order = levels(self.mesh, dim.cuts) or ((self.mesh.size(dim.axes), CONTIGUOUS),)
        part = self.mesh.coordinate(out.pool, dim.axes)[self.ports.places(out.pool, places[:, 0])]
        return Experts(part, pieces(order, count), self.ports.table)


def _title(op: Operator, name: str) -> str:
    """`Q projection`; for a move what it is between: `All-to-all: down_proj → combine`."""
    if not isinstance(op, Mover):
        return f"{title_of(plain_path(op.path.data))} {op.detail()}".strip()
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
