"""The rows of a table, each with the header that names its cells.

A first row of names is a header: `| Item | Value |`, `| | Layers | Heads |`. In a table of two columns a first row that
states a number (`Layers & 32`) is data, and the table has no header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Cells = tuple[str, ...]
Row = tuple[Cells, tuple[int, int]]
"""Texts of the cells, and the first and last line."""

_NUMBER = re.compile(r"\b\d")


def with_header(rows: Sequence[Row]) -> Iterator[tuple[Cells, tuple[int, int], Cells]]:
    """Rows as (cells, lines, header). The header itself comes too, with no header, unless it is empty."""
    if not rows:
        return
    width = max(len(cells) for cells, _ in rows)
    (first, lines), *rest = [((*cells, *[""] * (width - len(cells))), where) for cells, where in rows]
    header = () if not rest or _is_data(first) else first
    if any(first):
        yield first, lines, ()
    for cells, where in rest:
        if any(cells):
            yield cells, where, header


def _is_data(cells: Cells) -> bool:
    return len(cells) == 2 and bool(cells[0]) and bool(_NUMBER.search(cells[1]))
