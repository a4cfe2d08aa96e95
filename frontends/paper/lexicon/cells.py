"""Rows of tables → "key: value", with what the row or the column is about.

| Item | Value |     | Heads / head dimension | 32 / 128 |     →  Heads: 32;  head dimension: 128
| Model | Layers |   | small | 24 |                            →  Layers: 24, of the model small
| | Small | Large |  | Layers | 24 | 48 |                       →  Layers: 24, of the model Small;  Layers: 48, of Large
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from ..document import Block
from .linking import key_of, links
from .vocabulary import TableWords, vocabulary, whole

_UNIT = re.compile(
    r"(?P<key>.*?)\s*[(\[](?:in )?(?P<unit>[KMGT]i?B(?:/s)?|G[Bb]ps|Gbit/s|[kKM]|tokens|sequences)(?: tokens)?[)\]]\s*"
)
_BARE = re.compile(r"\s*[\d.,]+\s*")
_DIGIT = re.compile(r"\s*\(?\s*\d")
_APART = re.compile(r"\s*[/,;&|×]\s*|\s+(?:and|x)\s+")
_ASIDE = re.compile(r"(?P<out>[^()]+?)\s*\((?P<in>[^()]+)\)\s*")
LONGEST = 200


@dataclass(frozen=True)
class Pair:
    """`text` is "key: value"; `quote` words of the row; `of` the model, method and platform."""

    text: str
    quote: str
    of: tuple[str, str, str]


def pairs(row: Block) -> Iterator[Pair]:
    """What a row states. Of a table that has keys neither above nor on the left, the cells are read as they are."""
    if any(_key(name) for name in row.header[1:]):
        yield from _record(row)
    elif row.cells and (_key(row.cells[0]) or len(row.cells) == 2 or _composite(row.cells[0])):
        yield from _entry(row)
    else:
        yield from (Pair(cell, cell, ("", "", "")) for cell in row.cells)


def _record(row: Block) -> Iterator[Pair]:
    """A row of many keys; columns that are none name what it is about."""
    words = vocabulary().table
    labels: dict[str, str] = dict.fromkeys(("model", "method", "cluster"), "")
    for i, (name, cell) in enumerate(zip(row.header, row.cells, strict=False)):
        kind = next((kind for kind in labels if whole(*getattr(words, kind)).fullmatch(name)), "")
        if not kind and i == 0 and not _key(name):
            kind = "model" if _about_models(row) else "method"
        if kind:
            labels[kind] = cell
    of = (labels["model"], labels["method"], labels["cluster"])
    quote = row.text[:LONGEST]
    for name, cell in zip(row.header, row.cells, strict=False):
        if cell in of:
            yield Pair(cell, cell, ("", labels["method"], labels["cluster"]))
        else:
            yield from (Pair(text, quote, of) for text in said(name, cell))


def _about_models(row: Block) -> bool:
    about = [vocabulary().keys[key].about for name in row.header if (key := _key(name))]
    return about.count("model") > len(about) // 2


def _entry(row: Block) -> Iterator[Pair]:
    """A key and its values, in a column for each model, or in one."""
    key, *values = row.cells
    words = vocabulary().table
    names = row.header[1:] if len(row.header) == len(row.cells) else ("",) * len(values)
    unit = next((cell for name, cell in zip(names, values, strict=True) if whole(*words.unit).fullmatch(name)), "")
    for name, value in zip(names, values, strict=True):
        if name and whole(*words.unit, *words.symbol).fullmatch(name):
            continue
        name = "" if whole(*words.generic).fullmatch(name) else name
        value = f"{value} {unit}" if unit and _BARE.fullmatch(value) else value
        quote = row.text[:LONGEST] if len(values) > 1 else f"{key} | {value}"[:LONGEST]
        of = ("", "", name) if name and whole(*(f"{w}.*" for w in _clusters())).fullmatch(name) else (name, "", "")
        yield from (Pair(text, quote, of) for text in said(key, value))


def _clusters() -> list[str]:
    words: TableWords = vocabulary().table
    return words.cluster


def said(key: str, value: str) -> Iterator[str]:
    """ "Heads / head dimension", "32 / 128" → two texts; "Memory (GB)", "80" → "Memory: 80 GB"."""
    if (unit := _UNIT.fullmatch(key)) and _BARE.fullmatch(value):
        key, value = unit["key"], f"{value.strip()}{'' if unit['unit'] in 'kKM' else ' '}{unit['unit']}"
    keys, values = _APART.split(key), _APART.split(value)
    aside, inner = _ASIDE.fullmatch(key), _ASIDE.fullmatch(value)
    if len(keys) == len(values) > 1 and _composite(key) and all(map(_DIGIT.match, values)):
        yield from map(": ".join, zip(keys, values, strict=True))
    elif aside and len(_APART.split(aside["in"])) == len(values) > 1 and all(map(_DIGIT.match, values)):
        for part, one in zip(_APART.split(aside["in"]), values, strict=True):
            yield f"{part} {aside['out']}: {one}"
    elif aside and inner and _DIGIT.match(inner["in"]):
        yield f"{aside['out']}: {inner['out']}"
        alone = f"{aside['in']}: {inner['in']}"
        yield alone if links(alone) else f"{aside['in']} {aside['out']}: {inner['in']}"
    else:
        yield f"{key}: {value}"


def _key(name: str) -> str:
    match = _UNIT.fullmatch(name)
    return key_of(match["key"] if match else name) or next(filter(None, map(key_of, _composite(name))), "")


def _composite(name: str) -> list[str]:
    """The keys that a name lists, or none."""
    parts = list(chain.from_iterable(_APART.split(part) for part in [name]))
    return parts if len(parts) > 1 and sum(bool(key_of(part)) for part in parts) > 1 else []
