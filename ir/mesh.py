"""Named axes over GPU ids, and the pools they make.

GPU ids are row-major over the axes, the last axis varying fastest (Megatron's order, tensor parallel innermost). A
stage axis splits the GPUs into pools `stage0`, `stage1`, …, each a mesh of the remaining axes; without one there is a
single pool `all`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

HOST = "host"


@dataclass(frozen=True)
class Mesh:
    """Axes (name, size), outermost first. `stages` names the axis that numbers the pipeline stages, or is empty."""

    axes: tuple[tuple[str, int], ...]
    stages: str = ""

    @property
    def gpus(self) -> int:
        return prod(size for _, size in self.axes)

    def size(self, axes: tuple[str, ...]) -> int:
        """The number of parts that these axes make together."""
        sizes = dict(self.axes)
        return prod(sizes[axis] for axis in axes)

    @property
    def inner(self) -> tuple[str, ...]:
        """The axes inside a pool."""
        return tuple(name for name, _ in self.axes if name != self.stages)

    @property
    def pools(self) -> tuple[str, ...]:
        return tuple(f"stage{i}" for i in range(self.size((self.stages,)))) if self.stages else ("all",)

    def ids(self, pool: str) -> np.ndarray:
        """GPU ids of a pool: int64, one array dimension per inner axis."""
        return _ids(self, pool)

    def groups(self, pool: str, axes: tuple[str, ...]) -> np.ndarray:
        """Groups of GPUs that differ only along `axes`, in the order of their coordinates: int64 [groups, members]."""
        return _groups(self, pool, axes)

    def coordinate(self, pool: str, axes: tuple[str, ...]) -> np.ndarray:
        """For every GPU of a pool (flat order of `ids`), which part along `axes` it holds: int64."""
        return _coordinate(self, pool, axes)


@lru_cache(maxsize=1024)
def _ids(mesh: Mesh, pool: str) -> np.ndarray:
    grid = np.arange(mesh.gpus, dtype=np.int64).reshape([size for _, size in mesh.axes] or [1])
    if mesh.stages:
        where = [name for name, _ in mesh.axes].index(mesh.stages)
        return np.asarray(np.take(grid, mesh.pools.index(pool), axis=where))
    return grid


@lru_cache(maxsize=1024)
def _groups(mesh: Mesh, pool: str, axes: tuple[str, ...]) -> np.ndarray:
    ids = mesh.ids(pool)
    along = [mesh.inner.index(axis) for axis in axes]
    rest = [i for i in range(ids.ndim) if i not in along]
    return ids.transpose(rest + along).reshape(-1, mesh.size(axes))


@lru_cache(maxsize=1024)
def _coordinate(mesh: Mesh, pool: str, axes: tuple[str, ...]) -> np.ndarray:
    """Axis by axis, by broadcasting a range along each: no index grid over all GPUs."""
    shape = mesh.ids(pool).shape
    part = np.zeros(shape, dtype=np.int64)
    for axis in axes:
        where = mesh.inner.index(axis)
        along = np.arange(shape[where]).reshape([-1 if i == where else 1 for i in range(len(shape))])
        part = part * mesh.size((axis,)) + along
    return part.reshape(-1)
