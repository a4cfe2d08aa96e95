"""Holds what a row makes, on every GPU, against the undivided value it is said to be a part of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ir.debts import KINDS
from ....ir.deployment import Port
from .numbers import Numbers
from .pieces import Held, Impossible, Value, pick


@dataclass(frozen=True)
class Difference:
    """The first number that differs: on which GPU (of the part), at which global indices, what it should be and is."""

    gpu: int
    at: dict[str, int]
    expected: int | float
    actual: int | float


def difference(port: Port, value: Value, held: Held, whole: np.ndarray, numbers: Numbers) -> Difference | None:
    """The first difference on any GPU; None if the value is right everywhere. `whole` is [1, *extents].

    Impossible where what is held has not the shape its port says, or addends of a sum are nowhere.
    """
    shaped(value, held)
    if port.addend is None:
        return first(port, value.data, value.gpus, held, pick(whole, held), numbers)
    return _owed(port, value, held, whole, numbers)


def shaped(value: Value, held: Held) -> None:
    """Impossible where a value has not the shape that its port says."""
    local = tuple(own.shape[1] for own in held)
    if value.data.shape[1:] != local:
        raise Impossible(f"is {value.data.shape[1:]} on each GPU where its port says {local}")


def first(
    port: Port, data: np.ndarray, gpus: np.ndarray, held: Held, expected: np.ndarray, numbers: Numbers
) -> Difference | None:
    """The first number that is not as expected."""
    wrong = numbers.differ(data, expected)
    if not wrong.any():
        return None
    device, *position = (int(i) for i in np.argwhere(wrong)[0])
    at = {name: int(own[device, i]) for name, own, i in zip(port.names, held, position, strict=True)}
    where = (device, *position)
    return Difference(int(gpus[device]), at, np.asarray(expected)[where].item(), np.asarray(data)[where].item())


def _owed(port: Port, value: Value, held: Held, whole: np.ndarray, numbers: Numbers) -> Difference | None:
    """Of a debt: GPUs with one part hold addends that merge to the value, and copies of an addend are equal."""
    assert port.addend is not None
    rank = port.addend.of[value.gpus]
    part = [share.of[value.gpus] for share in port.shares if share is not None]
    group = np.unique(np.stack([*part, np.zeros_like(rank)]), axis=1, return_inverse=True)[1].reshape(-1)
    held, data = _sorted(value, port, held)
    groups = int(group.max()) + 1
    holder = np.full((groups, port.addend.parts), -1)
    holder[group, rank] = np.arange(len(rank))
    copies = first(port, data, value.gpus, held, data[holder[group, rank]], numbers)
    if copies is not None:
        return copies
    if (holder < 0).any():
        raise Impossible(
            f"{KINDS[port.debt].called} of {port.addend.parts} addends is owed, of which some are on no GPU"
        )
    total = KINDS[port.debt].merge(data[holder], 1)
    chosen = holder[:, 0]
    return first(
        port, total, value.gpus[chosen], [own[chosen] for own in held], pick(whole, [h[chosen] for h in held]), numbers
    )


def _sorted(value: Value, port: Port, held: Held) -> tuple[Held, np.ndarray]:
    """Rows without a fixed order in ascending order, so that addends meet."""
    data = value.data
    for axis, name in enumerate(port.names):
        if name in value.rows:
            order = np.argsort(held[axis], axis=1)
            held = [np.take_along_axis(own, order, axis=1) if i == axis else own for i, own in enumerate(held)]
            shape = [len(data), *(order.shape[1] if i == axis else 1 for i in range(data.ndim - 1))]
            data = np.take_along_axis(data, np.broadcast_to(order.reshape(shape), data.shape), axis=axis + 1)
    return held, data
