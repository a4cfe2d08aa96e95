"""partition: how many layers each stage gets, from what layers cost. Pure functions; nothing here knows the IR.

    fewest(load, 900 MB)            3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2     as few stages as hold the layers
    balanced(load, [900 MB] * 16)   2, 2, 2, …                          so many stages, the fullest as empty as can be
    fastest(flops, [2, 1], …)       8, 4                                so many stages, the slowest as fast as can be

Stages are contiguous, keep the order of the layers, and none is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np


@dataclass(frozen=True)
class Load:
    """What layers take together: the sum of `summed` and the largest of `shared`, int64 [layers] each.

    `once` stands in the first and in the last layer, and counts only once where a stage holds both (tied embeddings).
    """

    summed: np.ndarray
    shared: np.ndarray
    once: int = 0

    def __len__(self) -> int:
        return len(self.summed)

    def starting(self, start: int) -> np.ndarray:
        """What layers start … end take, for every end: int64 [layers - start], ascending."""
        found = np.cumsum(self.summed[start:]) + np.maximum.accumulate(self.shared[start:])
        if start == 0:
            found[-1] -= self.once
        return found

    def stages(self, counts: Sequence[int]) -> list[int]:
        """What each stage takes."""
        starts = np.cumsum([0, *counts[:-1]]).tolist()
        return [int(self.starting(start)[count - 1]) for start, count in zip(starts, counts, strict=True)]


def fewest(load: Load, capacity: int) -> list[int] | None:
    """The fewest stages that take at most `capacity` each, or None where one layer takes more.

    Each takes as many layers as it can: a stage that ends later leaves less to those after it.
    """
    counts: list[int] = []
    while (start := sum(counts)) < len(load):
        count = int(np.searchsorted(load.starting(start), capacity, side="right"))
        if count == 0:
            return None
        counts.append(count)
    return counts


def balanced(load: Load, capacities: Sequence[float]) -> list[int] | None:
    """As many stages as `capacities`, the fullest as empty as can be for what it can take; None where none fits."""
    return fastest(load, capacities, load, capacities)


def fastest(flops: Load, speeds: Sequence[float], load: Load, capacities: Sequence[float]) -> list[int] | None:
    """As many stages as `speeds`, the slowest of which is as fast as can be: work over speed.

    None where some stage takes more than its capacity however layers are dealt out.
    """
    per_stage = np.array(speeds, dtype=float)[:, None]
    most = np.array(capacities, dtype=float)[:, None]

    def costs(start: int) -> np.ndarray:
        return np.where(load.starting(start) <= most, flops.starting(start) / per_stage, inf)

    return _cut(len(flops), len(speeds), costs)


Costs = Callable[[int], np.ndarray]
"""start → float [stages, layers - start]: what each stage costs with layers start … end; inf where it cannot be."""


def _cut(layers: int, stages: int, costs: Costs) -> list[int] | None:
    """The cut whose largest cost is least, and of those the one with the least sum of squares: as even as can be."""
    found = _shortest(layers, stages, costs, np.maximum)
    if found is None:
        return None
    starts = np.cumsum([0, *found[:-1]]).tolist()
    most = max(costs(start)[stage, count - 1] for stage, (start, count) in enumerate(zip(starts, found, strict=True)))

    def squares(start: int) -> np.ndarray:
        """Whole numbers, so that sums that are equal compare equal."""
        cost = costs(start)
        fits = cost <= most
        return np.where(fits, np.round(np.where(fits, cost, 0) / (most or 1) * 10_000) ** 2, inf)

    return _shortest(layers, stages, squares, np.add)


def _shortest(layers: int, stages: int, costs: Costs, join: Callable[..., np.ndarray]) -> list[int] | None:
    """The cut for which all costs joined are least, by dynamic programming over (stages so far, layers so far)."""
    best = np.full((stages + 1, layers + 1), inf)
    came = np.zeros((stages + 1, layers + 1), dtype=np.int64)
    best[0, 0] = 0
    for start in range(layers):
        found = join(best[:-1, start, None], costs(start))
        better = found <= best[1:, start + 1 :]
        best[1:, start + 1 :][better] = found[better]
        came[1:, start + 1 :][better] = start
    if best[stages, layers] == inf:
        return None
    ends = [layers]
    for stage in range(stages, 0, -1):
        ends.append(int(came[stage, ends[-1]]))
    return np.diff(ends[::-1]).tolist()
