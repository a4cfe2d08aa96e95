"""The unit that follows a number: `units.yaml` lists symbols of measure, nouns and names of cards.

>>> [(unit.unit, unit.of, unit.per) for unit in map(unit_at, (" GB/s each", " KV heads per layer", " x H100 GPUs"))]
[('byte/s', '', 'each'), ('head', 'KV', 'layer'), ('gpu', 'H100', '')]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from .quantity import Number

MOST_WORDS = 3
"""Words between a number and its noun: "8 small dense feed-forward layers"."""
_WORD = re.compile(r"[ \u00a0-]([A-Za-z][A-Za-z0-9]*(?:-[A-Za-z]+)*)")
_PER = re.compile(
    r"\s*(?:/|per|(?:for|of) (?:each|every|any|one)|(?:in|on|inside|within) (?:each|every|any|one|a)|an?)\s*([A-Za-z]+)"
    r"|[\s,]*(each|apiece)\b(?!\s+(?:with|of|ha[sv]|hold|contain))|-per-([a-z]+)"
)
_MEMORY = re.compile(r"(?:[\s-]\d+\s?GB|[\s-](?:SXM\d?|PCIe|NVL))+(?=\s)")
_TIMES = re.compile(r"\s?[x×](?=\s)|")


@dataclass(frozen=True)
class Unit:
    """A unit and where it ends. `scale` is what one of it is in the unit named; `other` another reading of that."""

    unit: str
    end: int
    of: str = ""
    per: str = ""
    scale: Number = 1
    other: Number | None = None
    symbol: str = ""


def unit_at(text: str, at: int = 0) -> Unit | None:
    """The unit of the number that ends at a place, or None."""
    unit = _symbol(text, at) or _card(text, at) or _noun(text, at)
    return unit and _per(text, unit)


def noun(word: str) -> str:
    """What a word counts: `noun("servers") == "node"`; empty if it is no noun of the table."""
    return _nouns().get(word.lower(), "")


def is_decimal(unit: str) -> bool:
    """Whether K of it is 1000."""
    return unit in table()["decimal"]


def _symbol(text: str, at: int) -> Unit | None:
    match = _symbols().match(text, at)
    if match is None:
        return None
    name, scale, *other = table()["symbols"][match["symbol"]]
    if not match["rate"]:
        return Unit(name, match.end(), scale=scale, other=other[0] if other else None, symbol=match["symbol"])
    if name == "bit":
        return Unit("byte/s", match.end(), scale=scale / 8)
    return Unit(f"{name}/s", match.end(), scale=scale, symbol=match["symbol"])


def _card(text: str, at: int) -> Unit | None:
    """`x H100`, `NVIDIA H100 cards`."""
    match = _cards().match(text, at)
    if match is None:
        return None
    memory = _MEMORY.match(text, match.end())
    after = _noun(text, memory.end() if memory else match.end())
    if after is None or after.of:
        return Unit("gpu", match.end(), of=match["name"])
    end = match.end() if memory else after.end
    return replace(after, end=end, of=match["name"], per=_per(text, after).per if memory else "")


def _noun(text: str, at: int) -> Unit | None:
    """The first noun after at most MOST_WORDS others; of `GPU nodes`, the last."""
    times, words = _TIMES.match(text, at), []
    at = times.end() if times else at
    while len(words) <= MOST_WORDS and (match := _WORD.match(text, at)):
        head, joined = match[1], match[0][0] == "-" and not words
        of_whole, *inner = head.split("-") if joined else [head]
        name = noun(of_whole)
        if head.lower() in table()["stops"]:
            return None
        if name and (inner or not _modifies(text, match.end(), of_whole) or joined):
            return _counted(text, name, match.end() - len("".join(f"-{word}" for word in inner)), words, joined)
        words.append(head)
        at = match.end()
    return None


def _modifies(text: str, end: int, word: str) -> bool:
    """Whether a noun belongs to the next one ("GPU nodes")."""
    match = _WORD.match(text, end)
    return bool(match and noun(match[1]) and not word.endswith("s") and text[end] == " ")


def _counted(text: str, name: str, end: int, words: list[str], joined: bool) -> Unit:
    """The noun with the words before it; `8-GPU nodes` are nodes of 8 each, `one node pair` two nodes."""
    after = _WORD.match(text, end)
    if after and after[1] in table()["pair"]:
        return Unit(name, after.end(), " ".join(words), scale=2)
    per = noun(after[1]) if joined and name != "way" and after and text[end] == " " else ""
    return Unit(name, end, " ".join(words), per)


def _per(text: str, unit: Unit) -> Unit:
    match = _PER.match(text, unit.end)
    if match is None or unit.per:
        return unit
    word = match[1] or match[2] or match[3]
    if match[1] and not noun(word) and word not in ("second", "sec", "s", "hour", "minute"):
        return unit
    return replace(unit, per=noun(word) or word, end=match.end() if match[3] else unit.end)


@cache
def table() -> dict[str, Any]:
    """units.yaml."""
    return yaml.safe_load((Path(__file__).parent / "units.yaml").read_text(encoding="utf-8"))


@cache
def _nouns() -> dict[str, str]:
    return {form: name for name, words in table()["nouns"].items() for word in words for form in _forms(word)}


def _forms(word: str) -> Iterator[str]:
    yield word
    yield word + ("es" if word.endswith(("s", "x")) else "s")


@cache
def _symbols() -> re.Pattern[str]:
    symbols = "|".join(sorted(map(re.escape, table()["symbols"]), key=len, reverse=True))
    rates = "|".join(sorted(map(re.escape, table()["rates"]), key=len, reverse=True))
    return re.compile(rf"[\s\u00a0-]?(?P<symbol>{symbols})(?P<rate>{rates})?(?![A-Za-z0-9])")


@cache
def _cards() -> re.Pattern[str]:
    return re.compile(rf"\s*(?:[x×*]\s*)?(?:NVIDIA\s+)?(?P<name>{'|'.join(table()['cards'])})s?(?![\w])")
