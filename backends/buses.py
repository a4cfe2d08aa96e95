"""Buses: how a collective between lanes is reached. One line collects from its lanes, one hands out to them.

Groups whose lanes overlap get buses side by side (`turn` 0, 1, …); the ellipse stands in the gutter before the middle
lane of its group (`home`), which no other group of that collective has.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np


@dataclass(frozen=True)
class Bus:
    """Per group: the lane slot whose gutter holds its ellipse, and which of the parallel buses is its own."""

    home: np.ndarray
    turn: np.ndarray

    @property
    def turns(self) -> int:
        return int(self.turn.max(initial=0)) + 1


def bus_of(places: np.ndarray, slot_of: np.ndarray) -> Bus:
    """`places` are groups of GPUs, `slot_of` the lane slot of each GPU, -1 for those not drawn."""
    far = np.iinfo(np.int64).max
    slots = slot_of[places]
    ordered = np.sort(np.where(slots < 0, far, slots), axis=1)
    count = (ordered != far).sum(axis=1)
    middle = np.minimum((count + 1) // 2, count - 1)
    home = np.take_along_axis(ordered, middle[:, None], axis=1)[:, 0]
    last = np.take_along_axis(ordered, count[:, None] - 1, axis=1)[:, 0]
    first = np.minimum(2 * ordered[:, 0], 2 * home - 1)
    return Bus(home, _turns(first.tolist(), (2 * last).tolist()))


def _turns(first: list[int], last: list[int]) -> np.ndarray:
    """Colours intervals so that overlapping ones differ, with as few colours as possible."""
    turn = np.zeros(len(first), dtype=np.int64)
    free: list[int] = []
    busy: list[tuple[int, int]] = []
    for at in sorted(range(len(first)), key=lambda i: (first[i], i)):
        while busy and busy[0][0] < first[at]:
            heappush(free, heappop(busy)[1])
        turn[at] = heappop(free) if free else len(busy)
        heappush(busy, (last[at], int(turn[at])))
    return turn
