"""Tables whose columns follow one another, as text taken from a PDF has them.

Item            header, if as many lone lines stand above as there are columns
Value
Heads           the first column …
Width
32              … and, after an empty line, the second, of as many lines
4096
"""

from __future__ import annotations

from .grids import Row
from .parts import known
from .typed import Typed

_LONG = 48
"""Characters of a line that is no cell but a line of a paragraph."""
_LEAST = 2
Stack = tuple[int, int]
"""First line, and past the last."""


def stacks_at(page: Typed, at: int) -> tuple[list[Row], int] | None:
    """(rows with their lines, the index past the last), if columns of equally many short lines begin at an index.

    A heading's word ends them: the block after the last column is often the next section's.
    """
    stacks = [_stack(page, at)]
    if _height(stacks[0]) < _LEAST:
        return None
    while _height(following := _stack(page, stacks[-1][1] + 1)) == _height(stacks[0]):
        if known(page.lines[following[0]]):
            break
        stacks.append(following)
    if len(stacks) < 2:
        return None
    rows = [_row(page, [first + place for first, _ in stacks]) for place in range(_height(stacks[0]))]
    return [*_header(page, at, len(stacks)), *rows], stacks[-1][1]


def _height(stack: Stack) -> int:
    return stack[1] - stack[0]


def _stack(page: Typed, at: int) -> Stack:
    """The lines from an index to the next empty one; none if one of them is no cell."""
    end = at
    while not page.is_blank(end) and end not in page.boxes:
        line = page.lines[end].strip()
        if len(line) > _LONG or line.endswith((".", ":", ";")) or len(page.cells(end)) > 1:
            return at, at
        end += 1
    return at, end


def _row(page: Typed, lines: list[int]) -> Row:
    return tuple(" ".join(page.lines[line].split()) for line in lines), (lines[0] + 1, lines[-1] + 1)


def _header(page: Typed, at: int, columns: int) -> list[Row]:
    """The last lines of as many blocks above as there are columns, all but the first of one line."""
    lines = [at - 2 * (columns - place) for place in range(columns)]
    alone = all(not page.is_blank(line) and page.is_blank(line + 1) for line in lines)
    return [_row(page, lines)] if alone and all(len(page.lines[line].strip()) < _LONG for line in lines) else []
