"""Joins the lines of a paragraph, and words that were broken at their ends.

>>> joined(["We use tensor-", "parallel experts on thirty-", "two accel-", "erators."], {"tensor", "parallel"})
'We use tensor-parallel experts on thirty-two accelerators.'
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ..quantities.words import TENS, UNITS

_COMPOUNDS = """tensor pipeline expert data sequence context head layer token batch feed self cross multi all top
mixture on off per non pre post high low fine coarse half single state point well long short large small"""
_FIRST = {*TENS, *UNITS, *_COMPOUNDS.split()}
"""What keeps its hyphen."""
_BROKEN = re.compile(r"([A-Za-z]+)[-\u2010\u00ad]$")


def joined(lines: Sequence[str], words: Collection[str]) -> str:
    """One line. A hyphen at an end stays between two words of their own (`words`: all of the paper, in lower case)."""
    pieces: list[str] = []
    for line in filter(None, map(str.strip, lines)):
        broken = _BROKEN.search(pieces[-1]) if pieces else None
        rest = re.match(r"[a-z]+", line)
        if broken and rest:
            pieces[-1] = pieces[-1][:-1] + ("-" if _is_compound(broken[1].lower(), rest[0], words) else "")
            pieces.append(line)
        else:
            pieces.append(f" {line}" if pieces else line)
    return "".join(pieces)


def words_of(text: str) -> frozenset[str]:
    """All words of a text, in lower case; those of compounds too, but not the pieces of broken ones."""
    return frozenset(re.findall(r"[a-z]{2,}", re.sub(r"[a-z]+[-\u2010\u00ad]\s*\n\s*[a-z]+", " ", text.lower())))


def _is_compound(first: str, second: str, words: Collection[str]) -> bool:
    if first + second in words:
        return False
    return first in _FIRST or (first in words and second in words)
