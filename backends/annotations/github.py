"""For GitHub Actions: commands that annotate lines of a pull request, of which it shows ten a step."""

from __future__ import annotations

from collections.abc import Sequence

from ...diagnostics import Diagnostic
from .few import few
from .place import place_of

MOST = 10
"""Findings of one code and file that are annotated."""
_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_MESSAGE, ":": "%3A", ",": "%2C"}


def github(found: Sequence[Diagnostic], files: Sequence[str]) -> str:
    """
    >>> print(github([Diagnostic("DAG1", "a cycle", "ep.dot:4 at q_proj")], []), end="")
    ::error file=ep.dot,line=4,title=DAG1 at q_proj::a cycle
    """
    return "".join(_commands(kept, left) for _, kept, left in few(found, MOST))


def _commands(kept: list[Diagnostic], left: int) -> str:
    place, code = place_of(kept[0]), kept[0].code
    file = f" file={_escaped(place.file, _PROPERTY)},title={code}" if place.file else f" title={code}"
    more = f"::notice{file}::… and {left:,} more ({code})\n" if left else ""
    return "".join(f"{_command(each)}\n" for each in kept) + more


def _command(each: Diagnostic) -> str:
    place = place_of(each)
    properties = {
        "file": place.file,
        "line": str(place.line or ""),
        "title": each.code + (f" at {place.node}" * bool(place.node)),
    }
    listed = ",".join(f"{name}={_escaped(value, _PROPERTY)}" for name, value in properties.items() if value)
    details = (("expected", each.expected), ("actual", each.actual), ("hint", each.hint))
    message = "\n".join([each.problem, *(f"{name}: {value}" for name, value in details if value)])
    return f"::{each.severity} {listed}::{_escaped(message, _MESSAGE)}"


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(sign, sign) for sign in text)
