"""Nodes of LaTeX → one line of plain text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import LatexWalker, get_default_latex_context_db
from pylatexenc.macrospec import std_environment, std_macro

from .formulas import plain

Node = Any
"""A node of pylatexenc, which types none of theirs."""


@cache
def table() -> dict[str, Any]:
    """latex.yaml."""
    return yaml.safe_load((Path(__file__).parent / "latex.yaml").read_text(encoding="utf-8"))


def nodes_of(source: str) -> list[Node]:
    """The nodes of a source; what does not parse is passed over."""
    walker = LatexWalker(source, latex_context=_context(), tolerant_parsing=True)
    nodes, _, _ = walker.get_latex_nodes(pos=0)
    return nodes


def arguments(node: Node) -> list[Node]:
    """The arguments of a command that are there."""
    given = getattr(node, "nodeargd", None)
    return [argument for argument in (given.argnlist if given else None) or () if argument is not None]


def children(node: Node) -> list[Node]:
    return [child for child in getattr(node, "nodelist", None) or () if child is not None]


def name_of(node: Node) -> str:
    """Of a command or an environment; empty for others."""
    return getattr(node, "macroname", None) or getattr(node, "environmentname", None) or ""


def text_of(nodes: Iterable[Node]) -> str:
    """Plain text of nodes inside one paragraph."""
    return "".join(_text(node) for node in nodes)


def _text(node: Node) -> str:
    kind = type(node).__name__
    if kind == "LatexCharsNode":
        return node.chars
    if kind == "LatexMathNode":
        return plain(text_of_source(node))
    if kind == "LatexMacroNode":
        return _command(node)
    if kind in ("LatexGroupNode", "LatexEnvironmentNode"):
        return text_of(children(node))
    return "" if kind == "LatexCommentNode" else _SPECIALS.get(getattr(node, "specials_chars", "")) or _symbol(node)


def text_of_source(node: Node) -> str:
    """The source of a formula without its delimiters and labels."""
    inner = "".join(child.latex_verbatim() for child in children(node))
    return re.sub(r"\\(?:label|tag)\s*\{[^{}]*\}|\\(?:nonumber|notag)\b", "", inner)


_SPECIALS = {"~": " ", "&": "&", "\n\n": " "}


def _command(node: Node) -> str:
    name = name_of(node)
    if name in table()["dropped"]:
        return node.macro_post_space and " "
    if name in ("\\", "newline", "cr", ",", ";", " ", "quad", "qquad", "enspace", "thinspace"):
        return " "
    if name in _NUMBERS:
        return " ".join(
            _NUMBERS[name](argument) for argument in arguments(node) if argument.latex_verbatim()[:1] == "{"
        )
    if given := [argument for argument in arguments(node) if argument.latex_verbatim()[:1] == "{"]:
        return _symbol(node) if name in _ACCENTS else text_of(given[-1:]) + (node.macro_post_space and " ")
    return _symbol(node)


_ACCENTS = set("'`^\"~=.uvHtcdbkr")


def _units(node: Node) -> str:
    """`\\giga\\byte\\per\\second` → GB/s; `80` stays."""
    known = table()["units"]
    return "".join(known.get(name_of(child), "") or _text(child) for child in children(node)).strip()


_NUMBERS = dict.fromkeys(("SI", "qty", "num", "si", "unit", "SIrange", "numrange", "numlist"), _units)


def _symbol(node: Node) -> str:
    """What pylatexenc knows of a symbol, an accent or a ligature."""
    try:
        return str(_to_text().node_to_text(node) or "")
    except Exception:
        return ""


@cache
def _to_text() -> LatexNodes2Text:
    return LatexNodes2Text(math_mode="verbatim", keep_comments=False, strict_latex_spaces=True)


@cache
def _context() -> Any:
    context = get_default_latex_context_db()
    commands = [std_macro(name, form) for name, form in table()["arguments"].items()]
    tables = [std_environment(name, form) for name, form in table()["columns"].items()]
    context.add_context_category("papers", prepend=True, macros=commands, environments=tables)
    return context
