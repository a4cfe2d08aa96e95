"""`where` of a diagnostic taken apart: the file, the line in it, and what it is about."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...diagnostics import Diagnostic

_LINED = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?: at (?P<node>.+))?", re.DOTALL)
_PLAIN = re.compile(r"(?P<file>.+?)(?: at (?P<node>.+))?", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """`line` is 0, `node` empty where a diagnostic does not say."""

    file: str
    line: int
    node: str


def place_of(diagnostic: Diagnostic) -> Place:
    """
    >>> place_of(Diagnostic("DAG1", "a cycle", "ep.dot:4 at q_proj"))
    Place(file='ep.dot', line=4, node='q_proj')
    """
    match = _LINED.fullmatch(diagnostic.where) or _PLAIN.fullmatch(diagnostic.where)
    if match is None:
        return Place("", 0, "")
    found = match.groupdict()
    return Place(found["file"], int(found.get("line") or 0), found["node"] or "")
