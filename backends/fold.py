"""Fold: rows of one operator, of GPUs that hold parts of other sizes, stand in the same place of their lanes.

q_proj of GPUs 0-3, q_proj of GPUs 4-11      one level, one column; their edges run alike
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..ir.deployment import Link, Row


@dataclass(frozen=True)
class Fold:
    """What is laid out: the first row of every operator, and a link of each kind between two of them.

    `like`: per row the one it stands like. `link`: per link that is drawn the position of the one it runs like.
    """

    rows: list[Row]
    links: list[Link]
    like: dict[int, int]
    link: list[int]

    @staticmethod
    def of(rows: list[Row], links: list[Link]) -> Fold:
        """What communicates or is on the host stands for itself: it has a level of its own."""
        like = _likes(rows)
        places: dict[object, int] = {}
        kept: list[Link] = []
        link: list[int] = []
        for each in links:
            folded = replace(each, source=like[each.source], target=like[each.target])
            key = folded.source, folded.target, folded.input, folded.kind
            if key not in places:
                places[key] = len(kept)
                kept.append(folded)
            link.append(places[key])
        return Fold([row for row in rows if like[row.index] == row.index], kept, like, link)

    def all(self, found: Mapping[int, int]) -> dict[int, int]:
        """What was found of the rows laid out, of all rows."""
        return {index: found[like] for index, like in self.like.items()}


def _likes(rows: list[Row]) -> dict[int, int]:
    """Per row the first of its operator that shares no GPU with it, nor with others that stand like that one."""
    like: dict[int, int] = {}
    standing: dict[object, list[tuple[int, set[int]]]] = defaultdict(list)
    several = Counter(id(row.operator) for row in rows)
    for row in rows:
        like[row.index] = row.index
        if row.operator is not None and several[id(row.operator)] > 1 and row.move is None and not row.on_host:
            gpus = set(row.gpus.tolist())
            found = next((each for each in standing[id(row.operator)] if each[1].isdisjoint(gpus)), None)
            if found is None:
                standing[id(row.operator)].append((row.index, gpus))
            else:
                like[row.index] = found[0]
                found[1].update(gpus)
    return like
