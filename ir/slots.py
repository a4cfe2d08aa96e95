"""Physical experts: every slot holds one expert, a hot expert has several slots.

    experts   0 1 2 3          slots   0 1 2 3 0 2       slot 4 holds a copy of expert 0, slot 5 one of expert 2

A *table* lists the expert of every slot. Of an expert's slots, tokens take turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EACH_GPU = "gpus"
"""A number that follows from the parts that experts are cut into: a redundant slot for each; or of all slots as few on
each as hold all experts."""
MAX_SLOTS = 65_536

Count = int | str
"""A number, or `EACH_GPU`."""


@dataclass(frozen=True)
class Slots:
    """What a strategy says of the slots: how many there are (`total`), or how many more than experts (`redundant`); how
    many `replicas` some experts have, by their ids; or, as a `placement`, the experts of every GPU.
    """

    total: Count | None = None
    redundant: Count | None = None
    replicas: tuple[tuple[int, int], ...] = ()
    placement: tuple[tuple[int, ...], ...] = ()
    where: str = ""


def least(experts: int, replicas: Sequence[tuple[int, int]]) -> int:
    """Slots that so many experts need, some of which have several."""
    return experts + sum(count - 1 for _, count in replicas)


def problem(table: Sequence[int]) -> str:
    """What is wrong with a table of itself, or nothing."""
    if not 0 < len(table) <= MAX_SLOTS:
        return f"lists {len(table)} slots, of which there are 1 to {MAX_SLOTS}"
    missing = sorted(set(range(max(table) + 1)) - set(table))
    return f"has no slot for expert {missing[0]}" if missing or min(table) < 0 else ""


def taken(table: Sequence[int], experts: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """The slots that take tokens which chose these experts: of an expert's slots the `turns`-th, round and round.

    >>> taken([0, 1, 0], np.array([0, 0, 0, 1]), np.array([0, 1, 2, 3]))
    array([0, 2, 0, 1])
    """
    by_expert, copies = np.argsort(table, kind="stable"), np.bincount(table)
    first = np.cumsum(copies) - copies
    return by_expert[first[experts] + turns % copies[experts]]


def copies(table: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Of every slot which of its expert's copies it holds, from 1, and how many there are: int64 [slots] each.

    >>> copies([0, 1, 0, 2, 0])
    (array([1, 1, 2, 1, 3]), array([3, 1, 3, 1, 3]))
    """
    by_expert, count = np.argsort(table, kind="stable"), np.bincount(table)
    rank = np.empty(len(table), dtype=np.int64)
    rank[by_expert] = np.arange(len(table)) - np.repeat(np.cumsum(count) - count, count) + 1
    return rank, count[list(table)]
