"""Labels as people see them: Graphviz's escapes, records and HTML-like labels → lines of plain text.

"{Q proj|<f0> Input: [B=8]|GPU 3}" (a record)     → Q proj / Input: [B=8] / GPU 3
<<b>Q proj</b><br/>GPU 3>                         → Q proj / GPU 3
"""

from __future__ import annotations

import html
import re
from functools import lru_cache

_TAG = re.compile(r"</?\s*(br|b|i|u|o|s|sub|sup|font|table|tr|td|th|hr|vr|img)\b[^<>]*>|<!--.*?-->", re.I | re.DOTALL)
_BREAKS = {"br", "tr", "table", "hr"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_RECORD = re.compile(r"\\.|[{}|]|<[^<>]*>", re.DOTALL)
_LIKE_RECORD = re.compile(r"\{[^|]*\|.*\}", re.DOTALL)
"""Written as a record, in a shape that is none: people see the bars all the same."""
CELL = " ¦ "
"""Between the cells of a table's row."""


def is_table(label: str) -> bool:
    """Whether it draws its own border."""
    return "<" in label and bool(re.search(r"<\s*table\b", label, re.I))


@lru_cache(4096)
def label_lines(label: str, record: bool = False) -> tuple[str, ...]:
    r"""The lines, stripped, without empty ones. `\N`, `\G` and the like are left out: the caller knows names."""
    if "<" in label and _TAG.search(label):
        text = _TAG.sub(_break, label)
    else:
        bars = record or (label.startswith("{") and _LIKE_RECORD.fullmatch(label))
        text = _unescaped(_RECORD.sub(_cell, label) if bars else label)
    if "&" in text:
        text = html.unescape(text)
    lines = (" ".join(line.split()) for line in text.replace("\xa0", " ").replace(" | ", "\n").splitlines())
    return tuple(kept for line in lines if (kept := line.strip(" ¦")))


def _unescaped(text: str) -> str:
    if "\\" in text and "\\\\" not in text:
        text = text.replace("\\n", "\n").replace("\\l", "\n").replace("\\r", "\n")
    return _ESCAPE.sub(_escape, text) if "\\" in text else text


def _break(match: re.Match[str]) -> str:
    tag = (match.group(1) or "").lower()
    if tag in _BREAKS:
        return "\n"
    return CELL if tag in ("td", "th") and match.group().startswith("</") else ""


def _escape(match: re.Match[str]) -> str:
    sign = match.group(1)
    if sign in "nlr":
        return "\n"
    return "" if sign in "NGETHL" else sign


def _cell(match: re.Match[str]) -> str:
    found = match.group()
    if found.startswith("\\"):
        return found[1] if found[1] in "{}|<> " else found
    return "\n" if found in "{}|" else ""
