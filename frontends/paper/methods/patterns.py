"""Clues as the tables write them: regular expressions in which a space is any gap and words have classes.

"one <expert> per <gpu>"     one expert per card; one MoE expert per accelerator
"keys .. ring"               keys, then at most eighty characters of the same clause, then ring
"<N>[- ]way <tensor>"        8-way tensor parallelism; eight-way …: the number is the group `n`
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ...yaml_reader import read_yaml
from ..lexicon.counts import FRACTION, NUMBER

TABLES = Path(__file__).parent / "tables"

_GAP = r"\w*\b(?:[^.;|]|\.\d){0,80}?\b"
_SPACE = r"[\s‐–-]+"
_MAYBE = r"[\s‐–-]*"
_PIECES = re.compile(r"(\[(?:\\.|[^\]])*\]|\\.|<\w+>| \.\. | \?| )")


@cache
def words() -> Mapping[str, str]:
    """Classes of words, by name; `n`, `N` and `part` are numbers."""
    table: dict[str, str] = read_yaml(TABLES / "words.yaml").data
    own = {name: "(?:" + re.sub(" ", lambda _: _SPACE, text) + ")" for name, text in table.items()}
    return {**own, "n": NUMBER, "N": f"(?P<n>{NUMBER})", "part": f"(?P<part>{FRACTION})"}


@cache
def pattern(text: str) -> re.Pattern[str]:
    """A clue of a table, compiled; case does not matter."""
    return re.compile(_spelled(text), re.IGNORECASE)


def _spelled(text: str) -> str:
    return "".join(_piece(piece) for piece in _PIECES.split(text))


def _piece(piece: str) -> str:
    """A part of a clue as a regular expression; sets and escapes stay what they are."""
    if piece.startswith("<") and piece.endswith(">") and piece[1:-1] in words():
        return words()[piece[1:-1]]
    return {" .. ": _GAP, " ?": _MAYBE, " ": _SPACE}.get(piece, piece)


def table(name: str) -> Any:
    """A table of rules, as data."""
    return read_yaml(TABLES / name).data
