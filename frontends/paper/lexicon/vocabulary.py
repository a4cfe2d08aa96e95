"""The table of words (`vocabulary.yaml`), typed, its wordings compiled."""

from __future__ import annotations

import re
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ....diagnostics import Refused
from ...gpus import gpus
from ...schema import Strict, checked
from ...yaml_reader import read_yaml
from .counts import NUMBER

TABLE = Path(__file__).parent / "vocabulary.yaml"

_LIST = rf"(?P<n>{NUMBER}(?:(?:,| and| or|, and|, or| to)\s{{0,2}}{NUMBER}){{0,9}})"
"""The number of a form, or a list of them."""
_PIECES = re.compile(r"(\[(?:\\.|[^\]])*\]|\\.|\{n\}|\{gpu\}| \?| )")


LARGEST = 10**7
"""Of what a model has: a larger number counts parameters."""


class Becomes(Strict):
    """A fact of another key, if what stands before its name matches, not what stands behind the fact, and the number is
    not greater than `most`.
    """

    key: str
    left: str
    not_right: list[str] = []
    most: int | None = None


class Entry(Strict):
    """How one key is said; see the head of the table."""

    about: Literal["model", "sizes", "cluster"]
    units: list[str] = []
    names: list[str] = []
    forms: list[str] = []
    kinds: list[str] = [""]
    near: list[str] = []
    never: list[str] = []
    never_left: list[str] = []
    never_right: list[str] = []
    weak_left: list[str] = []
    weak_right: list[str] = []
    becomes: list[Becomes] = []
    least: int = 1


class Guard(Strict):
    never_left: list[str] = []
    never_right: list[str] = []


class TableWords(Strict):
    """Headers of columns: what names a model, a method, a cluster, a symbol, a unit, a meaning, or nothing."""

    model: list[str]
    method: list[str]
    cluster: list[str]
    generic: list[str]
    symbol: list[str]
    unit: list[str]
    meaning: list[str]


def _spoken(value: Any) -> Any:
    """Keys of a mapping as YAML spells truth: `true`, `false`."""
    return {str(k).lower() if isinstance(k, bool) else k: v for k, v in value.items()}


Wordings = Annotated[dict[str, list[str]], BeforeValidator(_spoken)]


class Vocabulary(Strict):
    """All wordings. Methods compile them once."""

    keys: dict[str, Entry]
    products: dict[str, list[str]]
    words: dict[str, Wordings]
    word_guards: dict[str, Guard]
    stop: list[str]
    joints: list[str]
    gpus: list[str]
    another: str
    models: list[str]
    platforms: str
    table: TableWords
    foreign: str
    aliases: dict[str, str]
    families: Annotated[list[str], Field(min_length=1)]

    @cached_property
    def gpu_names(self) -> dict[str, str]:
        """Spelling → name of every GPU type, known or not, longest spelling first."""
        known = {also: name for name, gpu in gpus().items() for also in (name, *gpu.also)}
        return dict(sorted(({name: name for name in self.gpus} | known).items(), key=lambda item: -len(item[0])))


@cache
def vocabulary() -> Vocabulary:
    found, problems = checked(Vocabulary, read_yaml(TABLE))
    if found is None:
        raise Refused(*problems)
    return found


def about(key: str) -> str:
    """What a key is of: model, sizes or cluster."""
    entry = vocabulary().keys.get(key)
    return entry.about if entry else {"gpu": "cluster", "phase": "sizes"}.get(key, "model")


def wording(text: str) -> str:
    """A wording of the table as a regular expression: a space stands for spaces and hyphens, {n} for a number."""

    def spelled(piece: str) -> str:
        if piece == "{gpu}":
            return "|".join(r"[\s-]?".join(map(re.escape, re.split(r"[\s-]", name))) for name in vocabulary().gpu_names)
        return {"{n}": _LIST, " ?": r"[\s_-]*", " ": r"[\s_-]+"}.get(piece, piece)

    return "".join(map(spelled, _PIECES.split(text)))


@cache
def pattern(*wordings: str) -> re.Pattern[str]:
    """One expression for any of the wordings, in any case."""
    return re.compile("|".join(f"(?:{wording(text)})" for text in wordings) or r"(?!)", re.IGNORECASE)


@cache
def whole(*wordings: str) -> re.Pattern[str]:
    """One expression for a text that is one of the wordings and nothing else."""
    return re.compile(rf"\s*(?:{'|'.join(map(wording, wordings))})\s*", re.IGNORECASE)
