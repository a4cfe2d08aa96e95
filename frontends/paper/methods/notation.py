"""Degrees of parallelism as papers write them.

>>> [(d.axis, d.size) for d in degrees("TP=8, PP=2")]
[('tp', 8), ('pp', 2)]
>>> [(d.axis, d.size) for d in degrees("eight-way tensor parallelism inside a node and two pipeline stages")]
[('tp', 8), ('pp', 2)]
>>> [(d.axis, d.size) for d in degrees("EP=DP=16")]
[('ep', 16), ('dp', 16)]
>>> [(d.axis, d.size) for d in degrees("8-way tensor, 2-stage pipeline parallelism with two replicas")]
[('tp', 8), ('pp', 2), ('dp', 2)]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..lexicon.counts import count
from .patterns import pattern, table

_WORDS = r"(?:{words})[\s\-_]*(?:parallel(?:ism)?|parallelised|parallelized)"
_WHOLE = r"(?![\d.]*\d|\s?%|\s+or (?:more|less|higher|larger|fewer)|\.\d|x\b)"
"""After a number: it is no part of another, no percentage, no bound."""
_LINK = r"(?:\s*\([A-Z]{2,4}\))?[\s\-_]*"
_LINK += r"(?:\(?(?:degree|size|width|factor|world[ _]size|ways?|group(?: size)?|level)s?\)?)?[\s_]*"
_LINK += r"(?:of|=|:|\(|is(?: set)?(?: to)?|equals?|at|across|over|on|within|inside|with|among)?\s*"
_LINK += r"(?:(?:a|the|all|group|of|degree)\s+)*"


@dataclass(frozen=True)
class Degree:
    """An axis, into how many parts it cuts, and where that stands in the text."""

    axis: str
    size: int
    start: int
    end: int


def degrees(text: str) -> list[Degree]:
    """All that are written in a text, in order; of an axis that is written twice alike the first."""
    found = sorted(_all(text), key=lambda d: (d.start, -d.end))
    kept: list[Degree] = []
    for one in found:
        chained = text[: one.start].rstrip().endswith("=")
        if chained or all(one.start >= k.end or (one.start, one.end) == (k.start, k.end) for k in kept):
            kept.append(one)
    first = {(d.axis, d.size): d for d in reversed(kept)}
    return [d for d in kept if first[d.axis, d.size] is d]


def _all(text: str) -> Iterator[Degree]:
    yield from _paired(text)
    for axis, forms in _forms().items():
        for form, least in forms:
            for match in form.finditer(text):
                part = match.groupdict().get("part") or match["n"]
                if (size := count(part)) >= least:
                    yield Degree(axis, size, *match.span())


def _paired(text: str) -> Iterator[Degree]:
    """`TP/PP = 8/2`, `TP × PP = 8 × 2`, `(TP, PP) = (8, 2)`: as many numbers as names."""
    axes = {letters: axis for axis, entry in _table() for letters in entry["letters"].split("|")}
    name, by = "|".join(axes), r"\s*[/×x*,]\s*"
    listed = rf"\(?((?:{name})(?:{by}(?:{name}))+)\)?\s*(?:=|:|of)\s*\(?(\d+(?:{by}\d+)+)\)?"
    for match in re.finditer(listed, text):
        names, sizes = (re.split(by, part) for part in match.groups())
        if len(names) == len(sizes):
            yield from (Degree(axes[n], int(size), *match.span()) for n, size in zip(names, sizes, strict=True))


@cache
def _forms() -> dict[str, list[tuple[re.Pattern[str], int]]]:
    """Of every axis its forms, and the least number in each: "one stage" is no degree, PP=1 is."""
    told = {axis: [*_letters(entry["letters"]), *_named(entry["words"])] for axis, entry in _table()}
    counted = {axis: map(pattern, entry["counts"]) for axis, entry in _table()}
    return {axis: [*((form, 1) for form in told[axis]), *((form, 2) for form in counted[axis])] for axis in told}


@cache
def _table() -> list[tuple[str, dict[str, Any]]]:
    return list(table("axes.yaml").items())


def _letters(letters: str) -> Iterator[re.Pattern[str]]:
    """`TP=8`, `TP8`, `TP-8`, `TP (8)`, `8-way TP`; `TP=EP=8` gives both; not the TP of `ETP`."""
    every = "|".join(entry["letters"] for _, entry in _table())
    name, number = rf"(?<![A-Za-z])(?:{letters})", pattern("<N>").pattern
    between = r"\s*(?:=|:|-|–|_|\(|\b(?:of|degree|size|is)\b|degree of|size of)?\s*"
    yield re.compile(rf"{name}{between}(?:(?:{every})\s*=\s*)*{number}{_WHOLE}", re.IGNORECASE)
    yield re.compile(rf"\b{number}[\s\-]*ways?[\s\-]+{name}\b", re.IGNORECASE)


def _named(words: str) -> Iterator[re.Pattern[str]]:
    """`tensor parallel 8`, `tensor parallelism of degree eight`, `8-way tensor parallelism`; of `8-way tensor and 2-way
    data parallelism` both.
    """
    number, stem = pattern("<N>").pattern, _WORDS.format(words=words.replace(" ", r"[\s\-_]+"))
    yield re.compile(rf"(?<![A-Za-z]){stem}{_LINK}{number}{_WHOLE}", re.IGNORECASE)
    yield re.compile(rf"\b{number}[\s\-]*(?:ways?|fold)?[\s\-]+(?:(?!dimensional)\w+[\s\-]+)?{stem}", re.IGNORECASE)
    several = r"(?=\s*(?:,|and\b|/|×|x\b|\+|&)[^.;]{0,60}?\bparallel)"
    bare = words.replace(" ", r"[\s\-_]+")
    yield re.compile(rf"\b{number}[\s\-]*ways?[\s\-]+(?:{bare})\b{several}", re.IGNORECASE)
