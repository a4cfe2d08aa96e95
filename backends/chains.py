"""Chains: the data flow cut into straight runs of operators, longest first. The first one is the spine.

A chain that only feeds another one belongs to it (an expert's up projection to its gate projection's chain), so that
what belongs together is laid out together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ..ir.deployment import EdgeKind, Link


@dataclass(frozen=True)
class Flow:
    """Data edges between rows, both ways."""

    before: dict[int, list[int]]
    after: dict[int, list[int]]

    @classmethod
    def of(cls, links: Iterable[Link]) -> Flow:
        flow = cls(defaultdict(list), defaultdict(list))
        for link in links:
            if link.kind is EdgeKind.DATA:
                flow.before[link.target].append(link.source)
                flow.after[link.source].append(link.target)
        return flow


def cut(rows: list[int], flow: Flow) -> list[list[int]]:
    """Every row in one chain; `rows` in an order in which sources come first."""
    chains, left = [], rows
    while left:
        chains.append(_longest(left, flow))
        gone = set(chains[-1])
        left = [row for row in left if row not in gone]
    return chains


def roots(chains: list[list[int]], flow: Flow) -> list[int]:
    """For each chain the position of the one it belongs to in the end; itself if it feeds the spine, the first."""
    owner = {row: at for at, chain in enumerate(chains) for row in chain}

    def root(at: int) -> int:
        fed = [owner[target] for target in flow.after[chains[at][-1]] if target in owner]
        return root(fed[0]) if fed and fed[0] not in (0, at) else at

    return [root(at) for at in range(len(chains))]


def _longest(rows: list[int], flow: Flow) -> list[int]:
    among, length, back = set(rows), {}, {}
    for row in rows:
        sources = [source for source in flow.before[row] if source in among]
        back[row] = max(sources, key=lambda source: (length[source], -source), default=None)
        length[row] = 1 + length.get(back[row], 0)
    tip, chain = max(rows, key=lambda row: (length[row], -row)), []
    while tip is not None:
        chain.append(tip)
        tip = back[tip]
    return chain[::-1]
