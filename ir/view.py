"""What a picture shows of a deployment: columns of GPUs, each standing for all that run the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .deployment import Deployment, Row


@dataclass(frozen=True)
class Lane:
    """A column of a picture: one GPU drawn, standing for all of `stands_for` (itself alone in the full view)."""

    gpu: int
    stands_for: np.ndarray
    title: str


@dataclass(frozen=True)
class View:
    """What one picture shows of a deployment: which lanes, and what was left out between them.

    `gaps[i]` is the text between lane i and lane i+1 ("GPU 2 … GPU 14: 13 more, identical"). `merged` says that a lane
    stands for several GPUs, so that a collective there is drawn once for all its groups.
    """

    name: str
    deployment: Deployment
    lanes: tuple[Lane, ...]
    merged: bool = False
    gaps: dict[int, str] = field(default_factory=dict)

    def shown(self, row: Row) -> np.ndarray:
        """Positions in `row.places` of the nodes this view draws: of its lanes' GPUs, or of what they stand for."""
        if row.on_host:
            return np.arange(len(row.places))
        found = np.flatnonzero(np.isin(row.places, self._gpus).any(axis=1))
        return np.flatnonzero((self.lane_of[row.places] >= 0).any(axis=1)) if self.merged and not found.size else found

    @cached_property
    def lane_of(self) -> np.ndarray:
        """Which lane stands for every GPU, -1 where none does: int64 [gpus]."""
        lanes = np.full(self.deployment.gpus, -1, dtype=np.int64)
        for at, lane in enumerate(self.lanes):
            lanes[lane.stands_for] = at
        return lanes

    @cached_property
    def _gpus(self) -> np.ndarray:
        return np.array([lane.gpu for lane in self.lanes], dtype=np.int64)
