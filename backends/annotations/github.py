"""For GitHub Actions: commands that annotate lines of a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from ...diagnostics import Diagnostic
from .place import place_of

_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_MESSAGE, ":": "%3A", ",": "%2C"}


def github(found: Sequence[Diagnostic], files: Sequence[str]) -> str:
    """
    >>> print(github([Diagnostic("DAG1", "a cycle", "ep.dot:4 at q_proj")], []), end="")
    ::error file=ep.dot,line=4,title=DAG1 at q_proj::a cycle
    """
    return "".join(f"{_command(each)}\n" for each in found)


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
