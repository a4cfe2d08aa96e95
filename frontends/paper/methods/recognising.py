"""Which mechanisms a paper describes, by the clues in what it says, and how much speaks for each.

A clue counts once, where it weighs most; not where it is turned down (`without …`), could only be (`may be …`), or is
said of other work. Of a mechanism that is found, those that it is made of are none of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from ..facts import Source
from .mechanisms import ENOUGH, Clue, Mechanism, mechanisms
from .statements import Role, Statement, says, weight

_BEFORE = 40
"""Characters before a clue in which words turn it down."""
_BESIDE = 0.7
"""A further mechanism is one of the paper's own if this much of the first one's score speaks for it."""


@dataclass(frozen=True)
class Evidence:
    """A mechanism, what its clues add up to, and where they stand, the weightiest first."""

    mechanism: Mechanism
    score: float
    sources: tuple[Source, ...]

    @property
    def enough(self) -> bool:
        return self.score >= self.mechanism.least


def recognised(statements: Collection[Statement], roles: Collection[Role], known: Collection[str]) -> list[Evidence]:
    """Mechanisms that statements of these roles describe, the likeliest first; `known` are the keys of facts. Where
    none has enough, the likeliest, if anything much speaks for it.
    """
    able = [one for one in weighed(statements, roles) if set(one.mechanism.asks) <= set(known)]
    found = [one for one in able if one.enough] or [one for one in able[:1] if one.score >= ENOUGH]
    made_of = {name for one in found for name in one.mechanism.over}
    whole = [one for one in found if one.mechanism.name not in made_of]
    return [one for one in whole if one.score >= _BESIDE * whole[0].score]


def weighed(statements: Collection[Statement], roles: Collection[Role]) -> list[Evidence]:
    """Every mechanism of which something is said, by its score."""
    found = [_evidence(mechanism, statements, roles) for mechanism in mechanisms().values()]
    return sorted((one for one in found if one.score > 0), key=lambda one: -one.score)


def _evidence(mechanism: Mechanism, statements: Collection[Statement], roles: Collection[Role]) -> Evidence:
    best = [
        max(_counts(clue, statements, roles), key=lambda pair: abs(pair[0]), default=None) for clue in mechanism.clues
    ]
    kept = sorted((pair for pair in best if pair), key=lambda pair: -pair[0])
    sources = tuple(dict.fromkeys(source for score, source in kept if score > 0))
    return Evidence(mechanism, sum(score for score, _ in kept), sources)


def _counts(clue: Clue, statements: Iterable[Statement], roles: Collection[Role]) -> Iterator[tuple[float, Source]]:
    for statement in statements:
        match = clue.says.search(statement.text)
        if match and statement.role_at(match.start()) in roles and not turned_down(statement.text, match.start()):
            yield clue.weight * weight(statement), statement.source(match.start())


def turned_down(text: str, position: int) -> bool:
    """Do the words right before a place in a clause turn down what stands there?"""
    before = text[max(0, position - _BEFORE) : position]
    return says("negated", before[max(map(before.rfind, ".;,:")) + 1 :]) is not None
