"""Guarantees that the GPUs of a pool together hold every weight: parts × replicas = GPUs.

For every weight, each GPU's parts are computed from its coordinates on the mesh; the distinct ones must not overlap,
must fill the weight, and must be held by equally many GPUs. In any order, parts of different numbers are disjoint.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir.dims import as_number
from ...ir.layout import Tensor
from ...ir.mesh import Mesh
from ...ir.module import mesh_of, operators
from ...ir.op import tensor_of
from ...ir.ops.program import Resident
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
    sizes = [as_number(dim.size) for dim in weight.dims]
    starts = [mesh.coordinate(weight.pool, dim.axes) for dim in weight.dims]
    lengths = [_length(size, mesh.size(dim.axes)) for size, dim in zip(sizes, weight.dims, strict=True)]
    if 0 in lengths:
        return ""
    return _tiles([int(size or 0) for size in sizes], lengths, starts)


def _length(size: object, parts: int) -> int:
    """The length of a part, 0 where there is none."""
    return size // parts if isinstance(size, int) and size % parts == 0 else 0


def _tiles(sizes: list[int], lengths: list[int], parts: list[np.ndarray]) -> str:
    """Do the boxes [part · length, (part + 1) · length) fill the whole without overlap, each equally often?"""
    for size, length, part in zip(sizes, lengths, parts, strict=True):
        if part.size and (int(part.max()) + 1) * length > size:
            return f"a part ends at {(int(part.max()) + 1) * length} of {size}"
    box = np.zeros(parts[0].shape if parts else (1,), dtype=np.int64)
    for size, length, part in zip(sizes, lengths, parts, strict=True):
        box = box * (size // length) + part
    boxes, copies = np.unique(box, return_counts=True)
    if len(boxes) * prod(lengths) != prod(sizes):
        return f"{len(boxes)} distinct parts of {prod(lengths)} elements, of {prod(sizes)}"
    if copies.min() != copies.max():
        return f"some parts have {copies.min()} copies, others {copies.max()}"
    return ""
