"""Values of a mechanism's parameters: stated in the paper, derived from what is, or the table's default.

slice_width   64    stated   "Slice width d_s | 64"
ds             2    derived  d_k / slice_width = 128 / 64
hg             8    derived  gpus / ds = 16 / 2
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..document import RANK
from ..facts import How, Source
from ..lexicon.counts import count
from .arithmetic import evaluated, shown
from .known import OPEN
from .mechanisms import Mechanism
from .notation import degrees
from .patterns import pattern
from .recognising import turned_down
from .statements import Role, Statement

_DEGREE = "degree "
_OF_GPUS = re.compile(r"gpus(?: / \w+)*")


@dataclass(frozen=True)
class Parameter:
    """A value, how it was come by, and from where; `why` is the derivation."""

    name: str
    value: int | str
    how: How
    why: str = ""
    source: Source | None = None


def parameters_of(
    mechanism: Mechanism, statements: Sequence[Statement], known: Mapping[str, object]
) -> dict[str, Parameter]:
    """Every parameter that gets a value; a later one may rest on an earlier, and the other way round."""
    own = _telling(statements)
    found: dict[str, Parameter] = {}
    for _ in mechanism.parameters:  # until what rests on others has them
        for name, ways in mechanism.parameters.items():
            if name not in found and (made := _parameter(name, ways, own, {**known, **_values(found)})):
                found[name] = made
    return found


def _telling(statements: Sequence[Statement]) -> list[Statement]:
    """Statements of the proposal and of neither, those that count most first."""
    own = [s for s in statements if s.role in (Role.PROPOSED, Role.NEUTRAL)]
    return sorted(own, key=lambda s: (s.role is not Role.PROPOSED, RANK[s.block.part]))


def _values(found: Mapping[str, Parameter]) -> dict[str, int | str]:
    return {name: parameter.value for name, parameter in found.items()}


def _parameter(
    name: str, ways: Sequence[str], statements: Sequence[Statement], values: Mapping[str, object]
) -> Parameter | None:
    return next((made for way in ways for made in _made(name, way, statements, values)), None)


def _made(name: str, way: str, statements: Sequence[Statement], values: Mapping[str, object]) -> Iterator[Parameter]:
    """What one way of the table gives, if anything."""
    if way.startswith(_DEGREE):
        yield from _degrees(name, way.removeprefix(_DEGREE), statements)
    elif "<" in way:
        yield from _stated(name, way, statements)
    elif way.isdigit():
        yield Parameter(name, int(way), How.DECLARED, f"{name} = {way} is assumed")
    elif values.get("gpus") == OPEN and _OF_GPUS.fullmatch(way):
        yield Parameter(name, OPEN, How.DERIVED, f"{name} = {way}, for each number of GPUs")
    elif (value := evaluated(way, values)) is not None:
        worked = f" = {shown(way, values)}" if " " in way or "(" in way else ""
        yield Parameter(name, value, How.DERIVED, f"{name} = {way}{worked} = {value}")


def _degrees(name: str, axis: str, statements: Sequence[Statement]) -> Iterator[Parameter]:
    """Those that are stated; "1-way TP" only where no other is."""
    found = [(degree, statement) for statement in statements for degree in degrees(statement.text)]
    for degree, statement in sorted(found, key=lambda pair: pair[0].size == 1):
        if degree.axis == axis and statement.role_at(degree.start) is not Role.BASELINE:
            yield Parameter(name, degree.size, How.STATED, source=statement.source(degree.start, degree.end))


def _stated(name: str, way: str, statements: Sequence[Statement]) -> Iterator[Parameter]:
    for statement in statements:
        for match in pattern(way).finditer(statement.text):
            near = _nearest(pattern(way), match)
            turned = turned_down(statement.text, near.start("n"))
            if statement.role_at(near.start()) is not Role.BASELINE and not turned and (value := count(near["n"])) > 0:
                yield Parameter(name, value, How.STATED, source=statement.source(*near.span()))


def _nearest(says: re.Pattern[str], match: re.Match[str]) -> re.Match[str]:
    """The shortest match with the same end: of "8 GPUs: 4 GPUs for prefill" the latter four."""
    later = says.search(match.string, match.end("n"), match.end())
    return match if later is None or later.end() != match.end() else _nearest(says, later)
