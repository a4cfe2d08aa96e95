"""Guarantees that the GPUs of a pool together hold every weight: parts × replicas = GPUs.

For every weight, each GPU's parts are computed from its coordinates on the mesh; the distinct ones must not overlap,
must fill the weight, and must be held by equally many GPUs. In any order, parts of different numbers are disjoint, and
all of them together are the dimension, whether or not they are equal.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir.dims import as_number
from ...ir.layout import Dim, Tensor
from ...ir.local import levels
from ...ir.mesh import Mesh
from ...ir.module import mesh_of, operators
from ...ir.op import tensor_of
from ...ir.ops.program import Resident
from ...ir.orders import CONTIGUOUS, fits
from .findings import finding


def check(module: ModuleOp) -> list[Diagnostic]:
    """Every weight whose parts do not cover it exactly."""
    mesh = mesh_of(module)
    found = []
    for op, _ in operators(module):
        if isinstance(op, Resident) and (problem := held(mesh, tensor_of(op.out))):
            what = op.name.removeprefix("dag.")
            found.append(finding("coverage", op, f"the GPUs do not hold the {what} exactly: {problem}"))
    return found


@lru_cache(maxsize=4096)
def held(mesh: Mesh, weight: Tensor) -> str:
    """What is wrong with how a pool holds a weight, or nothing. Unknown axes and sizes are others' findings."""
    if weight.pool not in mesh.pools or not set(weight.axes) <= set(mesh.axes_of(weight.pool)):
        return ""
    if not all(_is_cut(mesh, dim) for dim in weight.dims):
        return ""
    parts = [mesh.coordinate(weight.pool, dim.axes) for dim in weight.dims]
    return _tiles([mesh.size(dim.axes) for dim in weight.dims], parts)


def _is_cut(mesh: Mesh, dim: Dim) -> bool:
    """Are its parts whole numbers of indices?"""
    size, cuts = as_number(dim.size), levels(mesh, dim.cuts) or ((mesh.size(dim.axes), CONTIGUOUS),)
    return isinstance(size, int) and fits(cuts, size)


def _tiles(counts: list[int], parts: list[np.ndarray]) -> str:
    """Is every box of one part of each dimension there, each equally often?"""
    box = np.zeros(parts[0].shape if parts else (1,), dtype=np.int64)
    for count, part in zip(counts, parts, strict=True):
        box = box * count + part
    boxes, copies = np.unique(box, return_counts=True)
    if len(boxes) != prod(counts):
        return f"{len(boxes)} distinct parts of {prod(counts)}"
    if copies.min() != copies.max():
        return f"some parts have {copies.min()} copies, others {copies.max()}"
    return ""
