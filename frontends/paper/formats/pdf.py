"""PDF → lines of text as a person types them, with the boxes of their cells; `plain` reads those.

Paragraphs are parted by empty lines: where the distance grows, a first line is indented, or the type changes. Page
numbers, and what stands at the head or foot of most pages, are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from .glyphs import pages_of
from .outline import squeezed
from .pages import Line, lines_of
from .typed import Cell, Typed

_SPREAD = 1.35
"""Lines so many times farther apart than most are of two paragraphs."""
_RULED = 2.2
"""The same of two rows of a table, which may have a rule between them."""
_HEAD = 1.7
"""Font sizes between the lines of two headings, at least."""
_ENDS = (".", ":", "?", "!")
_CAPTION = re.compile(r"(?:Table|TABLE|Figure|Fig\.)\s+[\dIVX]+\s*[.:]")
_NUMBER = re.compile(r"(?:page )?\d{1,4}(?: (?:of|/) \d{1,4})?", re.IGNORECASE)


def typed(data: bytes) -> tuple[Typed, list[int]]:
    """The text of a PDF, and the numbers of the pages that have none."""
    pages = [lines_of(words, width) for width, words in pages_of(data)]
    sizes = [line.size for page in pages for column in page for line in column for _ in line.words]
    typist = _Typist(median(sizes) if sizes else 0)
    margins = _margins(pages)
    for page in pages:
        for column in page:
            typist.column([line for line in column if not _is_margin(line, page, margins)])
    return Typed(typist.lines, typist.boxes, typist.levels()), [
        number for number, page in enumerate(pages, 1) if not page
    ]


@dataclass
class _Typist:
    """Types column after column. `body`: the font size of most words."""

    body: float
    lines: list[str] = field(default_factory=list)
    boxes: dict[int, list[Cell]] = field(default_factory=dict)
    heads: dict[int, float] = field(default_factory=dict)
    """Lines in the type of a heading, with its size."""

    def column(self, column: Sequence[Line]) -> None:
        usual = median([above.base - below.base for above, below in pairwise(column)] or [self.body])
        left = min((line.x0 for line in column), default=0)
        for above, line in pairwise([None, *column]):
            if line is None:
                continue
            if self._begins(line) if above is None else self._parts(above, line, usual, left):
                self.lines.append("")
            if _is_head(line, self.body):
                self.heads[len(self.lines)] = round(2 * line.size) / 2
            self.boxes[len(self.lines)] = line.cells
            self.lines.append(line.text)

    def levels(self) -> dict[int, int]:
        """The level of each heading: the title's size is 1, others follow by size."""
        title = next(iter(self.heads.values()), 0)
        sizes = sorted(set(self.heads.values()) - {title}, reverse=True)
        return {at: 1 if size == title else 2 + sizes.index(size) for at, size in self.heads.items()}

    def _begins(self, line: Line) -> bool:
        """Whether a paragraph begins at the head of a column: it goes on unless a sentence has ended."""
        ended = not self.lines or self.lines[-1].endswith(_ENDS)
        return bool(self.lines) and (ended or _is_head(line, self.body) or bool(_CAPTION.match(line.text)))

    def _parts(self, above: Line, line: Line, usual: float, left: float) -> bool:
        """Whether a paragraph ends above a line."""
        spread = _SPREAD if min(len(above.cells), len(line.cells)) < 2 else _RULED
        if _is_head(line, self.body) and _is_head(above, self.body):
            return abs(above.size - line.size) > 0.5 or above.base - line.base > _HEAD * line.size
        if above.base - line.base > spread * usual or _is_head(above, self.body) != _is_head(line, self.body):
            return True
        indented = line.x0 - above.x0 > 0.8 * line.size and above.x0 - left < 0.5 * line.size
        return indented and len(line.cells) == 1 and above.text.endswith(_ENDS)


def _is_head(line: Line, body: float) -> bool:
    """Larger than the text, or bold, and short enough."""
    return (line.size > 1.12 * body or line.bold) and len(line.text) < 100 and bool(re.search("[A-Za-z]{3}", line.text))


def _margins(pages: Sequence[Sequence[Sequence[Line]]]) -> set[str]:
    """Texts at the head or foot of three pages or more, their numbers aside."""
    ends = (text for page in pages for text in {_sameness(line) for line in _ends(page)})
    return {text for text, count in Counter(ends).items() if count > 2}


def _ends(page: Sequence[Sequence[Line]]) -> Iterator[Line]:
    lines = sorted((line for column in page for line in column), key=lambda line: line.base)
    yield from {id(line): line for line in [*lines[:2], *lines[-2:]]}.values()


def _sameness(line: Line) -> str:
    return re.sub(r"\d+", "#", squeezed(line.text))


def _is_margin(line: Line, page: Sequence[Sequence[Line]], margins: set[str]) -> bool:
    at_end = any(line is end for end in _ends(page))
    return at_end and (bool(_NUMBER.fullmatch(line.text.strip())) or _sameness(line) in margins)
