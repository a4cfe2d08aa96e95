"""A document as statements: sentences, and of tables "key: value" for every cell, each with what it is said of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..document import Block, Document, Kind
from .cells import pairs, said
from .vocabulary import pattern, vocabulary

_ENTRY = re.compile(r"([^:=.]{1,60}[/(][^:=.]{1,40}?)\s*[:=]\s*([^:=]{1,80}?)[.;]?")
"""A composite key with its values: "Heads / head dimension: 32 / 128"."""
_END = re.compile(r"(?<=[.;!?])\s+(?=[A-Z0-9(])")
LONGEST = 1_500
"""Characters of a sentence."""
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|vs|fig|eq|sec|cf|al|approx)\.|\b[A-Z]\.)$", re.IGNORECASE)


@dataclass(frozen=True)
class Saying:
    """Some words of a block. `quote`: the words of the block to quote for all of it, or none: what is linked."""

    text: str
    block: Block
    quote: str = ""
    of: tuple[str, str, str] = ("", "", "")
    """The model, the method and the platform that it is said of, where a table or a lead says."""
    in_table: bool = False


def sayings_of(document: Document) -> Iterator[Saying]:
    """All statements in order, but those on others' work."""
    foreign = pattern(vocabulary().foreign)
    blocks = [block for block in document.blocks if not any(foreign.search(heading) for heading in block.section[1:])]
    for block in blocks:
        if block.kind is Kind.ROW:
            yield from (Saying(pair.text, block, pair.quote, pair.of, True) for pair in pairs(block))
        elif block.kind in (Kind.PROSE, Kind.BULLET, Kind.FORMULA):
            platform = platform_of(block)
            for text in sentences(block.text):
                parts = _entries(text)
                quote = text if len(parts) > 1 else ""
                yield from (Saying(part, block, quote, ("", "", platform)) for part in parts)


def _entries(text: str) -> list[str]:
    """ "Heads / head dimension: 32 / 128" is two sayings."""
    entry = _ENTRY.fullmatch(text)
    return list(said(*entry.groups())) if entry else [text]


def sentences(text: str) -> list[str]:
    """`sentences("16 layers. Token width 64; 4 heads") == ["16 layers.", "Token width 64; 4 heads"]`

    What is longer than any sentence comes in pieces: what is looked for in one takes the square of its length.
    """
    found: list[str] = []
    for piece in (piece for sentence in _END.split(text) for piece in _pieces(sentence)):
        if found and _ABBREVIATION.search(found[-1][-20:]):
            found[-1] += f" {piece}"
        else:
            found.append(piece)
    return found


def _pieces(sentence: str) -> Iterator[str]:
    """Of at most LONGEST characters, between words where there are words."""
    while len(sentence) > LONGEST:
        end = sentence.rfind(" ", 0, LONGEST) + 1 or LONGEST
        yield sentence[:end].rstrip()
        sentence = sentence[end:]
    yield sentence


def platform_of(block: Block) -> str:
    """The other cluster that a block is about ("A second platform. We also tried …"), or none."""
    another = pattern(vocabulary().another)
    for text in (*block.section[1:], block.text):
        if match := another.search(text):
            return match[0].lower()
    return ""
