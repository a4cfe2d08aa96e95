"""Points at which two readings of a paper give two graphs: what is asked, the options, the one taken and why.

    --reading exactness=literal      softmax over each slice, as written
    --reading attention=tensor-parallel

The points of a mechanism and what each option changes of the method are data (`tables/readings.yaml`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from ....diagnostics import Diagnostic, Refused, nearest
from ..facts import Option, Point, Remark, Source, Verdict
from .drafts import Draft
from .patterns import pattern, table
from .recognising import turned_down
from .statements import Role, Statement

FLAG = "--reading"
REPAIR = "repair"
"""What points at repairs are called by: they are there once methods are tried."""


def points_of(draft: Draft, statements: Sequence[Statement], picked: Mapping[str, str]) -> list[Point]:
    """The points of a method; `picked` are the user's answers. Refused for an option that a point has not."""
    return [_point(name, draft, statements, picked) for name, entry in _table().items() if _has(entry, draft)]


def taken(draft: Draft, points: Sequence[Point]) -> Draft:
    """The method as the chosen options change it."""
    for point in points:
        option = _table()[point.id]["options"][point.chosen]
        draft = _changed(draft, option)
    return replace(draft, picked={point.id: point.chosen for point in points})


def remark_of(point: Point) -> Remark:
    """What is said of a point: what was taken, why, and how to take another option."""
    about = next(option.about for option in point.options if option.name == point.chosen)
    others = tuple(f"{option.about}: {option.flag}" for option in point.options if option.name != point.chosen)
    return Remark(Verdict.CHOSEN, point.id, f"{point.question} {about} ({point.why})", point.sources, "", others)


def check_picked(picked: Mapping[str, str], points: Sequence[Point]) -> None:
    """Refused for answers to questions that no method of the paper raises."""
    known = {point.id for point in points}
    found = [
        Diagnostic("unknown-value", f"no method of the paper has a point {name}", FLAG, hint=nearest(name, known))
        for name in picked
        if name not in known and not name.startswith(REPAIR)
    ]
    if found:
        raise Refused(*found)


@cache
def _table() -> dict[str, dict[str, Any]]:
    return table("readings.yaml")


def _has(entry: Mapping[str, Any], draft: Draft) -> bool:
    return draft.mechanism.name in entry["of"]


def _point(name: str, draft: Draft, statements: Sequence[Statement], picked: Mapping[str, str]) -> Point:
    entry = _table()[name]
    options = tuple(Option(key, o["about"], f"{FLAG} {name}={key}") for key, o in entry["options"].items())
    point = Point(
        name, entry["question"], options, options[0].name, entry["why"], draft.mechanism.name, entry.get("tries", False)
    )
    if name in picked:
        return replace(point, chosen=known(picked[name], point), why="as asked for")
    for key, option in entry["options"].items():
        for source in _said(option.get("says", ()), statements):
            return replace(point, chosen=key, why="as the paper says", stated=True, sources=(source,))
    return point


def known(option: str, point: Point) -> str:
    """The option. Refused where the point has none of this name."""
    names = [one.name for one in point.options]
    if option not in names:
        problem, where = f"{point.id} has no option {option}", f"{FLAG} {point.id}"
        raise Refused(Diagnostic("unknown-value", problem, where, ", ".join(names), option, nearest(option, names)))
    return option


def _said(patterns: Sequence[str], statements: Sequence[Statement]) -> Iterator[Source]:
    for says in map(pattern, patterns):
        for statement in statements:
            match = says.search(statement.text)
            if match and _own(statement, match) and not turned_down(statement.text, match.start()):
                yield statement.source(*match.span())


def _own(statement: Statement, match: re.Match[str]) -> bool:
    return statement.role_at(match.start()) in (Role.PROPOSED, Role.NEUTRAL)


def _changed(draft: Draft, option: Mapping[str, Any]) -> Draft:
    draft = replace(draft, values={**draft.values, **option.get("set", {})})
    if "alternatives" in option and isinstance(draft.template, dict) and "alternatives" in draft.template:
        draft = draft.keeping(option["alternatives"])
    return replace(draft, template=option.get("body") or option.get("strategy") or draft.template)
