"""What is to be said of a method: another function than the model's, claims that do not hold, what is left out.

All of it is data (`tables/claims.yaml`): patterns that are said, or not, and the remark that follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from ..facts import Remark, Source, Verdict
from .arithmetic import worked
from .drafts import Draft
from .patterns import pattern, table
from .statements import Role, Statement


def claims_of(draft: Draft, statements: Sequence[Statement]) -> list[Remark]:
    """Every remark of the table that a method calls for."""
    own = [s for s in statements if s.role not in (Role.BASELINE, Role.ELSEWHERE)]
    return [made for entry in _table() if _about(entry, draft) for made in _remark(entry, draft, own)]


@cache
def _table() -> tuple[dict[str, Any], ...]:
    return tuple(table("claims.yaml").values())


def _about(entry: Mapping[str, Any], draft: Draft) -> bool:
    asked = all(isinstance(draft.values.get(key), int) for key in entry.get("asks", ()))
    return asked and draft.mechanism.name in entry.get("of", (draft.mechanism.name,))


def _remark(entry: Mapping[str, Any], draft: Draft, statements: Sequence[Statement]) -> Iterator[Remark]:
    said = tuple(_found(entry.get("says", entry.get("cites", ())), statements))
    if ("says" in entry and not said) or any(_found(entry.get("unless", ()), statements)):
        return
    arithmetic = worked(entry.get("arithmetic", ""), draft.values)
    instead = tuple(entry.get("instead", ()))
    yield Remark(Verdict(entry["verdict"]), entry["about"], entry["text"], said[:3], arithmetic, instead)


def _found(patterns: Sequence[str], statements: Sequence[Statement]) -> Iterator[Source]:
    """Where one of the patterns is said, each statement once."""
    every = [pattern(says) for says in patterns]
    for statement in statements:
        match = next((match for says in every if (match := says.search(statement.text))), None)
        if match:
            yield statement.source(match.start())
