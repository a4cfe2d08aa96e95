"""Tables typed with characters: columns aligned by spaces, or parted by `|`, tabs or dots.

Item            Value        → ("Item", "Value"), ("Heads", "32"), …
--------------  -----
Heads ......... 32
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .grids import Row
from .typed import WIDEST, Cell, Typed

_RULER = re.compile(r"\s*[-+=_:|─━═┼│\s]*[-=_─━═]{2}[-+=_:|─━═┼│\s]*")
_LONG = 60
"""Prose that happens to have wide gaps has longer pieces than cells."""


def table_at(page: Typed, at: int) -> tuple[list[Row], int] | None:
    """(rows with their lines, the index past the last), if a table of two rows or more begins at an index."""
    lines = page.lines
    piped = "|" in lines[at] or "│" in lines[at] or lines[at].lstrip().startswith("+-")
    return _piped(lines, at) if piped else _aligned(page, at)


def is_ruler(line: str) -> bool:
    return len(line) < WIDEST and bool(_RULER.fullmatch(line))


def _piped(lines: Sequence[str], at: int) -> tuple[list[Row], int] | None:
    rows: list[Row] = []
    end = at
    while end < len(lines) and (re.search("[|│]", lines[end]) or is_ruler(lines[end])):
        if not is_ruler(lines[end]):
            texts = re.split("[|│]", re.sub(r"^\s*[|│]|[|│]\s*$", "", lines[end]))
            if len(texts) < 2:
                break
            rows.append((tuple(" ".join(text.split()) for text in texts), (end + 1, end + 1)))
        end += 1
    return (rows, end) if len(rows) > 1 else None


def _aligned(page: Typed, at: int) -> tuple[list[Row], int] | None:
    """Rows of two cells or more, and cells that go on in the line below."""
    found: list[tuple[list[Cell], int]] = []
    end = at
    while not page.is_blank(end):
        cells = [] if is_ruler(page.lines[end]) else page.cells(end)
        if any(len(text) > _LONG for _, _, text in cells[:-1]):
            break
        if len(cells) == 1 and not (found and _continues(cells[0], found[-1][0])):
            break
        if cells:
            found.append((cells, end + 1))
        end += 1
    if sum(len(cells) > 1 for cells, _ in found) < 2:
        return None
    return _rows(found), end


def _continues(cell: Cell, above: list[Cell]) -> bool:
    """Whether a lone cell stands below one that is not the first."""
    return any(abs(cell[0] - start) <= 1 for start, _, _ in above[1:])


def _rows(found: list[tuple[list[Cell], int]]) -> list[Row]:
    starts = _columns([cell for cells, _ in found for cell in cells if len(cells) > 1])
    rows: list[Row] = []
    for cells, line in found:
        texts = [""] * len(starts)
        for first, past, text in cells:
            column = max(0, sum(start < past for start in starts) - 1) if first < past else 0
            texts[column] = f"{texts[column]} {text}".strip()
        if len(cells) == 1 and rows:
            above, (top, _) = rows.pop()
            rows.append((tuple(" ".join(filter(None, pair)) for pair in zip(above, texts, strict=True)), (top, line)))
        else:
            rows.append((tuple(texts), (line, line)))
    return rows


def _columns(cells: list[Cell]) -> list[int]:
    """Where columns begin: cells that stand above one another, by overlap, are one column."""
    starts: list[int] = []
    past = -1
    for first, end, _ in sorted(cells):
        if first >= past:
            starts.append(first)
        past = max(past, end)
    return starts
