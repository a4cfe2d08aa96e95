"""In which layout a value is best sent to another pool: paid, and shared out among the GPUs that hold the same.

    owes sum over tp on a (4 GPUs)     →  hidden / tp on a      each sends a quarter; an all-reduce would send more
    whole on a (4 copies), one of b    →  hidden / tp on a      sliced first, so that all four send
    whole on a (4 copies), 8 of b      →  as it is              each copy serves two

A dimension takes the axes if its size is a number that they divide; the last one that does, so that batches stay whole.
"""

from __future__ import annotations

from dataclasses import replace

from ..ir.debts import debtors
from ..ir.dims import as_number
from ..ir.layout import Dim, Tensor
from ..ir.mesh import Mesh
from ..ir.ops import UNORDERED


def ready(have: Tensor, need: Tensor, mesh: Mesh) -> Tensor:
    """The layout to send `have` in, where `need` is on another pool of GPUs."""
    paid = replace(have, owes=())
    if mesh.axes_of(have.pool) == mesh.axes_of(need.pool):
        return paid
    paid = _spread(paid, debtors(have.owes), mesh)
    spare = tuple(axis for axis in mesh.axes_of(have.pool) if axis not in paid.axes)
    wanted = mesh.ids(need.pool).size // mesh.size(need.axes) * _split(paid, need, mesh)
    return paid if wanted % mesh.size(spare) == 0 else _spread(paid, spare, mesh)


def _split(have: Tensor, need: Tensor, mesh: Mesh) -> int:
    """Among how many distinct parts on the other pool a part of `have` is divided."""
    count = 1
    for a, b in zip(have.dims, need.dims, strict=True):
        count *= -(-mesh.size(b.axes) // mesh.size(a.axes))
    return count


def _spread(tensor: Tensor, axes: tuple[str, ...], mesh: Mesh) -> Tensor:
    """The tensor cut by these axes too, where a dimension takes them all."""
    dim = next((dim for dim in reversed(tensor.dims) if axes and _takes(dim, axes, mesh)), None)
    return tensor.cut({dim.name: (*dim.cuts, *axes)}) if dim else tensor


def _takes(dim: Dim, axes: tuple[str, ...], mesh: Mesh) -> bool:
    size = as_number(dim.size)
    return isinstance(size, int) and dim.name not in UNORDERED and size % mesh.size((*dim.axes, *axes)) == 0
