"""Markdown (CommonMark with tables and `$formulas$`) → blocks, by markdown-it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.tree import SyntaxTreeNode

from ..document import Kind
from .formulas import plain
from .outline import Lines, Outline, squeezed

_LEAST = 6
"""The level of a paragraph that is one bold line, as a heading."""
_LEAD_IN = 60
"""A longer entry of a list says something; it does not only introduce the entries below it."""
_FORMULA = re.compile(r"\$\$(?P<body>.+)\$\$\s*[.,]?", re.DOTALL)
_FRONT = re.compile(r"---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)


def read(text: str, outline: Outline) -> None:
    """All blocks of a Markdown text. Front matter (`---` … `---`) is left out, HTML reduced to its text."""
    if match := _FRONT.match(text):
        text = "\n" * match[0].count("\n") + text[match.end() :]
    parser = MarkdownIt("commonmark").enable("table")
    parser.inline.ruler.before("escape", "formula", _inline_formula)
    _blocks(SyntaxTreeNode(parser.parse(text)), outline)


def _blocks(node: SyntaxTreeNode, outline: Outline) -> None:
    for child in node.children:
        _READERS.get(child.type, _blocks)(child, outline)


def _heading(node: SyntaxTreeNode, outline: Outline) -> None:
    outline.heading(int(node.tag[1]), _text(node), _lines(node))


def _paragraph(node: SyntaxTreeNode, outline: Outline, kind: Kind = Kind.PROSE) -> None:
    if formula := _FORMULA.fullmatch(node.children[0].content.strip()):
        outline.add(Kind.FORMULA, formula["body"], _lines(node))
    elif kind is Kind.PROSE and _is_bold_line(node):
        outline.heading(_LEAST, _text(node), _lines(node))
    else:
        outline.add(kind, _text(node), _lines(node))


def _is_bold_line(node: SyntaxTreeNode) -> bool:
    parts = [part for part in node.children[0].children if part.type != "text" or part.content.strip()]
    return [part.type for part in parts] == ["strong"] and len(_text(node)) < _LEAD_IN


def _item(node: SyntaxTreeNode, outline: Outline) -> None:
    """An entry; its paragraphs are entries, and a short one stands above the list that it introduces."""
    above = ""
    for child in node.children:
        if child.type == "paragraph":
            _paragraph(child, outline, Kind.BULLET)
            above = _text(child)
            continue
        with outline.under(above if len(above) < _LEAD_IN else ""):
            _READERS.get(child.type, _blocks)(child, outline)


def _table(node: SyntaxTreeNode, outline: Outline) -> None:
    rows = [row for group in node.children for row in group.children]
    outline.rows([(tuple(squeezed(_text(cell)) for cell in row.children), _lines(row)) for row in rows])


def _code(node: SyntaxTreeNode, outline: Outline) -> None:
    first = _lines(node)[0] + (node.type == "fence")
    for line, text in enumerate(node.content.removesuffix("\n").split("\n"), first):
        outline.add(Kind.FORMULA, text, (line, line))


def _html(node: SyntaxTreeNode, outline: Outline) -> None:
    outline.add(Kind.PROSE, re.sub(r"<!--.*?(-->|\Z)|<[^>]*>", " ", node.content, flags=re.DOTALL), _lines(node))


_READERS: dict[str, Callable[[SyntaxTreeNode, Outline], None]] = {
    "heading": _heading,
    "paragraph": _paragraph,
    "list_item": _item,
    "table": _table,
    "code_block": _code,
    "fence": _code,
    "html_block": _html,
}


def _lines(node: SyntaxTreeNode) -> Lines:
    """First and last line, from 1."""
    first, past = node.map or (0, 1)
    return first + 1, max(first + 1, past)


def _text(node: SyntaxTreeNode) -> str:
    return "".join(_pieces(node))


def _pieces(node: SyntaxTreeNode) -> Iterator[str]:
    """Text without markup. `2*8*4` is a product, not an emphasised 8: within a word a star stays."""
    before = ""
    for child in node.children:
        if child.type in ("text", "code_inline", "text_special"):
            piece = child.content
        elif child.type == "formula":
            piece = plain(child.content)
        elif child.type in ("softbreak", "hardbreak") or (child.type == "html_inline" and child.content[:3] == "<br"):
            piece = " "
        else:
            star = "*" if child.type == "em" and child.markup == "*" and before[-1:].isalnum() else ""
            piece = f"{star}{_text(child)}{star}"
        yield piece
        before = piece or before


def _inline_formula(state: StateInline, silent: bool) -> bool:
    """`$…$` or `\\(…\\)`; a dollar before a space or with a digit after its partner is money."""
    match = re.compile(r"\$(?=\S)([^$\n]*[^\s$\\])\$(?!\d)|\\\((.+?)\\\)").match(state.src, state.pos)
    if not match:
        return False
    if not silent:
        state.push("formula", "", 0).content = match[1] or match[2]
    state.pos = match.end()
    return True
