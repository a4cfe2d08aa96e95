"""Letters that a paper defines and then gives numbers: "B, L | batch, sequence length" … "B = 32, L = 8192, F = 4D"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from ..document import Block, Document, Kind
from .counts import NUMBER
from .figures import figures
from .linking import key_of
from .vocabulary import Entry, vocabulary, whole, wording

_SYMBOL = r"(?:[A-Za-z](?:_\{?\w{1,8}\}?)?)"
_NUMBERS = rf"(?P<number>{NUMBER}(?:(?:,| and| or){{1,2}}\s{{0,2}}{NUMBER}){{0,9}})(?!\s*[/×x*·^(]|\.?\w)"
_ASSIGNED = re.compile(rf"(?<![\w.])(?P<symbol>{_SYMBOL})\s*(?:=|:=|:)\s*{_NUMBERS}")
_MULTIPLE = re.compile(rf"(?<![\w.])(?P<symbol>{_SYMBOL})\s*=\s*(?P<factor>\d+)\s?[×x*·]?\s?(?P<of>{_SYMBOL})(?!\w)")
_TUPLE = re.compile(r"\((?P<symbols>[^()=]+)\)\s*=\s*\((?P<numbers>[^()=]+)\)")


@dataclass(frozen=True)
class Assignment:
    """A number given to a defined symbol, from `start` to `end` of a text."""

    key: str
    values: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Symbols:
    """What the symbols of a paper stand for, and the numbers that they are given anywhere."""

    keys: Mapping[str, str]
    values: Mapping[str, int]


def symbols_of(document: Document) -> Symbols:
    """Symbol → key, by tables of notation and by words beside a symbol ("E experts", "batch size B")."""
    keys: dict[str, str] = {}
    for block in document.blocks:
        pairs = _of_row(block) if block.kind is Kind.ROW else _of_text(block.text)
        for symbol, key in pairs:
            keys.setdefault(_plain(symbol), key)
    values = {
        _plain(match["symbol"]): found[0].values[0]
        for block in document.blocks
        for match in _ASSIGNED.finditer(block.text)
        if (found := figures(match["number"]))
    }
    return Symbols(keys, values)


def assignments(text: str, symbols: Symbols) -> Iterator[Assignment]:
    """`h = 32`, `(h, d) = (32, 128)`, `F = 4H` of symbols that are defined."""
    for match in _ASSIGNED.finditer(text):
        found = figures(match["number"])
        if (key := symbols.keys.get(_plain(match["symbol"]))) and found and not found[0].unit:
            yield Assignment(key, tuple(v for figure in found for v in figure.values), match.start(), match.end())
    for match in _MULTIPLE.finditer(text):
        key, value = symbols.keys.get(_plain(match["symbol"])), symbols.values.get(_plain(match["of"]))
        if key and value:
            yield Assignment(key, (int(match["factor"]) * value,), match.start(), match.end())
    for match in _TUPLE.finditer(text):
        names, numbers = match["symbols"].split(","), re.split(r",\s+|;", match["numbers"])
        for name, number in zip(names, numbers, strict=False):
            if (key := symbols.keys.get(_plain(name))) and (found := figures(number)):
                yield Assignment(key, found[0].values, match.start(), match.end())


def _plain(symbol: str) -> str:
    return re.sub(r"[\s{}$\\]", "", symbol)


def _of_row(row: Block) -> Iterable[tuple[str, str]]:
    """A row of a table of notation, with one symbol or several."""
    words = vocabulary().table
    if len(row.cells) != 2 or len(row.header) != 2:
        return
    if not (whole(*words.symbol).fullmatch(row.header[0]) and whole(*words.meaning).fullmatch(row.header[1])):
        return
    symbols, meanings = (re.split(r"\s*[,;]\s*", cell) for cell in row.cells)
    for symbol, meaning in zip(symbols, meanings, strict=False):
        if re.fullmatch(rf"\$?{_SYMBOL}\$?", symbol.strip()) and (key := key_of(meaning)):
            yield symbol, key


def _of_text(text: str) -> Iterator[tuple[str, str]]:
    """The longest wording decides: "S the sequence length" is no number of sequences."""
    every = [(match, key) for key, form in _defining().items() for match in form.finditer(text)]
    for match, key in sorted(every, key=lambda found: -len(found[0][0])):
        symbol = next(filter(None, match.groups()))
        if symbol.casefold() not in ("a", "i") or match["many"]:
            yield symbol, key


@cache
def _defining() -> dict[str, re.Pattern[str]]:
    return {key: re.compile(_wording(entry)) for key, entry in vocabulary().keys.items()}


def _wording(entry: Entry) -> str:
    """`<name> <symbol>`, `<symbol> <units>`, `<symbol> denotes the <name>`, and forms with a symbol as their number."""
    names = "|".join(map(wording, (*entry.names, *entry.units))) or r"(?!)"
    units = "|".join(map(wording, entry.units)) or r"(?!)"
    verb = r"(?:(?:is|be|denotes?|for|stands for|as|means)\s+(?:the\s+)?|the\s+)"
    ways = [
        rf"(?i:{names})\s+({_SYMBOL})(?=\s*(?:[,.;=)]|and\b|$))",
        rf"(?P<many>{_SYMBOL})\s+(?i:{units})(?<=s)(?!\w)",
        rf"({_SYMBOL})\s+{verb}(?i:{names})(?!\w)",
    ]
    ways += [rf"(?i:{wording(form.replace('{n}', '{symbol}'))})" for form in entry.forms if "{n}" in form]
    joined = "|".join(ways).replace(r"{symbol}", rf"({_SYMBOL})(?![\w])")
    return rf"(?<![\w-])(?:{joined})"
