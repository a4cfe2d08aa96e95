"""What an algorithm of a collective says: when it suits one, what its members send, and how that is drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from ...ir.deployment import Port, Row
from ...ir.ops.move import Collective
from .pen import Pen, Sources


@dataclass(frozen=True)
class Send:
    """One step: members (by position in their group) that send at the same time, and to whom; int64 [sends] each.

    `part`: of the payload, the value that the collective's volume counts (what a member holds before; of a gather,
    after). `times`: so many steps are alike.
    """

    senders: np.ndarray
    receivers: np.ndarray
    part: Fraction
    times: int = 1


@dataclass(frozen=True)
class Hub:
    """A collective drawn as one node per group, in a cluster of `gpus`, of which `per_node` in turn fill a node."""

    row: Row
    gpus: int
    per_node: int

    @property
    def op(self) -> Collective:
        assert isinstance(self.row.operator, Collective)
        return self.row.operator

    @property
    def places(self) -> np.ndarray:
        """int64 [groups, members]."""
        return self.row.places

    @property
    def members(self) -> int:
        return self.places.shape[1]

    @property
    def before(self) -> Port:
        """What a member holds before: what flows in, or a weight as it is stored."""
        return replace(self.row.reads[0], parameter="")

    @property
    def after(self) -> Port:
        return self.row.outputs[0]

    @cached_property
    def nodes(self) -> np.ndarray | None:
        """Positions of members, node by node: int64 [nodes, members of a node], if all groups lie alike; else None."""
        nodes = self.places // self.per_node
        ranks = np.array([np.unique(group, return_inverse=True)[1] for group in np.unique(nodes, axis=0)])
        counts = np.bincount(ranks[0])
        if (ranks != ranks[0]).any() or (counts != counts[0]).any():
            return None
        return np.argsort(ranks[0], kind="stable").reshape(len(counts), -1)


class Algorithm(ABC):
    """A way to carry out a collective by transfers between two GPUs each."""

    @abstractmethod
    def unfit(self, hub: Hub) -> str:
        """Why it does not suit a collective, or nothing."""

    @abstractmethod
    def sends(self, hub: Hub) -> Iterator[Send]:
        """What members send, in order."""

    @abstractmethod
    def draw(self, hub: Hub, pen: Pen, value: Sources) -> Sources:
        """Draw it, beginning with the rows that hold the value before; those that hold the value after."""
