"""As many findings as a reader can use: so many of every code and file, and how many more there are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from ...diagnostics import Diagnostic
from .place import place_of

Group = tuple[str, str]
"""A file and a code."""


def few(found: Sequence[Diagnostic], most: int) -> list[tuple[Group, list[Diagnostic], int]]:
    """Findings by file and code, in the order of the first of each: at most so many, and how many are left out.

    >>> [(len(kept), left) for _, kept, left in few([Diagnostic("DAG1", "a cycle", "a.dot:4")] * 5, 2)]
    [(2, 3)]
    """
    groups: dict[Group, list[Diagnostic]] = defaultdict(list)
    counts: Counter[Group] = Counter()
    for each in found:
        group = (place_of(each).file, each.code)
        counts[group] += 1
        if counts[group] <= most:
            groups[group].append(each)
    return [(group, kept, counts[group] - len(kept)) for group, kept in groups.items()]
