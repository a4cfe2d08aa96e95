"""Lines of text without markup, and what is known of them beyond their characters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_GAP = re.compile(r"(?<![.!?])\s{2,}|(?<=[.!?])\s{3,}|\s?\.{4,}\s?|\s*\t\s*")
WIDEST = 500
Cell = tuple[int, int, str]
"""First and past column, text."""


@dataclass(frozen=True)
class Typed:
    """Lines; `boxes`: the cells of lines that come from a page, in points; `heads`: lines in the type of a
    heading, with its level."""

    lines: list[str]
    boxes: Mapping[int, list[Cell]] = field(default_factory=dict)
    heads: Mapping[int, int] = field(default_factory=dict)

    def is_blank(self, at: int) -> bool:
        """Whether a line is empty, or past an end."""
        return not 0 <= at < len(self.lines) or not self.lines[at].strip()

    def cells(self, at: int) -> list[Cell]:
        """The pieces of a line between wide gaps."""
        return self.boxes[at] if at in self.boxes else _cells(self.lines[at])


def _cells(line: str) -> list[Cell]:
    found, start = [], len(line) - len(line.lstrip())
    if len(line) > WIDEST:
        return [(start, len(line), line.strip())]
    for gap in _GAP.finditer(line.rstrip(), start):
        found.append((start, gap.start(), line[start : gap.start()]))
        start = gap.end()
    rest = line[start:].rstrip()
    return [*found, (start, start + len(rest), rest)] if rest else found
