"""Plain text → blocks: headings, lists, tables and paragraphs as people type them, parted by blank lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..document import Kind
from .hyphens import joined, words_of
from .outline import Outline
from .typed import Typed
from .typed_headings import Headings
from .typed_stacks import stacks_at
from .typed_tables import is_ruler, table_at

_BULLET = re.compile(r"\s*(?:[*+•·▪◦‣■●○–—-]|\d{1,2}[.)]|\(\d{1,2}\)|\([a-z]\)|[a-z]\))\s+(?=\S)")
_PAIR = re.compile(r"\s*[A-Z][^:=.]{0,50}\s*[:=]\s+\S")
_FORMULA = re.compile(r"\s{4,}\S.*=.*|\s*\S{1,20} = .{0,80}")
_CAPTION = re.compile(r"\s*(?:Table|TABLE|Tab\.|Figure|Fig\.)\s+[\dIVX]+\s*(?:[.:—-]|$)")
_TITLE = 200


def read(text: str, outline: Outline) -> None:
    """All blocks of a text. Its first lines, if they make no sentence, are its title."""
    read_typed(Typed(text.split("\n")), outline)


def read_typed(page: Typed, outline: Outline) -> None:
    """The same of lines whose cells and headings are known."""
    _Reader(page, outline, words_of("\n".join(page.lines))).read()


@dataclass
class _Reader:
    page: Typed
    outline: Outline
    words: frozenset[str]

    def read(self) -> None:
        self.lines = self.page.lines
        self.headings = Headings(self.page)
        self.caption = ""
        at = self._title()
        while at < len(self.lines):
            at = self._block(at) if self.lines[at].strip() else at + 1

    def _title(self) -> int:
        first = next((at for at, line in enumerate(self.lines) if line.strip()), 0)
        end = self._end(first)
        end = next((at for at in range(first + 1, end) if self.lines[at].strip().lower() == "abstract"), end)
        self.headings.below_title = end
        if first in self.page.heads:
            end = next(at for at in range(first, end + 1) if at not in self.page.heads)
        title = " ".join(" ".join(self.lines[first:end]).split())
        rest = any(line.strip() for line in self.lines[end:])
        if not rest or not 0 < len(title) < _TITLE or title.endswith((".", ":")):
            return first
        if first not in self.page.heads and self._opens(first):
            return first
        self.outline.heading(1, title, (first + 1, end))
        return end

    def _block(self, at: int) -> int:
        """Adds the block at an index; the index past it."""
        stacks = stacks_at(self.page, at) if self.page.is_blank(at - 1) else None
        if not stacks and (heading := self.headings.at(at)):
            level, text, count = heading
            self.outline.heading(level, text, (at + 1, at + count))
            return at + count
        if table := stacks or table_at(self.page, at):
            self.outline.rows(table[0], self.caption)
            self.caption = ""
            return table[1]
        if is_ruler(self.lines[at]):
            return at + 1
        if _BULLET.match(self.lines[at]):
            return self._item(at)
        return self._lone(at) or self._paragraph(at)

    def _item(self, at: int) -> int:
        """An entry of a list with the lines that it wraps to."""
        end = at + 1
        while end < len(self.lines) and self.lines[end].strip() and not self._opens(end):
            end += 1
        first = _BULLET.sub("", self.lines[at], count=1)
        self._add(Kind.BULLET, [first, *self.lines[at + 1 : end]], at, end)
        return end

    def _lone(self, at: int) -> int:
        """A formula, or one of several lines `Key: value`; 0 for other lines."""
        line = self.lines[at]
        near = [self.lines[other] for other in (at - 1, at + 1) if 0 <= other < len(self.lines)]
        if _PAIR.match(line) and any(map(_PAIR.match, near)):
            self._add(Kind.BULLET, [line], at, at + 1)
            return at + 1
        if _FORMULA.fullmatch(line) and not line.rstrip().endswith((".", ",")):
            self._add(Kind.FORMULA, [line], at, at + 1)
            return at + 1
        return 0

    def _paragraph(self, at: int) -> int:
        end = at + 1
        while end < len(self.lines) and self.lines[end].strip() and not self._opens(end):
            end += 1
        self._add(Kind.PROSE, self.lines[at:end], at, end)
        return end

    def _opens(self, at: int) -> bool:
        """Whether a line begins a block of its own without a blank line above."""
        if _BULLET.match(self.lines[at]) or _CAPTION.match(self.lines[at]):
            return True
        return bool(Headings(self.page).at(at)) or table_at(self.page, at) is not None

    def _end(self, at: int) -> int:
        """The next blank line, or the end."""
        return next((end for end in range(at, len(self.lines)) if not self.lines[end].strip()), len(self.lines))

    def _add(self, kind: Kind, lines: Sequence[str], at: int, end: int) -> None:
        text = joined(lines, self.words)
        self.caption = text if _CAPTION.match(text) and len(text) < _TITLE else ""
        self.outline.add(kind, text, (at + 1, end))
