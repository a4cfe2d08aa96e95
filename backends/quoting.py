"""Text that users wrote, made safe for DOT: nothing they type ends a string, starts markup or names another node."""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[^A-Za-z0-9_]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_SPECIAL = re.compile(r'["\\&\x00-\x1f\x7f]')
_BACKSLASH = "∖"
PIECE = 8000
"""Characters of a string's longest piece: none is longer, were each a quotation mark."""


def clean(text: str) -> str:
    """One line: control characters and line breaks become spaces."""
    return _CONTROL.sub(" ", text)


def quoted(text: str) -> str:
    r"""A DOT string.

    >>> print(quoted('a"b\\c'))
    "a\"b\\c"
    """
    escaped = clean(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def joined(text: str) -> str:
    r"""A DOT string of any length, in pieces that Graphviz reads (it takes at most 16,384 characters at once).

    >>> joined('a"b'), joined("x" * (PIECE + 1)).count(" + ")
    ('"a\\"b"', 1)
    """
    pieces = (text[at : at + PIECE] for at in range(0, max(len(text), 1), PIECE))
    return " + ".join('"' + piece.replace('"', '\\"') + '"' for piece in pieces)


def label_text(text: str) -> str:
    r"""A line inside a quoted label, where `&lt;` would be read as an entity and `\N` as the node's name."""
    return quoted(text)[1:-1].replace("&", "&amp;") if _SPECIAL.search(text) else text


def drawn_text(text: str) -> str:
    r"""A line of `_background`, which counts bytes and knows no escapes: a backslash becomes its look-alike."""
    return clean(text).replace("\\", _BACKSLASH)


def identifier(text: str) -> str:
    """A part of a node's name that DOT takes unquoted: `q-proj` → `q_proj`."""
    name = _UNSAFE.sub("_", text).strip("_") or "op"
    return f"op_{name}" if name[0].isdigit() else name
