"""tree: addends go up a binary tree to the first member, which merges the last ones; the value comes down again.

    up      1 → 0   3 → 2   5 → 4   7 → 6      2 → 0   6 → 4      4 → 0
    down    0 → 4      0 → 2   4 → 6      0 → 1   2 → 3   4 → 5   6 → 7

2 log₂ p steps and p - 1 whole values each way, whatever the dimensions; the first member takes in log₂ p of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from ...ir.deployment import Port
from .algorithm import Algorithm, Hub, Send
from .pen import Pen, Sources, owing

WHOLE = Fraction(1)


class TreeAllReduce(Algorithm):
    def unfit(self, hub: Hub) -> str:
        return ""

    def sends(self, hub: Hub) -> Iterator[Send]:
        up = [pairs(hub.members, distance) for distance in distances(hub.members)]
        yield from (Send(child, parent, WHOLE) for parent, child in up)
        yield from (Send(parent, child, WHOLE) for parent, child in reversed(up))

    def draw(self, hub: Hub, pen: Pen, value: Sources) -> Sources:
        tree = _Tree(hub, pen, value)
        for distance in distances(hub.members):
            tree.up(distance)
        for distance in reversed(distances(hub.members)):
            tree.down(distance)
        return tree.joined()


def distances(members: int) -> list[int]:
    """Between the children and parents of every level, from the leaves."""
    return [1 << level for level in range((members - 1).bit_length())]


def pairs(members: int, distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Parents and their children at a level, by position."""
    parents = np.arange(0, members - distance, 2 * distance)
    return parents, parents + distance


class _Tree:
    """Which row holds every member's value last, as what port, and which addends it has merged."""

    def __init__(self, hub: Hub, pen: Pen, value: Sources) -> None:
        self.hub, self.pen = hub, pen
        self.held: list[tuple[Sources, Port]] = [(value, hub.before)] * hub.members
        self.merged = np.eye(hub.members, dtype=bool)

    def up(self, distance: int) -> None:
        """Children send what they have merged, parents merge it with theirs."""
        for parents, children in self._alike(*pairs(self.hub.members, distance)):
            (child, sent), (parent, own) = self.held[children[0]], self.held[parents[0]]
            got, said = self._owing(f".{distance}", parents, children), f"up by {distance}"
            places = self._places(children, parents)
            moved = self.pen.send(child, sent, got, places, WHOLE, said)
            self.merged[parents] |= self.merged[children]
            made = self.hub.after if self.merged[parents].all() else self._owing(f".{distance}+", parents, parents)
            row = self.pen.merge((moved, parent), (got, own), made, places[:, 1], said)
            for each in parents.tolist():
                self.held[each] = row, made

    def down(self, distance: int) -> None:
        """Parents send the value to the children they had addends from."""
        after, places = self.hub.after, self._places(*pairs(self.hub.members, distance))
        self.value += self.pen.send(self.value, after, after, places, WHOLE, f"down by {distance}")

    def joined(self) -> Sources:
        """All members' values as one row's."""
        after = self.hub.after
        return self.pen.concat((self.value,), (after,), after, "whichever way it came")

    @cached_property
    def value(self) -> Sources:
        """Rows that hold the value, each on other members: to begin with, the first one's."""
        return self.held[0][0]

    def _alike(self, parents: np.ndarray, children: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The pairs of a level, those together whose values were last held by the same rows."""
        found: dict[tuple[Sources, Sources], list[int]] = defaultdict(list)
        for at, (parent, child) in enumerate(zip(parents.tolist(), children.tolist(), strict=True)):
            found[self.held[parent][0], self.held[child][0]].append(at)
        for alike in found.values():
            yield parents[alike], children[alike]

    def _places(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.stack([self.hub.places[:, first], self.hub.places[:, second]], axis=2).reshape(-1, 2)

    def _owing(self, tensor: str, who: np.ndarray, whose: np.ndarray) -> Port:
        """The port by which the members `who` have merged what the members `whose` have."""
        merged = np.zeros_like(self.merged)
        merged[who] = self.merged[whose]
        before = self.hub.before
        return owing(replace(before, tensor=before.tensor + tensor), self.hub.places, merged)
