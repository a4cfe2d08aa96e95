"""Published models that a text names, and those of them that dagc knows.

"Llama-3.1-8B" → llama-3.1-8b    "Llama 3.1 (8B and 70B)" → both    "a 70B Llama" → llama-3.1-70b, its version assumed
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ...catalogue import DEFAULT_MODEL, builtin_names
from .vocabulary import vocabulary

_SIZE = r"\d+(?:\.\d+)?(?:[x×]\d+(?:\.\d+)?)?[BbTt]\b(?:[-\s]?A\d+(?:\.\d+)?B\b)?"
_VERSION = r"[vV]?\d+(?:\.\d+)?(?![\d.]*(?:[x×]\d+)?[BbTt]\b|[x×]\d)(?:-(?:lite|moe|base)\b)?"


@dataclass(frozen=True)
class Reference:
    """A model by name, from `start` to `end` of a text; `known`: it is one of the catalogue. `assumed`: what of its
    name the text leaves out.
    """

    name: str
    known: bool
    start: int
    end: int
    assumed: str = ""


def references(text: str) -> list[Reference]:
    """All models that a text names, in order: names of the catalogue as they are, then what is named by its parts."""
    whole = [Reference(_known()[_squeezed(m[0])], True, m.start(), m.end()) for m in _spelled().finditer(text)]
    rest = _spelled().sub(lambda match: " " * len(match[0]), text)
    return sorted((*whole, *_named(rest), *_sized(rest)), key=lambda found: found.start)


def _named(text: str) -> Iterator[Reference]:
    """`<family> <version> <sizes>`"""
    for match in _form().finditer(text):
        sizes = list(re.finditer(_SIZE, match["tail"]))
        version = match["version"] or ""
        if sizes:
            for size in sizes:
                yield _reference(match["family"], version, size[0], match.start(), match.start("tail") + size.end())
        elif version:
            yield _reference(match["family"], version, "", match.start(), match.start("tail"))


def _sized(text: str) -> Iterator[Reference]:
    """`a 70B Llama`"""
    for match in re.finditer(
        rf"(?<![\w.])(?P<size>{_SIZE})[\s-](?:\w+\s)?(?P<family>{_families()})\b(?![\s-]?\d)", text
    ):
        yield _reference(match["family"], "", match["size"], match.start(), match.end())


def _reference(family: str, version: str, size: str, start: int, end: int) -> Reference:
    """The model of the catalogue, if its parts name one; where no version is given, the only one of that size."""
    if name := _known().get(_squeezed(f"{family}{version}{size}")):
        return Reference(name, True, start, end)
    parts = {name: name.split("-") for name in builtin_names() if name.startswith(family.casefold())}
    alone = [name for name, words in parts.items() if _squeezed(size) in words]
    if size and not version and len(alone) == 1:
        return Reference(alone[0], True, start, end, f"{family} {size} is taken for {alone[0]}")
    return Reference("-".join(filter(None, (family, version, size))), False, start, end)


@cache
def _known() -> dict[str, str]:
    """Names of the catalogue and their other spellings, without spaces and hyphens."""
    own = {name: name for name in builtin_names() if name != DEFAULT_MODEL}
    return {_squeezed(name): known for name, known in (own | vocabulary().aliases).items()}


def _squeezed(text: str) -> str:
    return re.sub(r"[\s_-]", "", text).replace("×", "x").casefold()


@cache
def _spelled() -> re.Pattern[str]:
    """Any name of the catalogue, however its parts are joined; not the start of a longer one."""
    names = sorted((*builtin_names(), *vocabulary().aliases), key=len, reverse=True)
    spelled = ("[\\s_-]*".join(map(re.escape, name.split("-"))).replace("x", "\\s?[x×]\\s?") for name in names)
    joined = "|".join(re.sub(r"^([a-z]+)(\d)", r"\1[\\s_-]*\2", text) for text in spelled)
    return re.compile(rf"(?<![\w-])(?:{joined})(?![\w.]*\w|[\s-]*(?:\d|v\d|\(\d))", re.IGNORECASE)


@cache
def _form() -> re.Pattern[str]:
    tail = rf"(?P<tail>(?:[\s,(/&)-]*(?:and\s|or\s)?(?:{_SIZE}))*)"
    return re.compile(rf"(?<![\w-])(?P<family>{_families()})(?:[\s-]*(?P<version>{_VERSION}))?{tail}(?!\w)")


@cache
def _families() -> str:
    """Families as they are written: `Llama`, `LLaMA`, `LLAMA`; not the words `switch` or `opt`."""
    spellings = {s for name in vocabulary().families for s in (name.capitalize(), name.upper(), *_MIXED.get(name, ()))}
    return "|".join(sorted(spellings, key=len, reverse=True))


_MIXED = {"llama": ("LLaMA", "LLaMa"), "deepseek": ("DeepSeek", "Deepseek"), "chatglm": ("ChatGLM",), "palm": ("PaLM",)}
_MIXED |= {"olmo": ("OLMo",), "minimax": ("MiniMax",), "pangu": ("PanGu",), "qwen": ("qwen",), "mixtral": ("mixtral",)}
