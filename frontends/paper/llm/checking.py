"""An item of an answer → a fact or a method, or why it does not count.

    hidden = 4096, line 16, "Token dimension 4096"      the words stand there, and say the number    a fact
    gpus = 16, line 3, "two nodes of eight cards"       2 × 8                                        a fact, derived
    hidden = 8192, line 16, "Token dimension 4096"      the words do not say it                      dropped
    layers = 4, line 99, "4 layers"                     no such words in that line                   dropped

Values must also be ones that a description may hold; strategies ones of dagc: no file is ever read for an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import permutations
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ....diagnostics import Refused
from ...cluster_text import ClusterText, LinksText
from ...description import SizesText
from ...model_text import ModelText
from ...parsed import shown
from ...schema import Size
from ...strategy_choice import check_choice, is_file_name
from ..document import Block, Document, Part
from ..facts import Fact, How, Method, Source, Value
from ..lexicon.figures import figures
from ..lexicon.vocabulary import pattern, vocabulary
from .answer import Dropped, FactItem, MethodItem
from .question import keys

WRAPPED = 3
"""Lines after its own that a quotation may run on into."""
_MARKUP = re.compile(r"[*_`$\\{}|~]+")
_NAME = re.compile(r"[\w .,:()+/×=&'-]{1,80}")
CONFIRMS = "the deterministic reader"


def fact_of(item: FactItem, document: Document, stated: Sequence[Fact]) -> Fact | Dropped:
    """The fact, if it stands in the paper. `stated`: what the deterministic reader found."""
    what = f"{shown(item.key, quoted=False)} = {shown(item.value)}"
    if item.key not in keys():
        return Dropped(what, "no such key is asked for")
    if problem := _unquoted(item.line, item.quote, document) or _unnamed(item.of, document):
        return Dropped(what, problem)
    value = _value(item.key, item.value)
    if value is None or not _allowed(item.key, value):
        return Dropped(what, "no value that a description may hold")
    why = _said(item.key, value, item.quote)
    if why is None:
        return Dropped(what, f"the words {shown(item.quote)} do not say it")
    if other := _taken(item, value, stated):
        return Dropped(what, f"{CONFIRMS} takes the words {shown(item.quote)} for {other}")
    source, part = Source(item.line, item.quote), _part(document, item.line)
    return Fact(item.key, value, source, of=item.of, part=part, how=How.MODEL, why=why)


def method_of(item: MethodItem, document: Document) -> Method | Dropped:
    """The method, if its words stand in the paper, say its degrees, and it is a strategy of dagc."""
    what = f"{item.role} {shown(item.strategy)}"
    if problem := _unquoted(item.line, item.quote, document):
        return Dropped(what, problem)
    if is_file_name(item.strategy):
        return Dropped(what, "a file is no strategy of dagc")
    try:
        check_choice(item.strategy, {}, None)
    except Refused as refused:
        return Dropped(what, refused.diagnostics[0].problem)
    degrees = [int(number) for number in re.findall(r"\d+", item.strategy)]
    unsaid = [str(degree) for degree in degrees if degree not in _numbers(item.quote)]
    if unsaid:
        return Dropped(what, f"the words {shown(item.quote)} do not say {', '.join(unsaid)}")
    named = _NAME.fullmatch(item.name) and _holds("\n".join(document.lines), item.name)
    name = item.name if named else item.strategy
    return Method(name, item.role, item.strategy, (Source(item.line, item.quote),), mechanism=str(How.MODEL))


def _unquoted(line: int, quote: str, document: Document) -> str:
    """Why words do not count as quoted from a line; nothing where they begin there."""
    if line > len(document.lines):
        return f"the paper has no line {line}"
    if not _plain(quote).strip():
        return "nothing is quoted"
    window = document.lines[line - 1 : line + WRAPPED]
    for form in (_spaced, _plain):
        at = form("\n".join(window)).find(form(quote))
        if 0 <= at < len(form(window[0])):
            return ""
    return f"the words {shown(quote)} do not stand in line {line}"


def _unnamed(of: str, document: Document) -> str:
    if not of or (of.isprintable() and _holds("\n".join(document.lines), of)):
        return ""
    return f"the paper names no {shown(of)}"


def _holds(text: str, words: str) -> bool:
    return _plain(words).casefold() in _plain(text).casefold()


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _plain(text: str) -> str:
    """Without markup, for words are quoted without it."""
    return _spaced(_MARKUP.sub(" ", text))


def _value(key: str, given: bool | int | float | str) -> Value | None:
    """A number that is whole as such; a number or quantity that is a text as the number; else as given."""
    if isinstance(given, float):
        return int(given) if given.is_integer() and abs(given) < 1 << 62 else None
    if isinstance(given, str) and key not in vocabulary().words and key != "gpu":
        found = figures(given)
        return found[0].values[0] if len(found) == 1 and len(found[0].values) == 1 else None
    return given


def _allowed(key: str, value: Value) -> bool:
    """May a description hold it?"""
    if key not in _shapes():
        return isinstance(value, str) or (isinstance(value, int) and 0 < value < 10**9)
    try:
        _shapes()[key].validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


@cache
def _shapes() -> dict[str, TypeAdapter[Any]]:
    """By key of a fact the shape of its value."""
    fields = {f"links.{name}": field for name, field in LinksText.model_fields.items()}
    for shape in (ModelText, ClusterText, SizesText):
        fields |= shape.model_fields
    adapters = {key: TypeAdapter(field.rebuild_annotation()) for key, field in fields.items()}
    return adapters | {"nodes": TypeAdapter(Size)}


def _said(key: str, value: Value, quote: str) -> str | None:
    """How the words say the value: with its derivation if they only give its factors; None where they do not."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _counted(value, quote)
    wordings = vocabulary().words.get(key, {}).get(str(value).lower())
    if wordings is not None:
        return "" if pattern(*wordings).search(quote) else None
    if isinstance(value, bool):
        return None
    return "" if _holds(quote, str(value)) else None


def _counted(value: int, quote: str) -> str | None:
    """Nothing where the number stands in the words, two factors where those do, None where neither."""
    given = _numbers(quote)
    if value in given:
        return ""
    found = (f"{a} {sign} {b}" for a, b in permutations(given, 2) for sign, of in _FACTORS.items() if of(a, b) == value)
    return next(found, None)


_FACTORS: dict[str, Callable[[int, int], float]] = {"×": lambda a, b: a * b, "/": lambda a, b: a / b if b else 0}


def _numbers(quote: str) -> list[int]:
    """The numbers that words state, those that stand at letters (TP8, EP=16) last."""
    stated = [number for figure in figures(quote) for number in figure.values]
    return list(dict.fromkeys([*stated, *map(int, re.findall(r"(?<![\d.,])\d{1,9}(?![\d.,]*\d)", quote))]))


def _taken(item: FactItem, value: Value, stated: Sequence[Fact]) -> str:
    """The other key that the deterministic reader has these very words for; nothing where they are free."""
    mine = [fact for fact in stated if fact.value == value and fact.source.quote in item.quote]
    others = [fact.key for fact in mine if fact.key != item.key]
    if not others or len(others) < len(mine) or isinstance(value, bool | str):
        return ""
    times = sum(number == value for figure in figures(item.quote) for number in figure.values)
    return others[0] if times <= len(others) else ""


def _part(document: Document, line: int) -> Part:
    def has(block: Block) -> bool:
        return block.lines[0] <= line <= block.lines[1]

    return next((block.part for block in document.blocks if has(block)), Part.OTHER)
