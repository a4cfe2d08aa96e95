"""two-hops: an all-to-all over several nodes, first across them to the member of the same place there, then inside.

    2 nodes of 4 members     across   0 → 4 all that 0 has for 4, 5, 6 and 7
                             inside   4 → 5 all that 0 and 4 have for 5

Few large messages cross the fabric where pairwise ones would be many small ones: (n - 1)/n of what a member has goes
across in n - 1 messages, (m - 1)/m of it again inside in m - 1, for n nodes of m members.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np

from ...ir import orders
from ...ir.deployment import Share
from .algorithm import Algorithm, Hub, Send
from .pairwise import Cut, Hop, ends
from .pen import Pen, Sources, part_of, scaled


class TwoHopsAllToAll(Algorithm):
    def unfit(self, hub: Hub) -> str:
        if hub.nodes is None or 1 in hub.nodes.shape:
            return "its groups do not have several members on each of several nodes, as many on each"
        dealt = [cut.name for cut in ends(hub) if cut.share and not _is_made_of_runs(cut.share)]
        return f"the parts of {dealt[0]} are dealt out one by one: several are no part" if dealt else ""

    def sends(self, hub: Hub) -> Iterator[Send]:
        yield from _across(hub)
        yield from _inside(hub)

    def draw(self, hub: Hub, pen: Pen, value: Sources) -> Sources:
        assert hub.nodes is not None
        joined, split = ends(hub)
        of_place, of_node = _union(joined, hub.nodes.T), _union(split, hub.nodes)
        own = np.arange(hub.members)
        half = part_of(hub.before, f"{hub.before.tensor}, half way", of_place.of(own) | of_node.of(own))
        first, second = (
            Hop(hub, pen, said, list(sends)) for said, sends in (("across", _across(hub)), ("inside", _inside(hub)))
        )
        value = first.draw(
            value, hub.before, half,
            lambda step: first.piece(step, joined.of(own), of_node.of(_on(hub, step, 0))),
            lambda step: first.piece(-step, joined.of(_on(hub, -step, 0)), of_node.of(own)),
        )  # fmt: skip
        return second.draw(
            value, half, hub.after,
            lambda step: second.piece(step, of_place.of(own), split.of(_on(hub, 0, step))),
            lambda step: second.piece(-step, of_place.of(_on(hub, 0, -step)), split.of(own)),
        )  # fmt: skip


def _across(hub: Hub) -> Iterator[Send]:
    assert hub.nodes is not None
    count = hub.nodes.shape[0]
    for step in range(1, count):
        yield Send(np.arange(hub.members), _on(hub, step, 0), Fraction(1, count))


def _inside(hub: Hub) -> Iterator[Send]:
    assert hub.nodes is not None
    count = hub.nodes.shape[1]
    for step in range(1, count):
        yield Send(np.arange(hub.members), _on(hub, 0, step), Fraction(1, count))


def _on(hub: Hub, nodes: int, places: int) -> np.ndarray:
    """For every member the one so many nodes and places on."""
    assert hub.nodes is not None
    moved = np.empty(hub.members, dtype=np.int64)
    moved[hub.nodes] = np.roll(hub.nodes, (-nodes, -places), axis=(0, 1))
    return moved


def _is_made_of_runs(share: Share) -> bool:
    return all(orders.runs(order, parts) is not None for parts, order in share.order)


def _union(cut: Cut, sets: np.ndarray) -> Cut:
    """The coarser cut whose parts are those of the members of a set together: positions, int64 [sets, members].

    Each member's share is the union that its set has; their order lists the parts, set by set.
    """
    share = cut.share
    assert share is not None
    ids = np.sort(share.of[cut.places[:, sets]], axis=2)
    listed, which = np.unique(ids.reshape(-1, sets.shape[1]), axis=0, return_inverse=True)
    of = np.full_like(share.of, -1)
    of[cut.places[:, sets]] = which.reshape(*ids.shape[:2], 1)
    chunks = (
        orders.indices(share.order, orders.divisor(share.order)) if share.order else np.arange(share.parts)[:, None]
    )
    table = chunks[listed].reshape(-1)
    order = () if (np.diff(table) == 1).all() else ((len(listed), orders.table(table.tolist())),)
    return replace(cut, size=scaled(cut.size, Fraction(sets.shape[1])), share=Share(len(listed), of, order))
