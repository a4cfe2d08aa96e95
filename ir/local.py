"""What one GPU holds of a tensor: sizes and indices, from its layout, the mesh and what the symbols stand for.

batch_size = 1024 / dp uneven 1024      86 on the first four of 12 GPUs, 85 on the others: two `kinds` of GPUs
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import ceil

import numpy as np

from . import orders
from .dims import Size, Sizes, as_number, number, product, substitute, symbol, text
from .layout import DTYPE_BITS, Dim, Tensor
from .mesh import HOST, Mesh

FULL_NAMES = {"B": symbol("batch_size"), "S": symbol("seq_len"), "K": symbol("kv_len")}
"""How unbound symbols are written where a reader sees them."""


def parts(mesh: Mesh, dim: Dim) -> int:
    """Into how many parts a dimension is cut, in space and time."""
    return mesh.size(orders.axes_of(dim.cuts))


def steps(mesh: Mesh, tensor: Tensor) -> int:
    """In how many steps a GPU passes over a tensor."""
    return mesh.size(tensor.times)


def levels(mesh: Mesh, cuts: Iterable[str]) -> orders.Levels:
    """Nested cuts with the number of parts that each makes, whenever they are held; empty where all are contiguous."""
    return orders.levels((mesh.size((orders.axis_of(cut),)), orders.still(orders.order_of(cut))) for cut in cuts)


def plain(size: Size) -> int | str:
    """A size as a number (rounded up), or the text of the expression where a symbol is unbound."""
    value = as_number(size)
    return ceil(value) if isinstance(value, int | Fraction) else text(substitute(size, FULL_NAMES))


def fraction(mesh: Mesh, pool: str, dim: Dim, at: int = 0) -> Size:
    """Of a dimension, how much the GPU at this place of a pool (in the flat order of its ids) holds.

    Where parts are equal, all hold as much.
    """
    cuts = levels(mesh, dim.cuts)
    if not orders.unequal(cuts):
        return number(Fraction(1, parts(mesh, dim)))
    whole, held = orders.portions(cuts)
    return number(Fraction(int(held[mesh.coordinate(pool, orders.axes_of(dim.cuts))[at]]), whole))


def kinds(mesh: Mesh, pool: str, dims: Iterable[Dim]) -> np.ndarray | None:
    """Per GPU of a pool the number of the sizes that it holds of these dimensions, in the order in which GPUs have
    them: int64 [gpus]. None where all GPUs hold as much of each.
    """
    cuts = dict.fromkeys(dim.cuts for dim in dims if orders.unequal(levels(mesh, dim.cuts)))
    if not cuts or pool == HOST:
        return None
    held = [orders.portions(levels(mesh, each))[1][mesh.coordinate(pool, orders.axes_of(each))] for each in cuts]
    _, first, which = np.unique(np.stack(held), axis=1, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[which.reshape(-1)]


def shown(mesh: Mesh, sizes: Sizes, pool: str, dim: Dim, at: int = 0) -> tuple[int | str, int | str]:
    """A dimension's (local, global) size as labels show it, on the GPU at this place of a pool."""
    whole = sizes.shown(dim.size)
    return plain(whole * fraction(mesh, pool, dim, at)), plain(whole)


def elements(mesh: Mesh, sizes: Sizes, tensor: Tensor, at: int = 0) -> Size:
    """Elements of a tensor on the GPU at this place of its pool, at one time, counted exactly."""
    return product([sizes.exact(dim.size) * fraction(mesh, tensor.pool, dim, at) for dim in tensor.dims])


def nbytes(mesh: Mesh, sizes: Sizes, tensor: Tensor, at: int = 0) -> Size:
    """Bytes of a tensor on the GPU at this place of its pool, at one time, counted exactly."""
    return elements(mesh, sizes, tensor, at) * number(Fraction(DTYPE_BITS[tensor.dtype], 8))
