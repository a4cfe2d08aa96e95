"""Headings in a text without markup: numbered, underlined, in capitals, lettered, or lone lines of known words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .parts import known
from .typed import Typed

_NUMBERED = re.compile(r"\s{0,8}(?P<number>\d{1,2}(?:\.\d{1,2}){0,3})(?P<dot>[.)]?)\s+(?P<text>[A-Z][^=|]{1,90})")
_LETTERED = re.compile(r"\s*(?:[A-Z]|[IVX]{1,5})\.\s+[A-Z][^=|]{1,80}")
_UNDERLINE = re.compile(r"\s*([=~^*#-])\1{2,}\s*")
_END = (".", ",", ";", "?", "!")


@dataclass
class Headings:
    """Finds headings in order; remembers the last section number, so that "16 H100 GPUs" is none."""

    page: Typed
    last: tuple[int, ...] = (0,)
    below_title: int = 0
    """The line under the title, where a heading needs no empty line above."""
    underlines: list[str] = field(default_factory=list)

    def at(self, index: int) -> tuple[int, str, int] | None:
        """(level, text, number of lines) of the heading at an index, or None."""
        line = self.page.lines[index].strip()
        open_ = index == self.below_title or self.page.is_blank(index - 1) or index - 1 in self.page.heads
        if not line or len(line) > 120 or not open_:
            return None
        underline = _UNDERLINE.fullmatch(self.page.lines[index + 1]) if index + 1 < len(self.page.lines) else None
        if underline and len(self.page.cells(index)) == 1:
            return self._numbered(index) or self._underlined(underline[1]), line, 2
        if index in self.page.heads:
            return self._set(index)
        level = 0 if line.endswith(_END) else self._numbered(index) or self._plain(index, line)
        return (level, line.rstrip(":"), 1) if level else None

    def _set(self, index: int) -> tuple[int, str, int]:
        """A heading by its type, over one line or two."""
        count = 1 + (index + 1 in self.page.heads and not self._numbered(index + 1))
        text = " ".join(" ".join(self.page.lines[index : index + count]).split())
        return self._numbered(index) or self.page.heads[index], text.rstrip(":"), count

    def _underlined(self, character: str) -> int:
        """Kinds of underlines are levels in the order in which they are met."""
        if character not in self.underlines:
            self.underlines.append(character)
        return 2 + self.underlines.index(character)

    def _numbered(self, index: int) -> int:
        match = _NUMBERED.fullmatch(self.page.lines[index].rstrip())
        if match is None or re.search(r"\s{3,}", match["text"]) or (match["dot"] and not self._alone(index)):
            return 0
        number = tuple(map(int, match["number"].split(".")))
        if not (self._follows(number) or known(match["text"])):
            return 0
        self.last = number
        return 1 + len(number)

    def _follows(self, number: tuple[int, ...]) -> bool:
        """Whether a section number comes after the last: 3 after 2.4, 3.1 after 3."""
        *above, lowest = number
        return lowest <= 1 if self.last[: len(number)] == tuple(above) else number == self._next(len(number))

    def _next(self, depth: int) -> tuple[int, ...]:
        head = self.last[:depth]
        return (*head[:-1], head[-1] + 1) if len(head) == depth else ()

    def _plain(self, index: int, line: str) -> int:
        """The level of a line in capitals or of known words, 0 for any other."""
        alone = self._alone(index) or (len(line.split()) < 4 and self._before_another(index))
        if len(self.page.cells(index)) > 1 or "=" in line or "|" in line:
            return 0
        if line.upper() == line and re.search(r"[A-Z]{5}", line):
            return 2
        if alone and _LETTERED.fullmatch(line) and len(line.split()) < 9:
            return 3
        few = len(line.split()) < 7 and line[0].isupper() and not re.search(r":\s", line)
        return 2 if few and (alone or line.endswith(":")) and known(line) and not self._among_cells(index) else 0

    def _among_cells(self, index: int) -> bool:
        """Whether a line is one of three or more that stand alone and short, as cells do in text from a PDF."""
        alone = 1
        for step in (-2, 2):
            at = index + step
            while self._is_cell(at) and alone < 3:
                alone, at = alone + 1, at + step
        return alone > 2

    def _is_cell(self, index: int) -> bool:
        if self.page.is_blank(index) or not (self.page.is_blank(index - 1) and self.page.is_blank(index + 1)):
            return False
        return len(self.page.lines[index]) < 48 and not self.page.lines[index].rstrip().endswith((".", ":"))

    def _alone(self, index: int) -> bool:
        """Whether a blank line, or an underline, follows."""
        return self.page.is_blank(index + 1) or bool(_UNDERLINE.fullmatch(self.page.lines[index + 1]))

    def _before_another(self, index: int) -> bool:
        """Whether the next line is of a paragraph, or the only other of its block."""
        following = self.page.lines[index + 1].strip() if index + 1 < len(self.page.lines) else ""
        is_longer = len(following) > 2 * len(self.page.lines[index].strip()) and len(following) > 30
        return following[:1].isupper() and (is_longer or self.page.is_blank(index + 2))
