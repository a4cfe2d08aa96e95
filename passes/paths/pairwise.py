"""pairwise: an all-to-all in p - 1 steps; in step s every member sends its piece to the member s places on.

A piece has of the dimension that is joined what its sender had, and of the one that is split what its receiver gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ...ir.deployment import Port, Share, Size
from ...ir.ops.move import AllToAllOp
from .algorithm import Algorithm, Hub, Send
from .pen import Pen, Sources, part_of, share_of


class PairwiseAllToAll(Algorithm):
    def unfit(self, hub: Hub) -> str:
        return ""

    def sends(self, hub: Hub) -> Iterator[Send]:
        members = np.arange(hub.members)
        for step in range(1, hub.members):
            yield Send(members, (members + step) % hub.members, Fraction(1, hub.members))

    def draw(self, hub: Hub, pen: Pen, value: Sources) -> Sources:
        joined, split = ends(hub)
        own = np.arange(hub.members)
        there = [(own + step) % hub.members for step in range(hub.members)]
        back = [(own - step) % hub.members for step in range(hub.members)]
        hop = Hop(hub, pen, "pairwise", list(self.sends(hub)))
        return hop.draw(
            value, hub.before, hub.after,
            lambda step: hop.piece(step, joined.of(own), split.of(there[step])),
            lambda step: hop.piece(-step, joined.of(back[step]), split.of(own)),
        )  # fmt: skip


@dataclass(frozen=True)
class Cut:
    """How a dimension is cut among members: a part's local size, and the share that says who has which."""

    name: str
    size: Size
    share: Share | None
    places: np.ndarray

    def of(self, whose: np.ndarray) -> dict[str, tuple[Size, Share | None]]:
        """What every member has of it if it is what the member at `whose` [members] has."""
        return {self.name: (self.size, share_of(self.share, self.places, whose))}


def ends(hub: Hub) -> tuple[Cut, Cut]:
    """The dimension that is joined, as it is cut before, and the one that is split, as it is cut after."""
    op = hub.op
    assert isinstance(op, AllToAllOp)
    pairs = ((op.dim.data, hub.before), (op.to.data, hub.after))
    joined, split = (
        Cut(name, port.local[port.names.index(name)], port.shares[port.names.index(name)], hub.places)
        for name, port in pairs
    )
    return joined, split


@dataclass(frozen=True)
class Hop:
    """Everyone splits what it has into a piece for itself and one for each send, and joins what comes in."""

    hub: Hub
    pen: Pen
    said: str
    sends: Sequence[Send]

    def piece(self, step: int, *cuts: dict[str, tuple[Size, Share | None]]) -> Port:
        """A piece sent in a step (of those that come in: from so many places back)."""
        before = self.hub.before
        parts = {name: part for cut in cuts for name, part in cut.items()}
        return part_of(before, f"{before.tensor}, {self.said}[{step}]", parts)

    def draw(
        self, value: Sources, whole: Port, made: Port, sent: Callable[[int], Port], come: Callable[[int], Port]
    ) -> Sources:
        """From `whole` to `made`; pieces by step, the 0th of which stay where they are."""
        count, places = len(self.sends), self.hub.places
        out, got = [sent(step) for step in range(count + 1)], [sent(0)]
        row = self.pen.split(value, whole, out, f"a piece for each, {self.said}")
        held: list[Sources] = [((row, 0),)]
        for step, send in enumerate(self.sends, 1):
            got.append(come(step))
            pairs = np.stack([places[:, send.senders], places[:, send.receivers]], axis=2).reshape(-1, 2)
            said = f"{self.said} {step}/{count}"
            held.append(self.pen.send(((row, step),), out[step], got[-1], pairs, send.part, said))
        return self.pen.concat(held, got, made, f"a piece of each, {self.said}")
