"""The table of mechanisms (`tables/mechanisms.yaml`), typed: ways to deploy, by what papers say of how they work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from .patterns import pattern, table

ENOUGH = 4.0
"""What clues must add up to where the table does not say."""


@dataclass(frozen=True)
class Clue:
    """Words that speak for a mechanism, or with a negative weight against it."""

    weight: float
    says: re.Pattern[str]


@dataclass(frozen=True)
class Mechanism:
    """One entry; see the head of the table. A strategy is a text or a body, {name} in it standing for parameters."""

    name: str
    about: str
    clues: tuple[Clue, ...]
    least: float
    over: tuple[str, ...]
    asks: tuple[str, ...]
    parameters: dict[str, list[str]]
    one: dict[str, dict[str, re.Pattern[str]]]
    several: dict[str, dict[str, re.Pattern[str]]]
    strategy: str
    body: dict[str, Any] | None
    phases: tuple[str, ...]


@cache
def mechanisms() -> dict[str, Mechanism]:
    """Every mechanism, by name."""
    return {name: _mechanism(name, entry) for name, entry in table("mechanisms.yaml").items()}


def _mechanism(name: str, entry: dict[str, Any]) -> Mechanism:
    return Mechanism(
        name=name,
        about=entry["about"],
        clues=tuple(map(_clue, (*entry["clues"], *entry.get("against", ())))),
        least=entry.get("least", ENOUGH),
        over=tuple(entry.get("over", ())),
        asks=tuple(entry.get("asks", ())),
        parameters=entry.get("parameters", {}),
        one=_options(entry.get("one", {})),
        several=_options(entry.get("several", {})),
        strategy=entry.get("strategy", ""),
        body=entry.get("body"),
        phases=_listed(entry.get("phase", [])),
    )


def _clue(text: str) -> Clue:
    weight, _, says = text.partition(" ")
    return Clue(float(weight), pattern(says))


def _options(listed: dict[str, list[str]]) -> dict[str, dict[str, re.Pattern[str]]]:
    return {key: dict(map(_option, options)) for key, options in listed.items()}


def _option(text: str) -> tuple[str, re.Pattern[str]]:
    name, _, says = text.partition(" ")
    return name, pattern(says)


def _listed(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
