"""Named pools of GPUs, each a grid of named axes.

GPU ids of a pool are row-major over its axes, the last varying fastest (Megatron's order, tensor parallel innermost),
unless its strides say otherwise: a stage axis takes every pool from the midst of one grid. An axis has one size, in
all pools that have it; where a pool has not, nothing is cut by it. Without pools of its own a mesh has one, `all`.

    all [dp = 2, tp = 4]                                  GPUs 0-7
    attention [dp = 4], experts [ep = 8]                  GPUs 0-3 and 4-11
    stage0 [tp = 2], stage1 [tp = 2], numbered by pp      GPUs 0-1 and 2-3
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from math import prod

import numpy as np

HOST = "host"
ALL = "all"

Sized = tuple[tuple[str, int], ...]
"""Axes and their sizes, outermost first."""


@dataclass(frozen=True)
class Grid:
    """A pool: its axes, its first GPU, and from one GPU to the next along each axis how many ids (none: row-major)."""

    name: str
    axes: Sized
    first: int = 0
    strides: tuple[int, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.axes)

    @property
    def gpus(self) -> int:
        return prod(size for _, size in self.axes)


@dataclass(frozen=True)
class Mesh:
    """Pools of GPUs, disjoint. `stages` names the axis that numbers them, if there is one: a pipeline's.

    That of a module without one is a single device, in a pool without a name.
    """

    grids: tuple[Grid, ...] = (Grid("", ()),)
    stages: str = ""

    @staticmethod
    def of(axes: Sized, stages: str = "") -> Mesh:
        """One pool `all`; or `stage0`, `stage1`, …, if one of the axes numbers stages: grids of the others."""
        if not stages:
            return Mesh((Grid(ALL, axes),))
        strides = row_major(axes)
        at = [name for name, _ in axes].index(stages)
        rest, steps = (axes[:at] + axes[at + 1 :]), (strides[:at] + strides[at + 1 :])
        steps = () if steps == row_major(rest) else steps
        count = axes[at][1]
        return Mesh(tuple(Grid(f"stage{i}", rest, i * strides[at], steps) for i in range(count)), stages)

    @property
    def gpus(self) -> int:
        return sum(grid.gpus for grid in self.grids)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The size of every axis."""
        return dict(pair for grid in self.grids for pair in grid.axes)

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes of all pools, each once."""
        return tuple(self.sizes)

    @property
    def pools(self) -> tuple[str, ...]:
        return tuple(grid.name for grid in self.grids)

    def size(self, axes: Iterable[str]) -> int:
        """The number of parts that these axes make together."""
        return prod(self.sizes[axis] for axis in axes)

    def axes_of(self, pool: str) -> tuple[str, ...]:
        """The axes of a pool, outermost first; the host has none."""
        return () if pool == HOST else self._named[pool].names

    def ids(self, pool: str) -> np.ndarray:
        """GPU ids of a pool: int64, one array dimension per axis."""
        return _ids(self._named[pool])

    def groups(self, pool: str, axes: tuple[str, ...]) -> np.ndarray:
        """Groups of GPUs that differ only along `axes`, in the order of their coordinates: int64 [groups, members]."""
        return _groups(self._named[pool], axes)

    def coordinate(self, pool: str, axes: tuple[str, ...]) -> np.ndarray:
        """For every GPU of a pool (flat order of `ids`), which part along `axes` it holds: int64."""
        return _coordinate(self._named[pool], axes)

    @cached_property
    def _named(self) -> dict[str, Grid]:
        return {grid.name: grid for grid in self.grids}


def row_major(axes: Sized) -> tuple[int, ...]:
    """
    >>> row_major((("dp", 2), ("tp", 4)))
    (4, 1)
    """
    sizes = [size for _, size in axes]
    return tuple(accumulate(sizes[:0:-1], initial=1, func=lambda a, b: a * b))[::-1] if sizes else ()


@lru_cache(maxsize=1024)
def _ids(grid: Grid) -> np.ndarray:
    ids = np.full([size for _, size in grid.axes] or [1], grid.first, dtype=np.int64)
    for at, ((_, size), stride) in enumerate(zip(grid.axes, grid.strides or row_major(grid.axes), strict=True)):
        ids += _along(at, size, ids.ndim) * stride
    return ids


@lru_cache(maxsize=1024)
def _groups(grid: Grid, axes: tuple[str, ...]) -> np.ndarray:
    ids = _ids(grid)
    along = [grid.names.index(axis) for axis in axes]
    rest = [i for i in range(ids.ndim) if i not in along]
    return ids.transpose(rest + along).reshape(-1, prod(ids.shape[i] for i in along))


@lru_cache(maxsize=1024)
def _coordinate(grid: Grid, axes: tuple[str, ...]) -> np.ndarray:
    """Axis by axis, by broadcasting a range along each: no index grid over all GPUs."""
    shape = _ids(grid).shape
    part = np.zeros(shape, dtype=np.int64)
    for axis in axes:
        where = grid.names.index(axis)
        part = part * shape[where] + _along(where, shape[where], len(shape))
    return part.reshape(-1)


def _along(axis: int, size: int, rank: int) -> np.ndarray:
    """A range along one of so many array dimensions."""
    return np.arange(size, dtype=np.int64).reshape([-1 if i == axis else 1 for i in range(rank)])
