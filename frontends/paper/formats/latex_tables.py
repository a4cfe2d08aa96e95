"""A LaTeX tabular → rows of texts, spans filled in.

\\multicolumn{2}{c}{TPS} & …   → "TPS", "TPS"; \\multirow{2}{*}{Llama} stands in both of its rows; several lines above
the first \\midrule are one header.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from .grids import Row
from .latex_text import Node, arguments, children, name_of, text_of
from .outline import squeezed

MOST_COLUMNS = 200
_BREAKS = ("\\", "tabularnewline", "cr")


@dataclass
class _Typeset:
    """One row as typeset. `cells`: text and the number of rows it stands in."""

    cells: list[tuple[str, int]] = field(default_factory=list)
    first: int = -1
    last: int = -1


def rows_of(table: Node, line_of: Callable[[int], int]) -> list[Row]:
    """The rows, each with the lines of its source. `line_of`: offset → line."""
    rows, rule = _typeset(table)
    texts = _filled(rows)
    found = [(cells, (line_of(row.first), line_of(row.last))) for cells, row in zip(texts, rows, strict=True)]
    return [*_one_header(found[:rule]), *found[rule:]] if 1 < rule < 4 else found


def _typeset(table: Node) -> tuple[list[_Typeset], int]:
    """All rows, and how many stand above the first \\midrule."""
    rows, rule, cell = [_Typeset()], 0, []
    for node in [*_flat(children(table)), None]:
        name = name_of(node) if node is not None else "\\"
        if name in _BREAKS or getattr(node, "specials_chars", "") == "&":
            rows[-1].cells.extend(_cell(cell))
            cell = []
            if name in _BREAKS:
                rows.append(_Typeset())
            continue
        if name == "midrule" and not rule:
            rule = sum(bool(row.cells) for row in rows)
        elif node is not None and node.latex_verbatim().strip() and not name.endswith("rule") and name != "hline":
            cell.append(node)
            _reach(rows[-1], node)
    return [row for row in rows if any(text for text, _ in row.cells)], rule


def _flat(nodes: Sequence[Node]) -> Iterator[Node]:
    """Nodes, those of groups that hold several cells too."""
    for node in nodes:
        inner = children(node) if type(node).__name__ == "LatexGroupNode" else []
        if any(name_of(child) in _BREAKS or getattr(child, "specials_chars", "") == "&" for child in inner):
            yield from _flat(inner)
        else:
            yield node


def _reach(row: _Typeset, node: Node) -> None:
    source = node.latex_verbatim()
    start = node.pos + len(source) - len(source.lstrip())
    row.first = start if row.first < 0 else row.first
    row.last = node.pos + len(source.rstrip()) - 1


def _cell(nodes: list[Node]) -> Iterator[tuple[str, int]]:
    """A cell, as often as it is wide, with its height."""
    text, width, height = squeezed(text_of(nodes)), 1, 1
    for node in nodes:
        given = [argument.latex_verbatim().strip("{}[]") for argument in arguments(node)]
        if name_of(node) == "multicolumn" and given:
            width = _number(given[0])
        if name_of(node) == "multirow" and given:
            height = next((_number(argument) for argument in given if re.fullmatch(r"-?\d+", argument)), 1)
        if name_of(node) == "multicolumn" and (inner := re.search(r"\\multirow\s*\{(\d+)\}", node.latex_verbatim())):
            height = _number(inner[1])
    yield from [(text, height)] * width


def _number(text: str) -> int:
    return max(1, min(MOST_COLUMNS, int(text))) if re.fullmatch(r"\d{1,4}", text) else 1


def _filled(rows: list[_Typeset]) -> list[tuple[str, ...]]:
    """Texts of all rows, equally many in each; what spans rows is in each of them."""
    width = min(MOST_COLUMNS, max((len(row.cells) for row in rows), default=0))
    above: dict[int, tuple[str, int]] = {}
    texts = []
    for row in rows:
        cells = [*row.cells, *[("", 1)] * width][:width]
        line = []
        for column, (text, height) in enumerate(cells):
            held, left = above.get(column, ("", 0))
            line.append(text or (held if left > 0 else ""))
            above[column] = (text, height - 1) if text else (held, left - 1)
        texts.append(tuple(line))
    return texts


def _one_header(rows: list[Row]) -> list[Row]:
    """Several rows of a header as one: "TPS" over "16 GPUs" is "TPS 16 GPUs"."""
    columns = zip(*(cells for cells, _ in rows), strict=True)
    cells = tuple(" ".join(dict.fromkeys(filter(None, column))) for column in columns)
    return [(cells, (rows[0][1][0], rows[-1][1][1]))]
