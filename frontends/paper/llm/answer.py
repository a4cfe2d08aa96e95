"""The text of an answer → its items, each of the right shape or dropped, with why. Nothing in it is believed yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ....diagnostics import Refused
from ...json_reader import parse_json
from ...parsed import Parsed, shown
from ...schema import Strict, checked
from .endpoint import Unanswered
from .question import MAX_ITEMS

_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)
Words = Annotated[str, Field(min_length=1, max_length=600)]
Short = Annotated[str, Field(max_length=200)]
Line = Annotated[int, Field(ge=1)]


class FactItem(Strict):
    key: Short
    value: bool | int | float | Short
    of: Short = ""
    line: Line
    quote: Words


class MethodItem(Strict):
    name: Short
    role: Literal["baseline", "proposed"]
    strategy: Short
    line: Line
    quote: Words


@dataclass(frozen=True)
class Dropped:
    """An item that does not count, as a message may show it, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Answer:
    facts: tuple[FactItem, ...]
    methods: tuple[MethodItem, ...]
    dropped: tuple[Dropped, ...]


def answer_of(text: str) -> Answer:
    """The items of an answer. Unanswered where it is no JSON object with lists of facts and methods."""
    fenced = _FENCED.fullmatch(text)
    try:
        data = parse_json(fenced[1] if fenced else text, "the answer").data
    except Refused as refused:
        raise Unanswered(f"the answer {refused.diagnostics[0].problem}") from refused
    if not isinstance(data, dict) or not isinstance(data.get("facts"), list):
        raise Unanswered("the answer is no object with a list of facts")
    dropped = [Dropped(shown(key), "no such key is asked for") for key in data if key not in ("facts", "methods")]
    facts = list(_items(data["facts"], FactItem, dropped))
    listed: Any = data.get("methods", [])
    methods = list(_items(listed if isinstance(listed, list) else [listed], MethodItem, dropped))
    return Answer(tuple(facts), tuple(methods), tuple(dropped))


def _items(listed: list[Any], kind: type[Any], dropped: list[Dropped]) -> Iterator[Any]:
    for item in listed[:MAX_ITEMS]:
        found, problems = checked(kind, Parsed("the answer", item))
        if found is not None:
            yield found
        else:
            dropped.append(Dropped(shown(item), "; ".join(problem.problem for problem in problems[:3])))
    if len(listed) > MAX_ITEMS:
        dropped.append(Dropped(f"{len(listed) - MAX_ITEMS} items", f"past the first {MAX_ITEMS}"))
