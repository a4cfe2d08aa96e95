"""Keys that a paper leaves out: derived, else chosen as is usual, else declared, by rules of `rules.yaml`.

heads 32, hidden 4096                →  d_k = hidden / heads = 4096 / 32 = 128          derived
nothing about a vocabulary           →  hidden states go in and come out                declared
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from ....diagnostics import Refused
from ...schema import Strict, checked
from ...yaml_reader import read_yaml
from ..facts import Fact, How, Remark, Source, Value, Verdict
from ..methods.arithmetic import evaluated, shown

RULES = Path(__file__).parent / "rules.yaml"
Chosen = dict[str, Fact]
"""The fact that counts, by key."""
NOWHERE = Source(0, "")


class Usual(Strict):
    """A choice that is usual; other choices give other DAGs."""

    key: str
    value: str
    needs: list[str]
    unless: list[str] = []
    why: str
    instead: list[str] = []


class Declared(Strict):
    """What is taken for a key that nothing gives; `absent`: by leaving it out."""

    key: str
    about: str
    value: bool | int | str = ""
    absent: bool = False
    needs: list[str] = []
    given: dict[str, bool] = {}
    text: str
    instead: list[str] = []


class Rules(Strict):
    """`rules.yaml`."""

    derived: dict[str, list[str]]
    worded: dict[str, dict[str, dict[Any, Any]]]
    usual: list[Usual]
    declared: list[Declared]
    needed: dict[str, str]
    core: list[str]
    plural: list[str]


@cache
def rules() -> Rules:
    found, problems = checked(Rules, read_yaml(RULES))
    if found is None:
        raise Refused(*problems)
    return found


def derive(chosen: Chosen, keys: Sequence[str], of: str) -> list[Remark]:
    """Adds what follows from what is there, until nothing more does."""
    remarks: list[Remark] = []
    while fact := next(_derivable(chosen, keys, of), None):
        chosen[fact.key] = fact
        remarks.append(
            Remark(Verdict.DERIVED, _about(fact), f"{fact.key} = {_text(fact.value)}", (fact.source,), fact.why)
        )
    return remarks


def _derivable(chosen: Chosen, keys: Sequence[str], of: str) -> Iterator[Fact]:
    values = {key: fact.value for key, fact in chosen.items()}
    for key in keys:
        if key in chosen:
            continue
        for word, meanings in rules().worded.get(key, {}).items():
            if word in chosen and (value := _meant(meanings, chosen[word].value, values)) is not None:
                yield replace(
                    chosen[word], key=key, value=value, of=of, how=How.DERIVED, why=f"{word} is {values[word]}", unit=""
                )
        for expression in rules().derived.get(key, ()):
            if (value := evaluated(expression, values)) is not None:
                why = f"{key} = {expression} = {shown(expression, values)} = {value}"
                first = next(chosen[name] for name in chosen if name in expression.split())
                yield replace(first, key=key, value=value, of=of, how=How.DERIVED, why=why)


def _meant(meanings: Mapping[Any, Any], word: Value, values: Mapping[str, Value]) -> Value | None:
    meaning = meanings.get(word)
    return evaluated(meaning, values) if isinstance(meaning, str) else meaning


def choose(chosen: Chosen, keys: Sequence[str], of: str, given: Mapping[str, int]) -> list[Remark]:
    """Adds what is usual where nothing can be derived; `given` are values of the methods (pp)."""
    remarks: list[Remark] = []
    for rule in rules().usual:
        values = {**given, **{key: fact.value for key, fact in chosen.items()}}
        lacks = any(key not in values for key in rule.needs) or any(key in values for key in rule.unless)
        value = None if rule.key in chosen or rule.key not in keys or lacks else evaluated(rule.value, values)
        if value is not None:
            why = f"{rule.value} = {shown(rule.value, values)} = {value}" if " " in rule.value else rule.value
            chosen[rule.key] = Fact(rule.key, value, NOWHERE, of=of, how=How.DECLARED, why=rule.why)
            text = f"{rule.key} = {value} is taken: {rule.why}"
            remarks.append(Remark(Verdict.CHOSEN, _about(chosen[rule.key]), text, (), why, tuple(rule.instead)))
            remarks += derive(chosen, keys, of)
    return remarks


def declare(chosen: Chosen, about: str, of: str = "", moot: Sequence[str] = ()) -> list[Remark]:
    """Adds the defaults of what is left, and says each; `moot` are keys that say nothing here."""
    remarks: list[Remark] = []
    for rule in rules().declared:
        values = {key: fact.value for key, fact in chosen.items()}
        holds = all(key in values for key in rule.needs) and all(values.get(k) is v for k, v in rule.given.items())
        if rule.about != about or rule.key in chosen or rule.key in moot or not holds:
            continue
        value = values.get(str(rule.value), rule.value)
        if not rule.absent:
            chosen[rule.key] = Fact(rule.key, value, NOWHERE, of=of, how=How.DECLARED, why=rule.text)
        said = rule.text if rule.absent else f"{rule.key} = {_text(value)}: {rule.text}"
        remarks.append(
            Remark(Verdict.ASSUMED, f"{of}: {rule.key}" if of else rule.key, said, instead=tuple(rule.instead))
        )
    return remarks


def lacking(chosen: Chosen, keys: Sequence[str], of: str = "") -> list[Remark]:
    """What is needed and still has no value."""
    return [
        Remark(Verdict.MISSING, f"{of}: {key}" if of else key, f"nothing says {what}")
        for key, what in rules().needed.items()
        if key in keys and key not in chosen
    ]


def _about(fact: Fact) -> str:
    return f"{fact.of}: {fact.key}" if fact.of else fact.key


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
