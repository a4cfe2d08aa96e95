"""Words of a page → lines in the order of reading: columns one after the other, gaps between cells kept.

left column    |  right column          a word that crosses the gutter is of a line over both columns,
goes first     |  then this one         and what stands above that line is read before it
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median

from .glyphs import Word

CELL = 0.95
"""A gap of so many font sizes parts two cells; between words, even of justified lines, it is less."""
GUTTER = 0.6
"""A gap of so many font sizes, at least, is between columns."""
_SAME = 0.45
_LEAST = 3
"""Rows that show that there are two columns."""
_FEW = 0.35
_WIDE = 0.2


@dataclass(frozen=True)
class Line:
    """Words on one baseline, from left to right."""

    words: tuple[Word, ...]

    @property
    def base(self) -> float:
        return max(self.words, key=lambda word: word.size).base

    @property
    def size(self) -> float:
        return max(word.size for word in self.words)

    @property
    def x0(self) -> float:
        return self.words[0].x0

    @property
    def text(self) -> str:
        return "   ".join(text for _, _, text in self.cells)

    @property
    def bold(self) -> bool:
        return all(word.bold or not any(map(str.isalpha, word.text)) for word in self.words)

    @property
    def cells(self) -> list[tuple[int, int, str]]:
        """(left, right, text) of the pieces between wide gaps, in points."""
        pieces: list[list[Word]] = [[self.words[0]]]
        for before, word in pairwise(self.words):
            if word.x0 - before.x1 > CELL * max(before.size, word.size):
                pieces.append([])
            pieces[-1].append(word)
        return [
            (
                round(piece[0].x0),
                max(round(piece[0].x0) + 1, round(piece[-1].x1)),
                " ".join(word.text for word in piece),
            )
            for piece in pieces
        ]


def lines_of(words: Sequence[Word], width: float) -> list[list[Line]]:
    """The lines of a page, a list for each column or stretch over both, in the order of reading."""
    rows = _rows(words)
    gutter = _gutter(rows, width)
    if gutter is None:
        return [rows] if rows else []
    across = {id(row) for row in rows if _crosses(row, gutter)}
    stretches = groupby(rows, key=lambda row: id(row) in across)
    return [column for whole, stretch in stretches for column in _columns(list(stretch), gutter, whole) if column]


def _columns(rows: list[Line], gutter: float, whole: bool) -> Iterator[list[Line]]:
    if whole:
        yield rows
        return
    words = [word for row in rows for word in row.words]
    yield _rows([word for word in words if word.x1 <= gutter])
    yield _rows([word for word in words if word.x1 > gutter])


def _rows(words: Sequence[Word]) -> list[Line]:
    """Words by baseline, from the top."""
    rows: list[list[Word]] = []
    for word in sorted(words, key=lambda word: -word.base):
        if rows and rows[-1][0].base - word.base < _SAME * max(word.size, rows[-1][0].size):
            rows[-1].append(word)
        else:
            rows.append([word])
    return [Line(tuple(sorted(row, key=lambda word: word.x0))) for row in rows]


def _gutter(rows: Sequence[Line], width: float) -> float | None:
    """Where columns part: the place near the middle that the fewest rows cross, if they are few; None of one column."""
    both = [row for row in rows if row.x0 < 0.45 * width and row.words[-1].x1 > 0.55 * width]
    if len(both) < _LEAST:
        return None
    places = [width * (0.4 + 0.002 * step) for step in range(101)]
    crossed = [sum(_crosses(row, place) for row in both) for place in places]
    fewest = min(crossed)
    best = median([place for place, count in zip(places, crossed, strict=True) if count == fewest])
    return best if fewest < _FEW * len(both) and _is_wide(both, best, width) else None


def _is_wide(rows: Sequence[Line], place: float, width: float) -> bool:
    """Whether most lines fill their columns, which the cells of a table do not."""
    parted = [row for row in rows if not _crosses(row, place)]
    lefts = [max(word.x1 for word in row.words if word.x1 <= place + 1) - row.x0 for row in parted]
    rights = [row.words[-1].x1 - min(word.x0 for word in row.words if word.x1 > place + 1) for row in parted]
    return min(median(lefts), median(rights)) > _WIDE * width


def _crosses(row: Line, place: float) -> bool:
    """Whether a row goes on over a place: a word stands there, or a gap no wider than between words."""
    if row.words[0].x0 >= place or row.words[-1].x1 <= place:
        return False
    gap = next(((a, b) for a, b in pairwise(row.words) if a.x1 <= place <= b.x0), None)
    return gap is None or gap[1].x0 - gap[0].x1 < GUTTER * max(gap[0].size, gap[1].size)
