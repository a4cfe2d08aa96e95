"""Which of several models the words of a sentence are about: the one that is named last before them.

"Llama-3.1-8B (32 layers) and Llama-3.1-70B (80 layers)"          two published models
"The small model has 24 layers of width 1024; the large model …"  two models of the paper's own
"a 4-layer variant of Mixtral 8x7B"                               what follows
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .references import references
from .vocabulary import pattern, vocabulary

_FOLLOWS = re.compile(r"[^,.;()]{0,30}\b(?:variant|version|copy|model|excerpt)s? of [^,.;()]{0,12}")
_GOES_ON = re.compile(r"(?:It|Its|This|That|The (?:model|network))\b")
"""How a sentence begins that is about the model of the one before."""


@dataclass(frozen=True)
class Subject:
    """A model that a text names at `start`."""

    label: str
    start: int


def subjects(text: str, before: list[Subject]) -> list[Subject]:
    """All models that a text names, in order; those of the sentence before if it goes on about them."""
    found = [Subject(reference.name, reference.start) for reference in references(text)]
    for match in pattern(*vocabulary().models).finditer(text):
        label = next(filter(None, match.groupdict().values()))
        found.append(Subject(re.sub(r"[\s_-]+", " ", label).strip().casefold(), match.start()))
    if not found and _GOES_ON.match(text):
        return [Subject(subject.label, 0) for subject in before[-1:]]
    return sorted(found, key=lambda subject: subject.start)


def subject_at(text: str, found: list[Subject], start: int, end: int) -> str:
    """The one named last before some words, or directly behind them, or the only one."""
    following = next((subject for subject in found if subject.start >= end), None)
    if following and _FOLLOWS.fullmatch(text, end, following.start):
        return following.label
    before = [subject.label for subject in found if subject.start <= start]
    if before:
        return before[-1]
    return found[0].label if len({subject.label for subject in found}) == 1 else ""


def platform_at(text: str, start: int) -> str:
    """The cluster, of several, that is named last before a place ("Platform A: …")."""
    named = [match[0] for match in pattern(vocabulary().platforms).finditer(text) if match.start() <= start]
    return named[-1] if named else ""
