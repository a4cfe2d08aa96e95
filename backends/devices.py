"""devices.json: per GPU its stage, layers, experts, the slice of every weight and cache it holds, its groups and their
members.

    {"gpu": "3", "stage": "all", "layers": ["0-55"],
     "weights": {"layers[0-55].attention.q_proj.weight": {"hidden": [0, 6144], "heads": [18, 24], "d_k": [0, 128]}},
     "caches": {"layers[0-55].attention.core.k_cache": {"batch_size": [0, 16], "kv_len": [[3, 8192, 4]], …}},
     "groups": {"tp": [0, 1, 2, 3, 4, 5, 6, 7]}, "peers": {"sends to": 11}}

Index ranges are half-open. Where parts do not lie in runs, all of a part's are listed: [[0, 2], [14, 16]] of a zigzag,
[[1, 16, 4]] of every 4th; [[0, 8], [130, 131]] of experts in slots. Past `EACH` GPUs those that hold the same slices
share an entry, and caches, groups and peers are left out; so are caches of a batch that is left unbound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ..ir.deployment import Deployment
from ..ir.dims import Size, as_number
from ..ir.layout import Dim
from ..ir.local import levels
from ..ir.mesh import Mesh
from ..ir.module import layers_text, mesh_of, operators, plain_path, plan_of, sizes_of
from ..ir.op import Operator, tensor_of
from ..ir.ops.attention import CACHES
from ..ir.ops.move import Collective
from ..ir.ops.program import RepeatOp, WeightOp
from ..ir.orders import CONTIGUOUS, Levels, pieces, unequal
from ..ir.plan import named_axes
from .peers import Peers, peers

EACH = 16_384

Ranges = list[int] | list[list[int]]
"""[start, end]; or, where a part is not one run, several of them, or [start, end, step]."""


def devices(module: ModuleOp, deployment: Deployment) -> list[dict[str, Any]]:
    """One entry per GPU (or per class of GPUs that hold the same weights), of a module and what was emitted for it."""
    mesh = mesh_of(module)
    known = peers(deployment) if mesh.gpus <= EACH else {}
    return [entry for pool in mesh.pools for entry in _Pool(module, mesh, pool, known).entries()]


class _Pool:
    """The GPUs of one pool and what they hold, as (weight, dim) → part index per GPU."""

    def __init__(self, module: ModuleOp, mesh: Mesh, pool: str, known: Peers) -> None:
        self.plan = plan_of(module)
        self.mesh, self.pool, self.peers = mesh, pool, known
        self.ids = mesh.ids(pool).reshape(-1)
        self.sizes = sizes_of(module)
        self.weights: dict[str, tuple[Dim, ...]] = {}
        self.caches: dict[str, tuple[Dim, ...]] = {}
        self.tables: dict[str, tuple[int, ...]] = {}
        self.layers: dict[str, None] = {}
        self.axes: dict[tuple[str, ...], None] = {}
        for op, repeat in operators(module):
            if tensor_of(op.out).pool == pool:
                self._hold(op, repeat)
        kept = (dim for dims in (*self.weights.values(), *self.caches.values()) for dim in dims)
        self.parts = {axes: mesh.coordinate(pool, axes) for axes in dict.fromkeys(dim.axes for dim in kept)}

    def _hold(self, op: Operator, repeat: RepeatOp | None) -> None:
        if repeat:
            self.layers[layers_text(op, repeat)] = None
        if isinstance(op, WeightOp):
            self.weights[_addressed(op, repeat)] = tensor_of(op.out).dims
            self.tables[_addressed(op, repeat)] = op.table
        elif isinstance(op, CACHES):
            self._keep(_addressed(op, repeat), tensor_of(op.out).dims)
        elif isinstance(op, Collective):
            self.axes[op.over] = None

    def _keep(self, path: str, dims: tuple[Dim, ...]) -> None:
        """A cache, with the sizes that this deployment has."""
        bound = tuple(replace(dim, size=self.sizes.shown(dim.size)) for dim in dims)
        if self.mesh.gpus <= EACH and all(isinstance(as_number(dim.size), int) for dim in bound):
            self.caches[path] = bound

    def entries(self) -> Iterator[dict[str, Any]]:
        each = self.mesh.gpus <= EACH
        for first, members in self._alone() if each else self._classes():
            entry = {
                "gpu": runs(self.ids[members]),
                "stage": self.pool,
                "layers": list(self.layers),
                "experts": self._experts(first),
                "weights": {path: self._slices(path, first) for path in self.weights},
            }
            if each:
                entry["caches"] = {
                    path: {dim.name: self._range(dim, first) for dim in dims} for path, dims in self.caches.items()
                }
                entry["groups"] = self._groups(int(self.ids[first]))
                entry["peers"] = self.peers.get(int(self.ids[first]), {})
            yield entry

    def _alone(self) -> Iterator[tuple[int, np.ndarray]]:
        return ((i, np.array([i])) for i in range(len(self.ids)))

    def _classes(self) -> Iterator[tuple[int, np.ndarray]]:
        """GPUs that hold the same part of everything: those with one coordinate along the axes that cut weights."""
        axes = tuple(axis for axis in self.mesh.axes_of(self.pool) if any(axis in cuts for cuts in self.parts))
        which = self.mesh.coordinate(self.pool, axes)
        order = np.argsort(which, kind="stable")
        return ((int(members[0]), members) for members in np.split(order, self.mesh.size(axes)))

    def _slices(self, path: str, position: int) -> dict[str, Ranges]:
        first, *others = self.weights[path]
        slices = {dim.name: self._range(dim, position) for dim in others}
        return {first.name: self._range(first, position, self.tables[path]), **slices}

    def _range(self, dim: Dim, position: int, table: tuple[int, ...] = ()) -> Ranges:
        part = int(self.parts[dim.axes][position])
        if table:
            order = levels(self.mesh, dim.cuts) or ((self.mesh.size(dim.axes), CONTIGUOUS),)
            return _runs(np.array(table)[pieces(order, len(table))[part]])
        if order := levels(self.mesh, dim.cuts):
            held = ranges(order, _number(dim.size), part)
            return held[0] if unequal(order) and len(held) == 1 else held
        size = _number(dim.size) // self.mesh.size(dim.axes)
        return [part * size, (part + 1) * size]

    def _experts(self, position: int) -> Ranges | None:
        """The experts whose matrices this GPU holds."""
        matrices = ((path, dims) for path, dims in self.weights.items() if ".experts." in path)
        path = next((path for path, dims in matrices if dims[0].name == "experts"), None)
        return self._slices(path, position)["experts"] if path else None

    def _groups(self, gpu: int) -> dict[str, list[int]]:
        found = {}
        for axes in self.axes:
            groups = self.mesh.groups(self.pool, axes)
            row = groups[np.flatnonzero((groups == gpu).any(axis=1))[0]]
            found["·".join(named_axes(axes, self.plan))] = [int(member) for member in row]
        return found


def _addressed(op: Operator, repeat: RepeatOp | None) -> str:
    """A path with the layers it is there for: layers[0-15].attention.q_proj.weight."""
    path = plain_path(op.path.data)
    return path.replace("layers.", f"layers[{layers_text(op, repeat)}].", 1) if repeat else path


@lru_cache(maxsize=65_536)
def ranges(order: Levels, size: int, part: int) -> list[list[int]]:
    """What a part holds, as [start, end], or [start, end, step], in the order in which it lies there."""
    held = pieces(order, size)[part]
    steps = np.diff(held)
    if len(held) > 2 and steps[0] > 1 and (steps == steps[0]).all():
        return [[int(held[0]), int(held[-1]) + 1, int(steps[0])]]
    return _runs(held)


def _runs(held: np.ndarray) -> list[list[int]]:
    return [[int(run[0]), int(run[-1]) + 1] for run in np.split(held, np.flatnonzero(np.diff(held) != 1) + 1)]


def runs(ids: np.ndarray) -> str:
    """GPU ids as ranges: "3", "0-15", or with a stride "0-56/8" (every 8th)."""
    if len(ids) == 1:
        return str(int(ids[0]))
    steps = np.unique(np.diff(ids))
    if len(steps) == 1:
        return f"{ids[0]}-{ids[-1]}" + (f"/{steps[0]}" if steps[0] > 1 else "")
    breaks = np.flatnonzero(np.diff(ids) != 1) + 1
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in np.split(ids, breaks))


def _number(size: Size) -> int:
    value = as_number(size)
    assert isinstance(value, int), "what is kept has numbers for sizes"
    return value
