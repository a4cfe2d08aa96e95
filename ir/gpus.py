"""GPUs of one kind or several: what each can hold and do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gpus:
    """`count` GPUs alike. Per GPU: memory and cache in bytes, dense BF16 FLOP/s; 0 where that is not known."""

    name: str
    count: int
    memory: int
    cache: int = 0
    flops: float = 0


def least(kinds: Sequence[Gpus], ids: np.ndarray, what: str) -> float:
    """The least `memory`, `cache` or `flops` of these GPUs; ids go through the kinds in order, a single kind is all."""
    if len(kinds) == 1:
        return getattr(kinds[0], what)
    ends = np.cumsum([kind.count for kind in kinds])
    return min(getattr(kinds[i], what) for i in np.unique(np.searchsorted(ends, ids, side="right")))
