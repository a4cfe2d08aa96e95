"""The self-check: every rule of the contract with its verdict, what it was judged by, and nodes that show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ...codes import RULES
from ...judgement import Judgement, Standing
from .markdown import bold, code, escaped, table

HEAD = ("rule", "demands", "verdict", "judged by", "nodes")


def lines(judged: Sequence[Judgement], unread: Sequence[tuple[str, int]] = ()) -> Iterator[str]:
    """How many hold, then all: what is broken first. `unread`: files too large to be judged, with their nodes."""
    counts = Counter(each.standing for each in judged)
    others = "".join(f", {counts[one]} {one}" for one in Standing if counts[one] and one is not Standing.HOLDS)
    yield from (f"{counts[Standing.HOLDS]} of {len(judged)} rules hold{others}.", "")
    for file, nodes in unread:
        yield from (f"{code(file)} with its {nodes:,} nodes was not linted: {code('dagc lint')} does so.", "")
    order = sorted(judged, key=lambda each: each.standing is not Standing.BROKEN)
    yield from table(HEAD, map(_row, order))


def _row(each: Judgement) -> list[str]:
    verdict = str(each.standing) if each.standing is Standing.HOLDS else bold(each.standing)
    nodes = ", ".join(map(code, each.at))
    return [
        each.code,
        escaped(RULES.get(each.code, "Everything stated can be read.")),
        verdict,
        escaped(each.says),
        nodes,
    ]
