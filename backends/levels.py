"""Levels: how far along the flow each operator stands. The same in every lane.

An operator stands one level behind the last of its sources. Communication, and what the host does, has a level of its
own, so that a bus across all lanes passes no node; what only steers routing goes before the tokens it routes.
"""

from __future__ import annotations

from collections import defaultdict
from graphlib import TopologicalSorter

from ..ir.deployment import EdgeKind, Link, Row


def levels(rows: list[Row], links: list[Link]) -> dict[int, int]:
    """Row index → level, from 0 without holes."""
    sources: dict[int, list[int]] = {row.index: [] for row in rows}
    for link in links:
        sources[link.target].append(link.source)
    rank: dict[int, int] = {}
    for index in TopologicalSorter(sources).static_order():
        rank[index] = max((rank[source] + 1 for source in sources[index]), default=0)
    first = steering(links)
    keys = {row.index: (rank[row.index], *_turn(row, first)) for row in rows}
    places = {key: level for level, key in enumerate(sorted(set(keys.values())))}
    return {index: places[key] for index, key in keys.items()}


def steering(links: list[Link]) -> set[int]:
    """Operators whose every result is a selection: gate, its softmax, top-k, counts and their exchange."""
    kinds: dict[int, set[EdgeKind]] = defaultdict(set)
    for link in links:
        kinds[link.source].add(link.kind)
    return {index for index, found in kinds.items() if found == {EdgeKind.SELECT}}


def _turn(row: Row, first: set[int]) -> tuple[int, bool, int]:
    """Among operators of one rank: computation all at once, then one by one what has a level of its own."""
    alone = row.move is not None or row.on_host
    return (1, row.index not in first, row.index) if alone else (0, False, 0)
