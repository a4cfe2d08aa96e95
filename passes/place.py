"""place: gives every operator its GPUs.

    before   %y = dag.repeat %h = %x layers 0 to 15 period 1 : !dag.tensor<[…], bf16> { … }
    after    %y = dag.repeat %h = %x layers 0 to 7 period 1 : !dag.tensor<[…], bf16, on stage0> { … }
             %m = dag.move(%y) : … on stage0 -> … on stage1
             %z = dag.repeat %h = %m layers 8 to 15 period 1 : !dag.tensor<[…], bf16, on stage1> { … }
             in chunks: layers 0 to 3 on stage0, 4 to 7 on stage1, then 8 to 11 on stage0 again, 12 to 15 on stage1

    before   %u = dag.project(%rows, %w) at "layers.moe.experts.up_proj"
    after    %m = dag.move(%rows) : … on attention -> … on experts
             %u = dag.project(%m, %w) at "layers.moe.experts.up_proj" : … on experts

    before   dag.keep(%cache) at "layers.attention.core.k_cache.k_kept"
    after    %m = dag.move(%cache) : … on prefill -> … on decode
             dag.keep(%m) at "layers.attention.core.k_cache.k_kept" : … on decode

The plan's mesh becomes the module's mesh: a stage axis makes pools, and an axis that cuts grouped heads further than
their KV heads divide is refined into sub-axes (`tp` = 8 over 4 KV heads: `tp.0` = 4 cuts both, `tp.1` = 2 holds
copies of KV heads); one that cuts heads into unequal parts deals them in whole groups. Named pools have meshes of their
own; what the plan places on another pool than its operands gets them moved. Repeats are split where the stage changes
or a rule or placing starts or stops to apply; what they carry is on the pool of `layers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import gcd, prod

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from ..diagnostics import Diagnostic, Refused
from ..ir.dims import as_number
from ..ir.mesh import HOST, Grid, Mesh
from ..ir.module import annotate, offset_of, operators, plan_of, replace_body, sizes_of
from ..ir.op import Operator, retype, tensor_of, where_of
from ..ir.ops import RELATIONS
from ..ir.ops.attention import KeepOp
from ..ir.ops.move import MoveOp
from ..ir.ops.program import InputOp, OutputOp, RepeatOp, Resident, YieldOp
from ..ir.plan import Plan, PoolAxes
from .dealing import Dealt
from .rules import boundaries, pool_of
from .stages import stage_layers


@dataclass(frozen=True)
class PlacePass(ModulePass):
    """Place a logical module by its plan. Refused where the stages cannot be cut so."""

    name = "place"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        plan = plan_of(op)
        if plan is None:
            raise Refused(Diagnostic("rule", "the module has no plan to place by", hint="name a strategy"))
        placer = _Placer(plan, _mesh(plan, op), stage_layers(plan, _layers(op)), boundaries(plan))
        placer.run(op)
        if idle := [pool for pool in plan.pools if pool.name not in placer.used and not pool.idle]:
            raise Refused(*map(_idle, idle))
        annotate(op, mesh=placer.mesh)


def _mesh(plan: Plan, module: ModuleOp) -> Mesh:
    """The pools of the plan in order of ids, or the one mesh, cut by a stage axis if it has one."""
    if plan.pools:
        axes = [tuple(_refined(plan, module, pool.axes)) for pool in plan.pools]
        first = accumulate((prod(size for _, size in each) for each in axes), initial=0)
        return Mesh(tuple(Grid(p.name, a, start) for p, a, start in zip(plan.pools, axes, first, strict=False)))
    staged = plan.stages is not None and plan.size(plan.stages.axis) > 1
    axes = tuple(_refined(plan, module, tuple(axis.name for axis in plan.axes)))
    return Mesh.of(axes, plan.stages.axis if plan.stages and staged else "")


def _idle(pool: PoolAxes) -> Diagnostic:
    problem, expected = f"nothing is placed on pool {pool.name}", "every pool computes something"
    hint = "place a module on it, remove it, or say `idle: allowed`"
    return Diagnostic("OUT6", problem, pool.where, expected, hint=hint)


def _layers(module: ModuleOp) -> int:
    return max((op.span[1] + 1 for op in module.ops if isinstance(op, RepeatOp)), default=0)


def _refined(plan: Plan, module: ModuleOp, axes: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Of these axes those of several parts, split where a related dimension (kv_heads) takes only part of what cuts its
    source.
    """
    related = _related_sizes(module)
    dealt = Dealt.of((op for op, _ in operators(module)), sizes_of(module))
    for axis, whole in ((axis, plan.size(axis)) for axis in axes):
        if whole == 1:
            continue
        part = whole
        for name, size in related.items():
            sources = RELATIONS[name].sources
            cutting = [r for r in plan.rules if r.axis == axis and set(r.cuts) & {*sources, name}]
            if cutting and not any(dealt.unequally(rule, whole, sources) for rule in cutting):
                part = gcd(size, whole)
                related[name] = size // part
        if 1 < part < whole:
            yield from ((f"{axis}.0", part), (f"{axis}.1", whole // part))
        else:
            yield axis, whole


def _related_sizes(module: ModuleOp) -> dict[str, int]:
    """Number of every dimension that a relation ties to another, where it is a number."""
    found = {}
    for op, _ in operators(module):
        for dim in tensor_of(op.out).dims:
            size = as_number(dim.size)
            if dim.name in RELATIONS and isinstance(size, int):
                found[dim.name] = size
    return found


@dataclass
class _Placer:
    """Rebuilds the program, operator by operator, with a pool in every type."""

    plan: Plan
    mesh: Mesh
    stages: list[int]
    edges: set[int]

    def run(self, module: ModuleOp) -> None:
        self.env: dict[SSAValue, SSAValue] = {}
        self.out: list[Operation] = []
        self.used: set[str] = set()
        pool = self.mesh.pools[0]
        for op in list(module.ops):
            if isinstance(op, RepeatOp):
                pool = self._repeat(op)
            elif isinstance(op, Operator):
                self._operator(op, HOST if isinstance(op, InputOp | OutputOp) else self._pool(op, None, pool))
        replace_body(module, self.out)

    def _pool(self, op: Operator, layer: int | None, near: str) -> str:
        """Where the plan places an operator, a weight with its user; without named pools near what it belongs to."""
        if isinstance(op, Resident) and (user := next(iter(op.out.uses), None)):
            assert isinstance(user.operation, Operator)
            op = user.operation
        return self._placed(op.path.data, layer, isinstance(op, KeepOp)) or near

    def _placed(self, path: str, layer: int | None, kept: bool = False) -> str:
        """The named pool of a place, if there are any: of what is `kept` for the program that comes next, that one's.
        Refused where the plan has none for it.
        """
        pool = pool_of(self.plan.keeps if kept else self.plan.places, path, layer)
        if self.plan.pools and pool not in self.mesh.pools:
            raise Refused(_nowhere(self.plan, path))
        return pool

    def _operator(self, op: Operator, pool: str, offset: int = 0) -> None:
        made = op.clone(self.env)
        if offset:
            made.path = StringAttr(_renumbered(op, offset))
        made.operands = [self._on(value, pool) for value in made.operands]
        self.used.add(pool)
        made.location = op.location
        retype(made.out, replace(tensor_of(op.out), pool=pool))
        self.env[op.out] = made.out
        self.out.append(made)

    def _on(self, value: SSAValue, pool: str) -> SSAValue:
        """The value on this pool, moved there if it is elsewhere."""
        have = tensor_of(value)
        if have.pool == pool:
            return value
        owner = value.owner
        path = owner.path.data if isinstance(owner, Operator) else "layers"
        move = MoveOp.of(value, path=path, out=replace(have, pool=pool))
        self.out.append(move)
        return move.out

    def _repeat(self, op: RepeatOp) -> str:
        """Place the pieces of a repeat, each in the pool of its stage; the last one's pool."""
        value, pool = self.env[op.init], ""
        for first, last, offset, period in _pieces(op.span, self._cuts()):
            pool = self._placed("layers", first) or self._stage(first)
            value = self._piece(op, self._on(value, pool), (first, last, offset, period))
        self.env[op.out] = value
        return pool

    def _cuts(self) -> set[int]:
        starts = {sum(self.stages[:i]) for i in range(len(self.stages))}
        return starts | self.edges

    def _stage(self, layer: int) -> str:
        chunk = next(i for i in range(len(self.stages)) if layer < sum(self.stages[: i + 1]))
        return self.mesh.pools[chunk % len(self.mesh.pools)]

    def _piece(self, op: RepeatOp, init: SSAValue, piece: tuple[int, int, int, int]) -> SSAValue:
        first, last, offset, period = piece
        whole = period == op.span[2]
        block = Block(arg_types=[init.type])
        block.args[0].name_hint = "x"
        outer, self.out = self.out, []
        body = [o for o in op.body.block.ops if whole or _in_layers(o, offset, period)]
        self.env[_entry(op, body)] = block.args[0]
        pool = tensor_of(init).pool
        for inner in body:
            if isinstance(inner, Operator):
                layer = first - offset + offset_of(inner)
                self._operator(inner, self._pool(inner, layer, pool), 0 if whole else offset)
        leaving = op.yielded if whole else next(o for o in reversed(body) if isinstance(o, Operator)).out
        yielded = self._on(self.env[leaving], pool)
        block.add_ops([*self.out, YieldOp.create(operands=[yielded])])
        self.out = outer
        made = RepeatOp.of(init, block, first, last, period, where_of(op))
        self.out.append(made)
        return made.out


def _nowhere(plan: Plan, path: str) -> Diagnostic:
    names = ", ".join(pool.name for pool in plan.pools)
    problem, hint = f"{path} is placed on no pool", 'begin `place` with {at: "*", on: …}'
    return Diagnostic("rule", problem, plan.where or plan.name, expected=f"one of {names}", hint=hint)


def _in_layers(op: Operation, offset: int, period: int) -> bool:
    return isinstance(op, Operator) and offset <= offset_of(op) < offset + period


def _renumbered(op: Operator, offset: int) -> str:
    """The path in a body that starts `offset` layers later: layers.3.moe → layers.1.moe."""
    return op.path.data.replace(f"layers.{offset_of(op)}.", f"layers.{offset_of(op) - offset}.", 1)


def _entry(op: RepeatOp, body: list[Operation]) -> SSAValue:
    """The value that a part of a body starts from: the only one not made inside it."""
    made = {result for inner in body for result in inner.results}
    return next(value for inner in body for value in inner.operands if value not in made)


def _pieces(span: tuple[int, int, int], cuts: set[int]) -> Iterator[tuple[int, int, int, int]]:
    """(first, last, offset in the period, period) of each piece of a repeat cut at these layers.

    >>> list(_pieces((0, 7, 2), {0, 3}))
    [(0, 1, 0, 2), (2, 2, 0, 1), (3, 3, 1, 1), (4, 7, 0, 2)]
    """
    first, last, period = span
    edges = sorted({first, last + 1, *(c for c in cuts if first < c <= last)})
    for start, end in pairwise(edges):
        while start < end:
            offset = (start - first) % period
            whole = (end - start) // period * period if offset == 0 else 0
            size = whole or min(period - offset, end - start)
            yield start, start + size - 1, offset, period if whole else size
            start += size
