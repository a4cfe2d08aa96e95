"""Meshes as people write them.

>>> parse_mesh("tp=8,pp=2"), parse_mesh("TP8xPP2"), parse_mesh("dp2×tp4"), parse_mesh("ep,tp=2")
((('tp', 8), ('pp', 2)), (('tp', 8), ('pp', 2)), (('dp', 2), ('tp', 4)), (('ep', None), ('tp', 2)))
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ..diagnostics import Diagnostic, Refused
from .parsed import shown
from .strategy_values import MAX_PARTS

Mesh = tuple[tuple[str, int | None], ...]
"""Key (a strategy's or an axis's name) and size, in the order written; None where the size is left open."""

_SEPARATOR = re.compile(r"\s*[,×*]\s*|(?<=\d)\s*[xX]\s*(?=[A-Za-z])")
_TOKEN = re.compile(r"(?P<key>[a-z][a-z_-]*?)(?P<size>\d{1,12})?")
_LONGEST = 500


def parse_mesh(text: str, names: Collection[str] = ()) -> Mesh:
    """Keys and sizes. `names` are keys to keep as they are (`mine2=4`). Refused with the form expected."""
    if len(text) > _LONGEST:
        raise Refused(_malformed(text, text))
    return tuple(_entry(token, text, names) for token in _SEPARATOR.split(text.strip()))


def _entry(token: str, text: str, names: Collection[str]) -> tuple[str, int | None]:
    key, equals, size = (part.strip() for part in token.partition("="))
    if key in names:
        return key, _size(size, token, text) if equals else None
    match = _TOKEN.fullmatch(key.lower())
    if match is None or (equals and match["size"]):
        raise Refused(_malformed(token, text))
    if equals or match["size"]:
        return match["key"], _size(size or match["size"] or "", token, text)
    return match["key"], None


def _size(digits: str, token: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", digits) or not 1 <= int(digits) <= MAX_PARTS:
        raise Refused(_malformed(token, text))
    return int(digits)


def _malformed(token: str, text: str) -> Diagnostic:
    where = shown(text, quoted=False)
    return Diagnostic(
        "mesh", f"{shown(token)} is not an axis with a size", where, "a mesh such as tp=8,pp=2", shown(token)
    )
