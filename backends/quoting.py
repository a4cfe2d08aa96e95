"""Text that users wrote, made safe for DOT: nothing they type ends a string, starts markup or names another node."""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[^A-Za-z0-9_]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_SPECIAL = re.compile(r'["\\&\x00-\x1f\x7f]')
_BACKSLASH = "∖"


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
