"""GPU ids as text: runs are ranges, and a list that no one would read is cut short, saying how much."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def spans(ids: np.ndarray, most: int = 1024) -> str:
    """Ids in their order, ascending runs as ranges, at most so many of them.

    >>> spans(np.array([0, 1, 2, 3, 8, 16]))
    '0-3,8,16'
    """
    starts = np.concatenate([[0], np.flatnonzero(np.diff(ids) != 1) + 1, [len(ids)]])
    shown = starts[: most + 1]
    text = ",".join(_run(int(ids[a]), int(ids[b - 1])) for a, b in pairwise(shown.tolist()))
    left = len(ids) - int(shown[-1])
    return f"{text},… {left} more" if left else text


def _run(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
