"""GPU ids as text: runs are written as ranges, and lists that no one would read are cut short, saying how much."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..ir.ids import spans

RUNS_IN_ATTRIBUTE = 1024
GROUPS_IN_ATTRIBUTE = 256
RUNS_IN_LABEL = 8
GROUPS_IN_LABEL = 4


def groups(places: np.ndarray, most: int = GROUPS_IN_ATTRIBUTE, runs: int = RUNS_IN_ATTRIBUTE) -> str:
    """Several groups: `0-7;8-15`."""
    return _listed([spans(row, runs) for row in places[:most]], len(places), ";")


def group_label(places: np.ndarray) -> str:
    """What a label says of several groups: `2 groups of 8: 0-7; 8-15`."""
    shown = [spans(row, RUNS_IN_LABEL) for row in places[:GROUPS_IN_LABEL]]
    return f"{len(places)} groups of {places.shape[1]}: {_listed(shown, len(places), '; ')}"


def together(arrays: Iterable[np.ndarray], gpus: int) -> np.ndarray:
    """The GPUs in any of these arrays of ids, ascending: int64 [n]; of a cluster of so many."""
    there = np.zeros(gpus, dtype=bool)
    for ids in arrays:
        there[ids] = True
        if there.all():
            break
    return np.flatnonzero(there)


def groups_label(places: np.ndarray) -> str:
    """What is said of the groups of a collective: `GPUs 0-7`, or `2 groups of 8: 0-7; 8-15`."""
    return group_label(places) if len(places) > 1 else gpus_label(places[0])


def gpus_label(ids: np.ndarray) -> str:
    """What a label says of some GPUs: `GPU 3`, `GPUs 0-7`."""
    return f"GPU{'s' * (len(ids) > 1)} {spans(np.sort(ids), RUNS_IN_LABEL)}"


def pair_label(places: np.ndarray) -> str:
    """What a label says of transfers: `GPU 3 → GPU 11`, or `8 pairs: 0→8; 1→9; … 6 more`."""
    if len(places) == 1:
        return f"GPU {places[0, 0]} → GPU {places[0, 1]}"
    shown = [f"{sender}→{receiver}" for sender, receiver in places[: GROUPS_IN_LABEL // 2].tolist()]
    return f"{len(places)} pairs: {_listed(shown, len(places), '; ')}"


def _listed(shown: list[str], count: int, separator: str) -> str:
    left = count - len(shown)
    return separator.join([*shown, f"… {left} more"] if left else shown)
