"""Tensors with named dimensions and their layouts: pure data.

A layout says, per dimension, which mesh axes cut it (outermost first) in which order, over which axes what is still
owed, and which pool of GPUs holds the value:

    batch_size = B / dp, seq_len = S / cp zigzag, heads = 64 / tp, owes sum over cp, on stage0
    seq_len = S / cp, kv_len = S / cp ring          of other tokens every step, one GPU's after the other's
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .debts import debtors
from .dims import Size, product, same
from .orders import axes_of, in_space, in_time


@dataclass(frozen=True, slots=True)
class Dim:
    """A named dimension: its global size and what cuts it, outermost first: axes with their `orders`."""

    name: str
    size: Size
    cuts: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that cut it in space, in whatever order."""
        return axes_of(in_space(self.cuts))

    @property
    def times(self) -> tuple[str, ...]:
        """The axes whose parts all pass by every GPU, one after the other."""
        return axes_of(cut for cut in self.cuts if in_time(cut))


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value's type. Without cuts, debts and pool it is logical; `pool` "host" is outside all GPUs.

    `owes`: the `debts` of which each GPU holds an addend only, axes with their kinds.
    """

    dims: tuple[Dim, ...]
    dtype: str
    owes: tuple[str, ...] = ()
    pool: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dim.name for dim in self.dims)

    @property
    def points(self) -> Size:
        """Number of elements of the whole tensor."""
        return product([dim.size for dim in self.dims])

    @property
    def axes(self) -> tuple[str, ...]:
        """Every axis that cuts a dimension in space."""
        return tuple(axis for dim in self.dims for axis in dim.axes)

    @property
    def times(self) -> tuple[str, ...]:
        """Every axis whose parts pass by in time."""
        return tuple(axis for dim in self.dims for axis in dim.times)

    @property
    def debtors(self) -> tuple[str, ...]:
        """Every axis over which something is owed, of whatever kind."""
        return debtors(self.owes)

    def dim(self, name: str) -> Dim:
        return next(dim for dim in self.dims if dim.name == name)

    def has(self, name: str) -> bool:
        return any(dim.name == name for dim in self.dims)

    def cut(self, cuts: dict[str, tuple[str, ...]]) -> Tensor:
        """The same tensor with these dimensions cut so; others keep their cuts."""
        return replace(self, dims=tuple(replace(d, cuts=cuts.get(d.name, d.cuts)) for d in self.dims))

    def logical(self) -> Tensor:
        """The same tensor with nothing said of devices."""
        return Tensor(tuple(Dim(d.name, d.size) for d in self.dims), self.dtype)

    def same_value(self, other: Tensor) -> bool:
        """Do both describe the same undivided tensor?"""
        return (
            self.names == other.names
            and self.dtype == other.dtype
            and all(same(a.size, b.size) for a, b in zip(self.dims, other.dims, strict=True))
        )


DTYPE_BITS = {"f32": 32, "f16": 16, "bf16": 16, "f8": 8, "i32": 32, "route": 48}
"""Bits per element. `route` is one routing decision: an i32 expert id and a 16-bit weight."""
