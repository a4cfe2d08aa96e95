"""Wording: the labels of all nodes of a row. What is alike is worded once, what only the place decides node by node."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir.deployment import Experts, Row
from .labels import head_lines, place_lines, spread_lines, tail_lines
from .quoting import label_text
from .who import Who

_BREAK = "\\n"


@dataclass(frozen=True)
class Label:
    """Escaped text of quoted labels, `places` for each node; `lines` are those of the largest, to measure."""

    before: str
    places: list[str]
    after: str
    lines: list[str]


def label_of(row: Row, people: Who, width: int, merged: bool) -> Label:
    """Word a row for its nodes; in a merged view its one node stands for all places of `row`."""
    head, tail = head_lines(row, width), tail_lines(row, width)
    places, largest = _places(people.said, width)
    if row.spread and merged:
        first, last = row.spread.ends if isinstance(row.spread, Experts) else (row.spread[0], row.spread[-1])
        tail = [*spread_lines(first, last, width), *tail]
    elif row.spread:
        worded = {text: spread_lines(text, text, width) for text in dict.fromkeys(row.spread)}
        endings = {text: _BREAK + _joined(lines) for text, lines in worded.items()}
        places = [place + endings[text] for place, text in zip(places, row.spread, strict=True)]
        largest = [*largest, *max(worded.values(), key=lambda lines: (len(lines), *map(len, lines)))]
    after = "".join(_BREAK + label_text(line) for line in tail)
    return Label(_joined(head) + _BREAK, places, after, [*head, *largest, *tail])


def _places(said: list[str], width: int) -> tuple[list[str], list[str]]:
    """The lines that say which GPUs, and those of the longest: rarely more than one, and nothing in them to escape."""
    largest = place_lines(max(said, key=len), width)
    if len(largest) == 1:
        return [f"GPU: {text}" for text in said], largest
    return [_BREAK.join(place_lines(text, width)) for text in said], largest


def _joined(lines: list[str]) -> str:
    return _BREAK.join(map(label_text, lines))
