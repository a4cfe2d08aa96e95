"""Who sends what to whom when a value goes from one pool to another, whatever its layouts there.

    have seq_len = S / cp on a (4 GPUs)    need heads = 64 / tp on b (8)    every GPU of a sends 1/8 to every one of b
    have whole on a (4 copies)             need whole on b (8)              each copy serves two GPUs of b

A receiver gets, from one holder of each part, what it needs of that part: the two index sets intersected, dimension by
dimension. Where several GPUs hold copies of a part, those who need it are shared out among them. Senders and receivers
that are joined by what is sent are one group, with all copies of a part that its receivers divide among them. Pools of
equal axes that keep the layout pair equal coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import lcm, prod

import numpy as np

from ..ir import orders
from ..ir.dims import as_number
from ..ir.layout import Dim, Tensor
from ..ir.mesh import Mesh


@dataclass(frozen=True)
class Sends:
    """Groups [groups, senders + receivers], of which the first `senders` send; who sends to whom, [pairs, 2], where the
    groups are no pairs; and the part of the whole value that the busiest sender sends.
    """

    places: np.ndarray
    senders: int
    pairs: np.ndarray | None
    most: Fraction


def alike(have: Tensor, need: Tensor, mesh: Mesh) -> bool:
    """Is it cut the same way in both pools, which have the same axes?"""
    axes = (mesh.axes_of(have.pool), mesh.axes_of(need.pool))
    return axes[0] == axes[1] and have.dims == need.dims and have.owes == need.owes


@lru_cache(maxsize=256)
def sends(have: Tensor, need: Tensor, mesh: Mesh) -> Sends:
    """All of them, of a paid value between two pools of GPUs."""
    givers, takers = (mesh.ids(tensor.pool).reshape(-1) for tensor in (have, need))
    if alike(have, need, mesh):
        return Sends(np.stack([givers, takers], axis=1), 1, None, Fraction(1, mesh.size(have.axes)))
    meetings = [_meeting(a, b, have, need, mesh) for a, b in zip(have.dims, need.dims, strict=True)]
    holder = _holders(have, mesh)
    common = np.ones((len(holder), len(takers)), dtype=np.int64)
    for meeting in meetings:
        common = common * meeting.common[np.ix_(meeting.given[holder[:, 0]], meeting.taken)]
    each = prod(meeting.units for meeting in meetings) // len(holder)
    part, taker = np.nonzero(common)
    served = (common > 0).sum(axis=1)
    giver = holder[part, _shared_out(part, served, holder.shape[1])]
    most = np.bincount(giver, weights=common[part, taker]).max()
    divided: np.ndarray = np.where(common > 0, common, each).min(axis=1) < each
    places, senders = _grouped(givers, takers, (giver, taker), holder, divided)
    pairs = np.stack([givers[giver], takers[taker]], axis=1)
    return Sends(places, senders, pairs, Fraction(int(most), prod(meeting.units for meeting in meetings)))


@dataclass(frozen=True)
class _Meeting:
    """Of a dimension, in so many `units`: the part that each sender and each receiver has, and how much any two parts
    have in common.
    """

    given: np.ndarray
    taken: np.ndarray
    common: np.ndarray
    units: int


def _meeting(a: Dim, b: Dim, have: Tensor, need: Tensor, mesh: Mesh) -> _Meeting:
    nested = [tuple((mesh.size((orders.axis_of(c),)), orders.order_of(c)) for c in dim.cuts) for dim in (a, b)]
    units = _units(nested, as_number(a.size))
    owners = []
    for cuts in nested:
        held = orders.indices(cuts, units)
        owner = np.empty(units, dtype=np.int64)
        owner[held] = np.arange(len(held))[:, None]
        owners.append(owner)
    common = np.zeros((mesh.size(a.axes), mesh.size(b.axes)), dtype=np.int64)
    np.add.at(common, tuple(owners), 1)
    return _Meeting(mesh.coordinate(have.pool, a.axes), mesh.coordinate(need.pool, b.axes), common, units)


def _units(nested: list[orders.Levels], size: object) -> int:
    """Of how many units a dimension is made: whole runs of both, whatever its size; where an order takes runs apart,
    its size (of a symbol one at which all parts meet alike).
    """
    apart = any(orders.runs(order, parts) is None for cuts in nested for parts, order in cuts)
    if apart and isinstance(size, int):
        return size
    one, other = map(orders.divisor, nested)
    return one * other if apart else lcm(one, other)


def _holders(have: Tensor, mesh: Mesh) -> np.ndarray:
    """The senders that hold each part, as positions in their pool: [parts, copies]."""
    spare = tuple(axis for axis in mesh.axes_of(have.pool) if axis not in have.axes)
    part, copy = mesh.coordinate(have.pool, have.axes), mesh.coordinate(have.pool, spare)
    holder = np.empty((mesh.size(have.axes), mesh.size(spare)), dtype=np.int64)
    holder[part, copy] = np.arange(len(part))
    return holder


def _shared_out(part: np.ndarray, served: np.ndarray, copies: int) -> np.ndarray:
    """Which copy of its part serves each receiver: of those who need a part (`served`) the first ones the first copy.

    >>> _shared_out(np.array([0, 0, 0, 0, 1]), np.array([4, 1]), 2).tolist()
    [0, 0, 1, 1, 0]
    """
    rank = np.arange(len(part)) - (np.cumsum(served) - served)[part]
    return rank * copies // served[part]


def _grouped(
    givers: np.ndarray,
    takers: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray],
    holder: np.ndarray,
    divided: np.ndarray,
) -> tuple[np.ndarray, int]:
    """The groups that are joined by what is sent, and the senders of each; one of all where they are not alike.

    A copy stands with the first one of its part where no receiver is left for it, or where the part is `divided` among
    receivers: together they send all of it.
    """
    count, (giver, taker) = len(givers), pairs
    part, copy = np.nonzero(~np.isin(holder, giver) | divided[:, None])
    first = np.full(count, -1)
    first[giver[::-1]] = taker[::-1]
    one = np.concatenate([giver, holder[part, copy]])
    other = np.concatenate([taker, first[holder[part, 0]]]) + count
    label = np.arange(count + len(takers))
    while True:
        before = label.copy()
        np.minimum.at(label, other, label[one])
        np.minimum.at(label, one, label[other])
        if np.array_equal(before, label):
            break
    sides = [
        np.split(ids[np.argsort(at, kind="stable")], np.flatnonzero(np.diff(np.sort(at))) + 1)
        for ids, at in ((givers, label[:count]), (takers, label[count:]))
    ]
    groups = list(zip(*sides, strict=True))
    if len({(len(a), len(b)) for a, b in groups}) > 1:
        groups = [(givers, takers)]
    return np.stack([np.concatenate(group) for group in groups]), len(groups[0][0])
