"""Columns: where across the flow each operator stands. The same in every lane.

The longest chain of operators is the spine, column 0. What is left is cut into chains again, longest first, each
straight in the nearest free column: left of the spine where its first operator is described before the spine's (q
beside k), else right. Operators whose results only steer routing (gate, top-k, counts) stand left of the spine.

    norm ─┬─ q ─ rope ───────┐           norm            column  0
          ├─ k ─ rope ─ cache┴ scores     q    k   v             -1 0 1
          └─ v ─ cache ──────── context
"""

from __future__ import annotations

from collections import defaultdict

from ..ir.deployment import EdgeKind, Link, Row
from .levels import steering

GATE = -1


class Columns:
    """Hands out columns, chain by chain. `column` is the result: row index → column."""

    def __init__(self, rows: list[Row], links: list[Link], level: dict[int, int]) -> None:
        self.level = level
        self.column: dict[int, int] = {}
        self.taken: dict[int, set[int]] = defaultdict(set)
        self.before: dict[int, list[int]] = defaultdict(list)
        self.after: dict[int, list[int]] = defaultdict(list)
        for link in links:
            if link.kind is EdgeKind.DATA:
                self.before[link.target].append(link.source)
                self.after[link.source].append(link.target)
        gate = steering(links)
        self.left = sorted((row.index for row in rows if row.index not in gate), key=lambda i: (level[i], i))
        self.spine = self._longest()
        self._assign(self.spine, 0, range(max(level.values(), default=0) + 1))
        for index in sorted(gate):
            self._settle([index], GATE, range(level[index], level[index] + 1))
        while self.left:
            self._place(self._longest())

    def _longest(self) -> list[int]:
        """The longest chain among the operators that have no column yet, without them."""
        left, best, back = set(self.left), {}, {}
        for index in self.left:
            back[index] = max((s for s in self.before[index] if s in left), key=lambda s: (best[s], -s), default=None)
            best[index] = 1 + best.get(back[index], 0)
        chain, tip = [], max(left, key=lambda i: (best[i], -i), default=None)
        while tip is not None:
            chain.append(tip)
            tip = back[tip]
        self.left = [index for index in self.left if index not in set(chain)]
        return chain[::-1]

    def _place(self, chain: list[int]) -> None:
        first, last = chain[0], chain[-1]
        fed = [self.level[s] + 1 for s in self.before[first]]
        used = [self.level[t] for index in chain for t in self.after[index]]
        extent = range(min([*fed, self.level[first]]), max([*used, self.level[last] + 1]))
        beside = next((index for index in self.spine if self.level[index] == self.level[first]), None)
        self._settle(chain, -1 if beside is not None and first < beside else 1, extent)

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
