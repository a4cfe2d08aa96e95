"""What GPUs hold, stacked: arrays whose leading axis counts devices, with the global indices each device holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from ....ir import orders
from ....ir.deployment import Share

Held = list[np.ndarray]
"""Per dimension the global indices that each device holds: int64 [devices, n]."""


class Impossible(ValueError):
    """A node cannot be computed from what its links bring."""


@dataclass
class Value:
    """An output on the GPUs that have it: `data` [devices, *local], `gpus` [devices].

    `rows`: along names without a fixed order, the numbers of the rows [devices, n] as they lie there.
    """

    data: np.ndarray
    gpus: np.ndarray
    rows: dict[str, np.ndarray] = field(default_factory=dict)

    def on(self, gpus: np.ndarray) -> Value:
        """The same value on these GPUs, in this order."""
        if gpus is self.gpus or np.array_equal(gpus, self.gpus):
            return self
        slot = np.full(max(int(self.gpus.max()), int(gpus.max())) + 1, -1)
        slot[self.gpus] = np.arange(len(self.gpus))
        where = slot[gpus]
        if (where < 0).any():
            raise Impossible("reads what is not on its GPU")
        return Value(self.data[where], gpus, {name: rows[where] for name, rows in self.rows.items()})


def together(values: Sequence[Value]) -> Value:
    """Values on different GPUs as one."""
    gpus = np.concatenate([value.gpus for value in values])
    if len(np.unique(gpus)) < len(gpus):
        raise Impossible("an input is fed twice on one GPU")
    data = np.concatenate([value.data for value in values])
    names = values[0].rows
    return Value(data, gpus, {name: np.concatenate([value.rows[name] for value in values]) for name in names})


def indices(share: Share | None, extent: int, gpus: np.ndarray) -> np.ndarray:
    """The global indices along one dimension that each of these GPUs holds, as they lie there: int64 [devices, n].

    Of what passes by in time all, step after step: a value is what it has been over all steps.
    """
    if share is None:
        return np.broadcast_to(np.arange(extent), (len(gpus), extent))
    if orders.unequal(share.order):
        return _unequal(share, extent, gpus)
    if extent % share.parts:
        raise Impossible(f"{extent} points in {share.parts} parts")
    part = share.of[gpus]
    if (part < 0).any() or (part >= share.parts).any():
        raise Impossible("a GPU holds no part of it")
    if share.order or share.steps > 1:
        levels = share.order or ((share.parts, orders.CONTIGUOUS),)
        seen = orders.indices(levels, extent)[share.visited(gpus)]
        return seen.reshape(len(gpus), seen.shape[1] * seen.shape[2])
    each = extent // share.parts
    return part[:, None] * each + np.arange(each)


def _unequal(share: Share, extent: int, gpus: np.ndarray) -> np.ndarray:
    part = share.of[gpus]
    if (part < 0).any():
        raise Impossible("a GPU holds a part of another size than its port says")
    held = [orders.pieces(share.order, extent)[each] for each in part.tolist()]
    if len({len(own) for own in held}) > 1:
        raise Impossible("GPUs of one port hold parts of several sizes")
    return np.stack(held) if held else np.empty((0, 0), dtype=np.int64)


def meshed(held: Held) -> tuple[np.ndarray, ...]:
    """Index arrays that take from a whole what every device holds: [devices, n₀, n₁, …]."""
    dims = len(held)
    return tuple(
        own.reshape(len(own), *(own.shape[1] if i == at else 1 for i in range(dims))) for at, own in enumerate(held)
    )


def pick(whole: np.ndarray, held: Held) -> np.ndarray:
    """Of a whole value [1, *extents] what every device holds; last dimensions that all hold whole are not indexed."""
    cut = [at for at, own in enumerate(held) if own.strides[0] or own.shape[1] < whole.shape[at + 1]]
    kept = held[: cut[-1] + 1] if cut else []
    if not kept:
        return np.broadcast_to(whole, (len(held[0]) if held else 1, *whole.shape[1:]))
    return whole[0][meshed(kept)]


def aligned(value: Value, names: tuple[str, ...], wanted: Mapping[str, np.ndarray]) -> Value:
    """The value with rows in the order wanted. Impossible where it holds other rows."""
    data, rows = value.data, dict(value.rows)
    for name, want in wanted.items():
        have = rows[name]
        if have is want or np.array_equal(have, want):
            continue
        order = np.argsort(have, axis=1)
        place = np.argsort(np.argsort(want, axis=1), axis=1)
        positions = np.take_along_axis(order, place, axis=1)
        if have.shape != want.shape or not np.array_equal(np.take_along_axis(have, positions, axis=1), want):
            raise Impossible(f"holds other rows of {name} than its user computes")
        axis = names.index(name) + 1
        shape = [len(data), *(positions.shape[1] if i == axis else 1 for i in range(1, data.ndim))]
        data = np.take_along_axis(data, np.broadcast_to(positions.reshape(shape), data.shape), axis=axis)
        rows[name] = want
    return Value(data, value.gpus, rows)


def ascending(held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The indices that each device holds, each once and in order, and where it holds them first: [devices, n] each.

    Impossible where devices hold different numbers of them.
    """
    order = np.argsort(held, axis=1, kind="stable")
    found = np.take_along_axis(held, order, axis=1)
    fresh = np.diff(found, axis=1, prepend=-1) > 0
    if (fresh.sum(axis=1) != fresh[0].sum()).any():
        raise Impossible("GPUs hold different numbers of rows")
    return found[fresh].reshape(len(held), -1), order[fresh].reshape(len(held), -1)


def assembled(sources: Sequence[tuple[np.ndarray, Held]], wanted: Held) -> np.ndarray:
    """On each device, what it wants of what its sources hold."""
    made, filled = None, None
    for data, held in sources:
        matches = [own[:, None, :] == want[:, :, None] for own, want in zip(held, wanted, strict=True)]
        devices = np.arange(len(data)).reshape(-1, *[1] * len(held))
        part = data[(devices, *meshed([match.argmax(axis=2) for match in matches]))]
        have = np.logical_and.reduce(np.broadcast_arrays(*meshed([match.any(axis=2) for match in matches])))
        made = part if made is None else np.where(have, part, made)
        filled = have if filled is None else filled | have
    if made is None or filled is None or not filled.all():
        raise Impossible("takes what is not there")
    return made


def follow(sources: Sequence[str], held: Mapping[str, np.ndarray], total: Mapping[str, int], extent: int) -> np.ndarray:
    """Indices of a name that groups its sources taken together, row-major, in their order: [devices, n]."""
    merged = np.zeros((len(held[sources[0]]), 1), dtype=np.int64)
    for source in sources:
        merged = (merged[:, :, None] * total[source] + held[source][:, None, :]).reshape(len(merged), -1)
    each = prod(total[source] for source in sources) // extent
    rows = merged // each
    return rows[:, np.sort(np.unique(rows[0], return_index=True)[1])] if each > 1 else rows
