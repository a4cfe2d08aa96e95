"""A paper as statements: clauses and rows, each of the baseline, the proposal, both or neither.

    ### Baseline: TP=8, PP=2                              baseline, and so is all below it
    | Layer-wise, balanced | 16 | 15,300 |                proposed: a row of a table that has one of the baseline
    If an expert is too large it may be split …           hedged: not what is done
    it improves throughput by 30% over TP=8, PP=2         neutral; what follows `over` is the baseline's

Which words say so is in `tables/roles.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from ..document import Block, Document, Kind, Part
from ..facts import Source
from ..lexicon.quoting import source
from .patterns import pattern, table

_QUOTED = 120
"""Characters of a statement that are quoted at most."""


_NUMBERED = re.compile(r"(?:\d+(?:\.\d+)*[.):]?|[IVX]+[.):]|[A-Z](?:\.\d+)*[.):])\s+(?=[A-Z][a-z])")
"""The number of a heading: of "3 Context Parallel Inference" no degree."""
_LEAD = 3
"""Words of a heading in the line."""


class Role(StrEnum):
    BASELINE = "baseline"
    PROPOSED = "proposed"
    NEUTRAL = "neutral"
    HEDGED = "hedged"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Statement:
    """One clause of a block. `than` is where the text turns to what is compared with; its length where it does not."""

    text: str
    role: Role
    than: int
    block: Block
    document: Document

    def source(self, start: int = 0, end: int | None = None) -> Source:
        """Where a part of the text stands."""
        return source(self.document, self.block, self.text[start:end][:_QUOTED])

    def role_at(self, position: int) -> Role:
        return Role.BASELINE if position >= self.than and self.role is Role.NEUTRAL else self.role


def statements_of(document: Document) -> list[Statement]:
    """All statements of a document, in order."""
    return [made for block in document.blocks for made in _statements(document, block)]


def says(what: str, text: str) -> re.Match[str] | None:
    """The first of the words of a kind in `tables/roles.yaml` that stand in a text."""
    found = [match for one in _words(what) if (match := one.search(text))]
    return min(found, key=lambda match: match.start(), default=None)


@cache
def _words(what: str) -> tuple[re.Pattern[str], ...]:
    return tuple(map(pattern, table("roles.yaml")[what]))


def _statements(document: Document, block: Block) -> Iterator[Statement]:
    heading = above = _heading_role(block)
    for text in _clauses(block):
        above = heading if _is_lead(text) else above
        role = _role(block, text, above)
        above = role if _is_lead(text) else above
        turn = says("than", text)
        yield Statement(text, role, turn.end() if turn else len(text) + 1, block, document)


def _heading_role(block: Block) -> Role:
    """What the headings above say, the innermost first."""
    for heading in reversed(block.section[1:]):
        if says("elsewhere", heading):
            return Role.ELSEWHERE
        if says("baseline", heading):
            return Role.BASELINE
        if says("proposed", heading):
            return Role.PROPOSED
    return Role.NEUTRAL


def _role(block: Block, text: str, above: Role) -> Role:
    if block.kind is Kind.ROW:
        return _row_role(block, above)
    if above in (Role.ELSEWHERE, Role.BASELINE) and block.kind is not Kind.HEADING:
        return Role.PROPOSED if says("proposed", text) and not says("baseline", text) else above
    if says("hedged", text):
        return Role.HEDGED
    if says("baseline", text):
        return Role.BASELINE
    return Role.PROPOSED if says("proposed", text) else above


def _row_role(block: Block, above: Role) -> Role:
    """A row whose label names the baseline, or ours."""
    label = " ".join(block.cells[:2])
    if says("baseline", label):
        return Role.BASELINE
    return Role.PROPOSED if says("proposed", label) else above


def _is_lead(text: str) -> bool:
    """Is a clause a heading in the line: "Baselines. vLLM with TP=8"?"""
    return len(text.split()) <= _LEAD and text.endswith(".")


def _clauses(block: Block) -> list[str]:
    if block.kind is Kind.HEADING:
        return [_NUMBERED.sub("", block.text)]
    if block.kind in (Kind.ROW, Kind.FORMULA):
        return [block.text or " | ".join(block.cells)]
    whole = re.sub(r"\b(e\.g|i\.e|cf|Fig|Sec|Eq|resp|vs|approx)\.", r"\1", block.text)
    parts = re.split(r"(?<=[.!?;])\s+(?=\S)", whole)
    return [part.strip() for part in parts if part.strip()]


def weight(statement: Statement) -> float:
    """How much what a statement says counts for what the paper is about: headings and methods most."""
    if statement.block.kind is Kind.HEADING:
        return 1.5
    return {Part.METHOD: 1.25, Part.SETUP: 1.25}.get(statement.block.part, 1.0)
