"""DOT's tokens, coarsely: a whole attribute list is one token, so that large files are scanned in seconds.

Text is read as Latin-1: one character per byte, whatever the file's encoding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_STRING = r'"(?:[^"\\]++|\\.)*+"'
_NAME = r'(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*+|"[^"\\]*+")'
_LIST = rf"\[(?:[^\]\"</#\[]++|{_STRING})*+\]"
_TOKEN = re.compile(
    rf"""[ \t\r\n]*+(?P<whole>(?P<one>{_NAME})[ \t]*+(?:->[ \t]*+(?P<other>{_NAME})[ \t]*+)?{_LIST})
    |(?P<blank>(?:[ \t\r\n\f\v]++|//[^\n]*+|/\*.*?\*/|(?m:^)\#[^\n]*+)++)
    |(?P<name>[A-Za-z_\x80-\xff][\w\x80-\xff]*+|-?(?:\.\d++|\d++(?:\.\d*+)?))
    |(?P<string>{_STRING})
    |(?P<list>{_LIST})
    |(?P<edge>->|--)
    |(?P<mark>[{{}}\[\];,=:+])
    |(?P<html><)
    |(?P<end>.)""",
    re.VERBOSE | re.DOTALL,
)
_ANGLE = re.compile(r"<!--.*?-->|[<>]", re.DOTALL)
_ESCAPED = re.compile(r'\\(["\n])')


class Token(NamedTuple):
    """`kind`: name, list (in brackets), edge, mark, end (what DOT does not know); `start` and `stop` are offsets.

    A simple statement comes as one: `node` is a name and a list, `link` a name, an edge, the `other` name and a list.
    """

    kind: str
    text: str
    start: int
    stop: int
    other: str = ""
    other_start: int = 0


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """The tokens from an offset on, without blanks and comments; ends after the first `end`."""
    at = start
    while match := _TOKEN.match(text, at):
        kind, at = match.lastgroup or "end", match.end()
        if kind == "blank":
            continue
        if kind == "whole":
            yield _statement(match)
            continue
        word = match.group()
        if kind == "html":
            at = _html_end(text, match.start())
            kind, word = ("name", text[match.start() + 1 : at - 1]) if at else ("end", word)
        elif kind == "string":
            kind, word = "name", _ESCAPED.sub(_unescaped, word[1:-1])
        yield Token(kind, word, match.start(), at)
        if kind == "end":
            return


def _statement(match: re.Match[str]) -> Token:
    one, other = match.group("one", "other")
    start = match.start("one")
    if other is None:
        return Token("node", one.strip('"'), start, match.end())
    return Token("link", one.strip('"'), start, match.end(), other.strip('"'), match.start("other"))


def _unescaped(match: re.Match[str]) -> str:
    return "" if match.group(1) == "\n" else match.group(1)


def _html_end(text: str, start: int) -> int:
    """Just past the `>` that closes the `<` at `start`; 0 when nothing does."""
    depth = 0
    for angle in _ANGLE.finditer(text, start):
        if angle.group() in "<>":
            depth += 1 if angle.group() == "<" else -1
        if depth == 0:
            return angle.end()
    return 0
