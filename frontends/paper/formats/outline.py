"""Collects the blocks of a paper under their headings; formats call it in the order of the text.

outline = Outline()
outline.heading(2, "3 Setup", (4, 4))
outline.add(Kind.PROSE, "We use 16 GPUs.", (6, 6))
outline.blocks()[1].section == ("3 Setup",), .part is Part.SETUP
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ....diagnostics import Diagnostic, Refused
from ..document import Block, Kind, Part
from .grids import Row, with_header
from .parts import lead_part, parts_of

Lines = tuple[int, int]
SECTION = 2
"""The level of a paper's sections; its title is above."""
MOST_BLOCKS = 20_000
_ABSTRACT = re.compile(r"(abstract)\s*(?:[.:—–]|-(?=\S)|\s-)\s*(?=\S)", re.IGNORECASE)


@dataclass(frozen=True)
class _Above:
    level: int
    text: str


class Outline:
    """Blocks in order. `file` is set while an included file is read, and empty for the paper itself."""

    def __init__(self) -> None:
        self._above: list[_Above] = []
        self._blocks: list[Block] = []
        self.file = ""

    def heading(self, level: int, text: str, lines: Lines) -> None:
        """A heading; it closes those of its level and below."""
        text = squeezed(text)
        if not text:
            return
        while self._above and self._above[-1].level >= level:
            self._above.pop()
        self._put(Block(Kind.HEADING, text, lines))
        self._above.append(_Above(level, text))

    def add(self, kind: Kind, text: str, lines: Lines) -> None:
        """A paragraph, entry or formula. A paragraph that begins with "Abstract." opens that section."""
        text = squeezed(text)
        if kind is Kind.PROSE and (match := _ABSTRACT.match(text)):
            self.heading(SECTION, match[1], (lines[0], lines[0]))
            text = text[match.end() :]
        if text:
            self._put(Block(kind, text, lines))

    def rows(self, rows: Sequence[Row], caption: str = "") -> None:
        """A table. Its first row, unless it is data, is the header of the others; its caption stands above it."""
        with self.under(caption):
            for cells, lines, header in with_header(rows):
                self._put(Block(Kind.ROW, " | ".join(cells), lines, cells=cells, header=header))

    @contextmanager
    def under(self, text: str) -> Iterator[None]:
        """What is added meanwhile stands under `text` as under a heading, which is no block (any more)."""
        kept = list(self._above)
        if text := squeezed(text):
            self._above.append(_Above(1 + max((above.level for above in kept), default=0), text))
        yield
        self._above = kept

    def _put(self, block: Block) -> None:
        if len(self._blocks) >= MOST_BLOCKS:
            raise Refused(Diagnostic("too-large", "has more paragraphs than any paper", "", f"at most {MOST_BLOCKS:,}"))
        above = tuple(above.text for above in self._above)
        self._blocks.append(replace(block, section=above, file=self.file))

    def blocks(self) -> tuple[Block, ...]:
        """All blocks with their parts."""
        title = self._title()
        inner = [block.section + (block.text,) * (block.kind is Kind.HEADING) for block in self._blocks]
        parts = parts_of(section[1:] if title and section[:1] == (title,) else section for section in inner)
        return tuple(_placed(block, part) for block, part in zip(self._blocks, parts, strict=True))

    def _title(self) -> str:
        """The first heading, if nothing else stands on its level and others are below it."""
        tops = [block.text for block in self._blocks if block.kind is Kind.HEADING and not block.section]
        nested = any(block.kind is Kind.HEADING and block.section for block in self._blocks)
        return tops[0] if len(tops) == 1 and nested and self._blocks[0].text == tops[0] else ""


def _placed(block: Block, part: Part) -> Block:
    lead = lead_part(block.text) if block.kind in (Kind.PROSE, Kind.BULLET) else None
    stays = part is Part.SETUP and lead is Part.METHOD  # "Model architecture: 32 layers" among the settings
    return replace(block, part=part if stays else lead or part)


def squeezed(text: str) -> str:
    """Whitespace-normalised: single spaces, none at the ends; soft hyphens and zero-width characters removed."""
    return " ".join(re.sub("[\u00ad\u200b-\u200f\u2060\ufeff\x00]", "", text).split())
