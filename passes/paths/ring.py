"""ring: every member sends to the next one only, p - 1 times the p-th part of the payload.

all-gather        a part goes round, step by step, until everyone has all
reduce-scatter    part c starts at member c + 1 and goes round to c; on its way every member adds its addend
all-reduce        the one, then the other: 2 (p - 1) steps, 2 (p - 1)/p of the value sent by everyone
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ...ir.deployment import Port, Share, Size
from ...ir.ops import UNORDERED
from ...ir.ops.move import AllGatherOp, ReduceScatterOp
from ...ir.orders import CONTIGUOUS, unequal
from .algorithm import Algorithm, Hub, Send
from .pen import Pen, Sources, owing, part_of, share_of


class Ring(Algorithm):
    """Base of the three: `rounds` of p - 1 steps."""

    rounds = 1

    def unfit(self, hub: Hub) -> str:
        return ""

    def sends(self, hub: Hub) -> Iterator[Send]:
        members = np.arange(hub.members)
        part = Fraction(1, hub.members)
        yield Send(members, np.roll(members, -1), part, self.rounds * (hub.members - 1))


class RingAllGather(Ring):
    def draw(self, hub: Hub, pen: Pen, value: Sources) -> Sources:
        op = hub.op
        assert isinstance(op, AllGatherOp)
        return gather(hub, pen, value, hub.before, op.dim.data)


class RingReduceScatter(Ring):
    def draw(self, hub: Hub, pen: Pen, value: Sources) -> Sources:
        op = hub.op
        assert isinstance(op, ReduceScatterOp)
        return scatter(hub, pen, value, hub.after, op.dim.data)


class RingAllReduce(Ring):
    """Along the first dimension that divides into a part for every member."""

    rounds = 2

    def unfit(self, hub: Hub) -> str:
        members = hub.members
        return "" if _divisible(hub.after, members) else f"no dimension of it divides into {members} equal parts"

    def draw(self, hub: Hub, pen: Pen, value: Sources) -> Sources:
        name = _divisible(hub.after, hub.members)
        part = _part(hub, name)
        return gather(hub, pen, scatter(hub, pen, value, part, name), part, name)


def _divisible(port: Port, members: int) -> str:
    """The first dimension whose local size is a multiple; rows without a fixed order are not cut finer."""
    shares = port.shares or (None,) * len(port.names)
    for name, size, share in zip(port.names, port.local, shares, strict=True):
        equal = share is None or not unequal(share.order)
        if isinstance(size, int) and size % members == 0 and equal and name not in UNORDERED:
            return name
    return ""


def _part(hub: Hub, name: str) -> Port:
    """What every member has of the value between the two halves of an all-reduce: the part of its position."""
    port, members = hub.after, hub.members
    axis = port.names.index(name)
    size, share = port.local[axis], port.shares[axis]
    assert isinstance(size, int)
    of = np.full(hub.gpus, -1, dtype=np.int64)
    of[hub.places] = np.arange(members) if share is None else share.of[hub.places] * members + np.arange(members)
    order = (*share.order, (members, CONTIGUOUS)) if share is not None and share.order else ()
    cut = Share(members * (share.parts if share else 1), of, order)
    return part_of(port, f"{port.tensor}.part", {name: (size // members, cut)})


def gather(hub: Hub, pen: Pen, value: Sources, own: Port, name: str) -> Sources:
    """From `own`, each member's part along a dimension, to the value after."""
    members = hub.members
    axis, (ports, held) = own.names.index(name), ([own], [value])
    size, share = own.local[axis], own.shares[axis]
    for step in range(1, members):
        whose = (np.arange(members) - step) % members
        got = part_of(own, f"{own.tensor}[{-step}]", {name: (size, share_of(share, hub.places, whose))})
        held.append(pen.send(held[-1], ports[-1], got, ring(hub), Fraction(1, members), f"gather {step}/{members - 1}"))
        ports.append(got)
    return pen.concat(held, ports, hub.after, "the parts gathered")


def scatter(hub: Hub, pen: Pen, value: Sources, own: Port, name: str) -> Sources:
    """From addends to `own`, each member's part along a dimension of what they merge to."""
    members, before = hub.members, hub.before
    position = np.arange(members)
    behind = (position[:, None] - position) % members

    def port(tensor: str, step: int, has: np.ndarray) -> Port:
        """Of the part that is so many steps on its way, with the addends of these members."""
        axis, whose = own.names.index(name), (position - 1 - step) % members
        cut: tuple[Size, Share | None] = own.local[axis], share_of(own.shares[axis], hub.places, whose)
        return owing(part_of(before, f"{before.tensor}{tensor}", {name: cut}), hub.places, has)

    addends = [port(f"[{step}]", step, behind == 0) for step in range(members)]
    row = pen.split(value, before, addends, f"a part for each of {members}")
    held, have = ((row, 0),), addends[0]
    for step in range(1, members):
        said = f"reduce {step}/{members - 1}"
        got = port(f".{step}", step, (behind > 0) & (behind <= step))
        sent = pen.send(held, have, got, ring(hub), Fraction(1, members), said)
        have = own if step == members - 1 else port(f".{step}+", step, behind <= step)
        held = pen.merge((sent, ((row, step),)), (got, addends[step]), have, hub.places, said)
    return held


def ring(hub: Hub) -> np.ndarray:
    """Every member and the next: int64 [groups · members, 2]."""
    return np.stack([hub.places, np.roll(hub.places, -1, axis=1)], axis=2).reshape(-1, 2)
