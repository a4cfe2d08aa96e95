"""What one GPU holds of a tensor: sizes and indices, from its layout, the mesh and what the symbols stand for."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import ceil

from . import orders
from .dims import Size, Sizes, as_number, number, product, substitute, symbol, text
from .layout import DTYPE_BITS, Dim, Tensor
from .mesh import Mesh

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


def shown(mesh: Mesh, sizes: Sizes, dim: Dim) -> tuple[int | str, int | str]:
    """A dimension's (local, global) size as labels show it."""
    whole = sizes.shown(dim.size)
    return plain(whole / parts(mesh, dim)), plain(whole)


def elements(mesh: Mesh, sizes: Sizes, tensor: Tensor) -> Size:
    """Elements of a tensor on one GPU, at one time, counted exactly."""
    return product([sizes.exact(dim.size) / parts(mesh, dim) for dim in tensor.dims])


def nbytes(mesh: Mesh, sizes: Sizes, tensor: Tensor) -> Size:
    """Bytes of a tensor on one GPU, at one time, counted exactly."""
    return elements(mesh, sizes, tensor) * number(Fraction(DTYPE_BITS[tensor.dtype], 8))
