"""Columns: where across the flow each operator stands. The same in every lane.

The spine, the longest chain of operators, is column 0. The other chains stand straight in the nearest free column, left
of the spine where they are described before its operator beside them (q beside k), else right; short ones nearest, so
that edges nest instead of crossing. Operators that only steer routing (gate, top-k, counts) stand left of the spine.

    norm ─┬─ q ─ rope ───────┐           norm            column  0
          ├─ k ─ rope ─ cache┴ scores     q    k   v             -1 0 1
          └─ v ─ cache ──────── context
"""

from __future__ import annotations

from collections import defaultdict

from ..ir.deployment import Link, Row
from .chains import Flow, cut, roots
from .levels import steering

GATE = -1


class Columns:
    """Hands out columns, chain by chain. `column` is the result: row index → column."""

    def __init__(self, rows: list[Row], links: list[Link], level: dict[int, int]) -> None:
        self.level, self.flow = level, Flow.of(links)
        self.column: dict[int, int] = {}
        self.taken: dict[int, set[int]] = defaultdict(set)
        gate = steering(links)
        flowing = sorted((row.index for row in rows if row.index not in gate), key=lambda i: (level[i], i))
        chains = cut(flowing, self.flow) or [[]]
        self.beside = {level[index]: index for index in chains[0]}
        self._assign(chains[0], 0, range(max(level.values(), default=0) + 1))
        for index in sorted(gate):
            self._settle([index], GATE, range(level[index], level[index] + 1))
        for chain in self._in_order(chains):
            first = chain[0]
            self._settle(chain, -1 if first < self.beside.get(level[first], 0) else 1, self._extent(chain))

    def _in_order(self, chains: list[list[int]]) -> list[list[int]]:
        """Short chains first, each with those that belong to it."""
        root = roots(chains, self.flow)
        keys = {
            at: (len(self._extent(chains[root[at]])), chains[root[at]][0], root[at] != at, chains[at][0])
            for at in range(1, len(chains))
        }
        return [chains[at] for at in sorted(keys, key=lambda at: keys[at])]

    def _extent(self, chain: list[int]) -> range:
        """The levels that a chain and the edges to and from it pass."""
        first, last = chain[0], chain[-1]
        fed = [self.level[source] + 1 for source in self.flow.before[first]]
        used = [self.level[target] for index in chain for target in self.flow.after[index]]
        return range(min([*fed, self.level[first]]), max([*used, self.level[last] + 1]))

    def _settle(self, chain: list[int], side: int, extent: range) -> None:
        """The nearest column on a side that is free all along the extent."""
        column = side
        while any(column in self.taken[level] for level in extent):
            column += side
        self._assign(chain, column, extent)

    def _assign(self, chain: list[int], column: int, extent: range) -> None:
        self.column |= dict.fromkeys(chain, column)
        for level in extent:
            self.taken[level].add(column)
