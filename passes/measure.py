"""measure: what a deployment costs, per GPU: parameters, memory, FLOPs, communication, parts and balance.

    {"gpus": "0-7", "parameters": 2215116800, "weight_bytes": …, "flops": …, "activation_peak_bytes": …}

GPUs of one pool run the same program, on equal parts or on parts of a few sizes (then a class for each), so measuring
takes one look at each operator of a layer. Numbers are exact: an expert computes tokens · top_k / experts rows, even
where labels round rows up. A size left unbound makes a figure an expression (a text).

A batch that goes through in micro-batches is computed and sent once per micro-batch, as `collectives` lists it for one;
caches hold all of them, values and buffers one, weights are there once. Of chunks of a prompt's tokens each is counted
with as many in the caches as it finds; memory and `collectives` are those of the last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from ..ir.chunks import chunk_sizes
from ..ir.dims import Size, Sizes, as_number, number, product, same
from ..ir.gpus import Gpus, least
from ..ir.ids import spans
from ..ir.layout import Dim, Tensor
from ..ir.local import elements, fraction, kinds, nbytes, plain
from ..ir.mesh import HOST, Mesh
from ..ir.module import layers_text, mesh_of, operators, plain_path, plan_of
from ..ir.op import Operator, Role, tensor_of
from ..ir.ops.attention import CACHES
from ..ir.ops.move import Collective, Mover, TransferOp
from ..ir.ops.program import RepeatOp, StateOp, WeightOp
from ..ir.plan import Plan, named_axes
from .handover import handed_over
from .liveness import peak
from .occupancy import occupancy
from .selection import is_selection
from .volumes import nbytes as nbytes_of
from .volumes import received, sent_from, stage_axes

ZERO = number(0)
SEND: tuple[str, tuple[str, ...]] = ("send/recv", ())


@dataclass
class Totals:
    """Sums over the operators that a class of GPUs runs: those of a pool that hold as much of everything.

    `ids` are their GPUs, `at` the place of the first in the pool.
    """

    pool: str
    ids: np.ndarray
    at: int = 0
    parameters: Size = ZERO
    weight_bytes: Size = ZERO
    flops: Size = ZERO
    kv_cache_bytes: Size = ZERO
    sent: int = 0
    received: int = 0
    layer_flops: dict[str, dict[str, Size]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(lambda: ZERO))
    )


def measure(module: ModuleOp, gpus: Sequence[Gpus] = (), fused_attention: bool = True) -> dict[str, Any]:
    """Figures of a lowered module as plain data, held against what GPUs of these kinds have."""
    plan = plan_of(module)
    look = _Look(plan, mesh_of(module), chunk_sizes(module), _pools(module))
    for op, repeat in operators(module):
        look.at(op, repeat)
    classes = [_class(look, module, totals, gpus, fused_attention) for pool in look.pools.values() for totals in pool]
    return {
        "gpus": look.mesh.gpus,
        "micro_batches": look.runs,
        "token_chunks": len(look.chunks),
        "classes": classes,
        "collectives": look.collectives,
        "per_layer": _per_layer(look.collectives),
        "modules": list(look.modules()),
        "balance": _balance(classes),
        "attention": "fused: scores drawn, not stored" if fused_attention else "as drawn: scores stored",
        "slots": occupancy(module),
        "handover": list(handed_over(module)),
        "total_parameters": plain(look.total),
    }


@dataclass
class _Look:
    plan: Plan | None
    mesh: Mesh
    chunks: list[Sizes]
    """What symbols stand for, of every run over a prompt."""
    pools: dict[str, list[Totals]]

    def __post_init__(self) -> None:
        self.sizes = self.chunks[-1]
        self.runs = self.plan.micro_batches if self.plan else 1
        """How often the program runs over prompts: once per micro-batch."""
        self.collectives: list[dict[str, Any]] = []
        self.total: Size = ZERO
        self._axes: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._tied: set[tuple[str, str]] = set()

    def at(self, op: Operator, repeat: RepeatOp | None) -> None:
        """Count one operator, as many times as its body is repeated."""
        times = repeat.count if repeat else 1
        match op:
            case WeightOp():
                self._weight(op, times)
            case StateOp():
                pass  # counted where it is appended to
            case Collective() | TransferOp():
                self._communication(op, repeat, times)
            case Operator() if op.RULE.role is not Role.HOST:
                self._work(op, repeat, times)

    def _weight(self, op: WeightOp, times: int) -> None:
        tensor = tensor_of(op.out)
        self._axes[tensor.pool, _module(op)] |= dict.fromkeys(tensor.axes)
        copied = number(Fraction(len(set(op.table)), len(op.table))) if op.table else number(1)
        self.total += ZERO if op.tied or op.buffer else tensor.points * copied * times
        identity = op.tied.data if op.tied else op.path.data
        if (tensor.pool, identity) in self._tied:
            return
        if "." in identity and not identity.startswith("layers"):
            self._tied.add((tensor.pool, identity))
        for totals in self.pools[tensor.pool]:
            totals.parameters += ZERO if op.buffer else elements(self.mesh, self.sizes, tensor, totals.at) * times
            totals.weight_bytes += nbytes(self.mesh, self.sizes, tensor, totals.at) * times

    def _work(self, op: Operator, repeat: RepeatOp | None, times: int) -> None:
        out = tensor_of(op.out)
        for totals in self.pools[out.pool]:
            work = sum((flops(self.mesh, sizes, op, totals.at) for sizes in self.chunks), ZERO) * self.runs
            totals.flops += work * times
            if repeat is not None:
                totals.layer_flops[layers_text(op, repeat)][plain_path(op.path.data)] = work
            if isinstance(op, CACHES):
                totals.kv_cache_bytes += nbytes(self.mesh, self.sizes, out, totals.at) * times * self.runs

    def _communication(self, op: Mover, repeat: RepeatOp | None, times: int) -> None:
        before, after = tensor_of(op.operands[0]), tensor_of(op.out)
        counts = [sent_from(op, self.mesh, self.sizes, totals.at) for totals in self.pools[before.pool]]
        got = [received(op, self.mesh, self.sizes, totals.at) for totals in self.pools[after.pool]]
        most, least = (pick(counts, key=lambda count: as_number(count) or 0) for pick in (max, min))
        collective, axes = (op.collective, named_axes(op.over, self.plan)) if isinstance(op, Collective) else SEND
        self.collectives.append(
            {
                "collective": collective,
                "axes": list(axes or stage_axes(self.mesh)),
                "after": op.path.data,
                "layers": layers_text(op, repeat) if repeat else None,
                "repeat": times,
                "routing": is_selection(op.out),
                "elements_sent_per_gpu": plain(most),
                "bytes_sent_per_gpu": plain(nbytes_of(op, most)),
                "bytes_received_per_gpu": plain(nbytes_of(op, max(got, key=lambda count: as_number(count) or 0))),
                **({} if same(most, least) else {"elements_sent_least": plain(least)}),
                "from": before.pool,
                "to": after.pool,
            }
        )
        for totals in self.pools[before.pool]:
            totals.sent += self._bytes(op, sent_from, totals) * times
        for totals in self.pools[after.pool]:
            totals.received += self._bytes(op, received, totals) * times

    def _bytes(self, op: Mover, count: Callable[[Mover, Mesh, Sizes, int], Size], totals: Totals) -> int:
        """Bytes of all runs; none where sizes are left unbound."""
        each = [plain(nbytes_of(op, count(op, self.mesh, sizes, totals.at))) for sizes in self.chunks]
        return sum(size for size in each if isinstance(size, int)) * self.runs

    def modules(self) -> Any:
        """Per module of each pool: distinct weight parts × replicas against the pool's GPUs (OUT6, DEP1)."""
        for (pool, module), axes in self._axes.items():
            gpus = self.mesh.ids(pool).size
            distinct = self.mesh.size(tuple(axes))
            yield {
                "pool": pool,
                "module": module,
                "parts": distinct,
                "replicas": gpus // distinct,
                "product": distinct * (gpus // distinct),
                "gpus": gpus,
                "matches": distinct * (gpus // distinct) == gpus,
            }


def _pools(module: ModuleOp) -> dict[str, list[Totals]]:
    """Per pool its classes of GPUs, the first GPU's first."""
    mesh, dims = mesh_of(module), defaultdict[str, dict[Dim, None]](dict)
    for op, _ in operators(module):
        dims[tensor_of(op.out).pool] |= dict.fromkeys(tensor_of(op.out).dims)
    return {pool: list(_apart(mesh, pool, kinds(mesh, pool, dims[pool]))) for pool in mesh.pools}


def _apart(mesh: Mesh, pool: str, which: np.ndarray | None) -> Iterator[Totals]:
    ids = mesh.ids(pool).reshape(-1)
    if which is None:
        yield Totals(pool, ids)
        return
    for kind in range(which.max() + 1):
        places = np.flatnonzero(which == kind)
        yield Totals(pool, ids[places], int(places[0]))


def _module(weight: WeightOp) -> str:
    """The module a weight counts for: its operator's parent, or the operator where it stands by itself in a layer."""
    path = plain_path(weight.path.data).rsplit(".", 1)[0]
    parent = path.rpartition(".")[0]
    return path if parent in ("", "layers", "layers.moe") else parent


def _class(look: _Look, module: ModuleOp, totals: Totals, gpus: Sequence[Gpus], fused: bool) -> dict[str, Any]:
    """The figures of a class of GPUs, all of which are alike."""
    pool, ids = totals.pool, totals.ids
    activations = peak(module, pool, lambda value: stored(look.mesh, look.sizes, value, fused, totals.at))
    needed = totals.weight_bytes + totals.kv_cache_bytes + activations
    total, memory = as_number(needed), int(least(gpus, ids, "memory")) if gpus else None
    return {
        "pool": pool,
        "gpus": spans(ids),
        "count": len(ids),
        "parameters": plain(totals.parameters),
        "weight_bytes": plain(totals.weight_bytes),
        "kv_cache_bytes": plain(totals.kv_cache_bytes),
        "activation_peak_bytes": plain(activations),
        "peak_bytes": plain(needed),
        "capacity_bytes": memory,
        "fits": None if memory is None or total is None else bool(total <= memory),
        "flops": plain(totals.flops),
        **_speed(totals.flops, gpus, ids),
        "flops_per_layer": {
            layers: {"total": plain(sum(ops.values(), ZERO)), "operators": {p: plain(f) for p, f in ops.items()}}
            for layers, ops in totals.layer_flops.items()
        },
        "bytes_sent": totals.sent,
        "bytes_received": totals.received,
    }


def _speed(work: Size, gpus: Sequence[Gpus], ids: np.ndarray) -> dict[str, Any]:
    """Where GPUs are of several kinds, how long these compute at their peak, in nanoseconds."""
    if len(gpus) < 2:
        return {}
    speed, total = least(gpus, ids, "flops"), as_number(work)
    return {"compute_nanoseconds": round(total / speed * 1e9) if speed and total is not None else None}


def flops(mesh: Mesh, sizes: Sizes, op: Operator, at: int = 0) -> Size:
    """FLOPs of the GPU at a place of its pool: the rule's count per point of the operator's local joint space."""
    if not op.RULE.flops:
        return ZERO
    local: dict[str, Size] = {}
    for index, value in enumerate(op.operands):
        names = op.operand_names(index)
        local |= {names[name]: size for name, size in _local(mesh, sizes, tensor_of(value), at)}
    local |= dict(_local(mesh, sizes, tensor_of(op.out), at))
    return product([local[name] for name in op.points()]) * op.RULE.flops


def _local(mesh: Mesh, sizes: Sizes, tensor: Tensor, at: int) -> Iterator[tuple[str, Size]]:
    for dim in tensor.dims:
        yield dim.name, sizes.exact(dim.size) * fraction(mesh, tensor.pool, dim, at)


def stored(mesh: Mesh, sizes: Sizes, value: SSAValue, fused: bool, at: int = 0) -> Size:
    """Bytes a value takes while it lives. Fused attention never stores scores; weights and caches are counted apart."""
    tensor, owner = tensor_of(value), value.owner
    in_kernel = fused and tensor.has("seq_len") and tensor.has("kv_len")
    resident = isinstance(owner, Operator) and owner.RULE.role is Role.STATE
    if tensor.pool == HOST or in_kernel or resident:
        return ZERO
    return nbytes(mesh, sizes, tensor, at)


def _per_layer(collectives: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Collectives of one layer of each kind of layer, by name; exchanges of routing counts apart."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for entry in collectives:
        if entry["layers"] is not None:
            name = "routing counts: " * entry["routing"] + entry["collective"]
            counts[entry["layers"]][name] += 1
    return {layers: dict(found) for layers, found in counts.items()}


def _balance(classes: list[dict[str, Any]]) -> dict[str, float | None]:
    """Largest over mean, over all GPUs that compute, of each load. 1.0 is perfectly balanced."""
    classes = [part for part in classes if part["flops"] != 0] or classes
    work = "compute_nanoseconds" if "compute_nanoseconds" in classes[0] else "flops"
    loads = ("parameters", work, "peak_bytes", "bytes_sent")
    return {load: _ratio([(c[load], c["count"]) for c in classes]) for load in loads}


def _ratio(values: list[tuple[Any, int]]) -> float | None:
    if not all(isinstance(value, int) for value, _ in values):
        return None
    mean = sum(value * count for value, count in values) / sum(count for _, count in values)
    return round(max(value for value, _ in values) / mean, 4) if mean else 1.0
