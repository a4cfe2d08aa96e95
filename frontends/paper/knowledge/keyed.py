"""YAML and JSON → blocks: a row for each value, under its keys; a sentence for each text.

    H100:                         section ("H100",)   row  memory | 80 GB
      memory: 80 GB
    rules: [no TP in experts]     section ("rules",)  entry  no TP in experts

A mapping that says what it is of (`name`, `gpu`, `model`) stands under that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ....diagnostics import Refused
from ...json_reader import parse_json
from ...parsed import Keys, Parsed, read_text
from ...yaml_reader import parse_yaml
from ..document import Block, Document, Kind
from ..facts import Fact, Source
from ..lexicon.finding import facts_of
from ..lexicon.linking import key_of
from .subjects import CLUSTER, Subject, named_in

SUFFIXES = (".yaml", ".yml", ".json")
NAMES = ("name", "gpu", "model", "gpu_type", "type", "id", "_name_or_path")
LONGEST = 200
MOST = 2_000
"""Values of a file that are looked at."""
_UNITS = {"gbps": "GB/s", "gb_s": "GB/s", "gb_per_s": "GB/s", "tb_s": "TB/s", "gb": "GB", "mb": "MB", "gib": "GiB"}
_UNIT = re.compile(rf"(.+?)_(?:in_)?({'|'.join(_UNITS)})", re.IGNORECASE)


def keyed(path: Path) -> Document | None:
    """A YAML or JSON file as a document; None for any other file. Refused where it is broken."""
    if path.suffix.lower() not in SUFFIXES:
        return None
    text = read_text(path)
    parsed = _parsed(text, path)
    lines = tuple(text.split("\n"))
    return Document(path.name, tuple(_Walk(parsed, len(lines)).blocks())[:MOST], lines)


def _parsed(text: str, path: Path) -> Parsed:
    """JSON is read as YAML, which knows the line of every value; what YAML is not (tabs) as JSON."""
    try:
        return parse_yaml(text, path.name)
    except Refused:
        if path.suffix.lower() != ".json":
            raise
        return parse_json(text, path.name)


def stated(document: Document) -> list[tuple[Fact, Subject]]:
    """What each value of such a document states, and of what: as the nearest of its keys names it."""
    return [
        (replace(fact, source=Source(block.lines[0], _words(document, block))), _subject(block, fact))
        for block in document.blocks
        for fact in facts_of(Document(document.name, (_named(block),), document.lines))
    ]


def _named(block: Block) -> Block:
    """With a key as people say it, where the table of words does not know it as it is written."""
    if block.kind is not Kind.ROW or key_of(block.cells[0]):
        return block
    cells = (spaced(block.cells[0]), *block.cells[1:])
    return replace(block, cells=cells, text=" | ".join(cells))


def _words(document: Document, block: Block) -> str:
    """A key with its value as it is written; else the line."""
    line = document.lines[block.lines[0] - 1].strip()
    key, value = map(re.escape, (block.cells[0], block.cells[-1])) if block.cells else ("", re.escape(block.text))
    found = re.search(rf"[\"']?{key}\w*[\"']?\s*:?\s*[\"']?{value}[\"']?", line)
    return (found[0] if found else line)[:LONGEST] or block.text


def _subject(block: Block, fact: Fact) -> Subject:
    hardware = fact.key in CLUSTER
    found = (name for text in (block.text, *reversed(block.section)) if (name := named_in(text, hardware)))
    return Subject(fact.of or next(found, ""), hardware)


@dataclass(frozen=True)
class _Walk:
    parsed: Parsed
    lines: int

    def blocks(self) -> Iterator[Block]:
        yield from self._value(self.parsed.data, (), ())

    def _value(self, value: Any, at: Keys, section: tuple[str, ...]) -> Iterator[Block]:
        if isinstance(value, dict):
            own = (*section, *(str(value[name]) for name in NAMES if isinstance(value.get(name), str)))
            for key, inner in value.items():
                nested = isinstance(inner, dict | list)
                yield from self._value(inner, (*at, key), (*own, spaced(key)) if nested else own)
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                yield from self._value(inner, (*at, number), section)
        elif value is not None and at:
            yield self._leaf(value, at, section)

    def _leaf(self, value: object, at: Keys, section: tuple[str, ...]) -> Block:
        known = (self.parsed.lines.get(at[:size]) for size in range(len(at), 0, -1))
        line = min(next(filter(None, known), 1), self.lines)
        where = (line, line)
        if isinstance(at[-1], int) or (isinstance(value, str) and len(value.split()) > 4):
            return Block(Kind.BULLET, " ".join(str(value).split()), where, section)
        cells = _cells(str(at[-1]), value)
        return Block(Kind.ROW, " | ".join(cells), where, section, cells=cells)


def _cells(key: str, value: object) -> tuple[str, str]:
    """`memory_gb: 80` → ("memory", "80 GB"); a truth is told apart from a number."""
    said = str(value).lower() if isinstance(value, bool) else " ".join(str(value).split())
    unit = _UNIT.fullmatch(key)
    if unit and isinstance(value, int | float) and not isinstance(value, bool):
        return spaced(unit[1]), f"{value:g} {_UNITS[unit[2].lower()]}"
    return key, said


def spaced(key: object) -> str:
    """`spaced("l2_cache") == "l2 cache"`"""
    return " ".join(re.sub(r"[_.]+", " ", str(key)).split())
