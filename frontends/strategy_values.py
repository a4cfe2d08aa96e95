"""Single values of a strategy's file: sizes of axes, names, patterns of module paths."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, PlainValidator

T = TypeVar("T")
OneOrMore = T | Annotated[list[T], Field(min_length=1)]

OPEN = "gpus"
MAX_PARTS = 2**30

_PATTERN = re.compile(r"(\*|\w+(\[\d{1,6}(-\d{1,6})?\])?)(\.(\*|\w+(\[\d{1,6}(-\d{1,6})?\])?))*", re.ASCII)


def _parts(value: Any) -> int | None:
    if value == OPEN:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_PARTS:
        return value
    raise ValueError(f"a number of parts (at least 1), or `{OPEN}` for what is left of the GPUs")


def names(value: Any, what: str) -> tuple[str, ...]:
    """A name or a list of them. ValueError says `what` is expected."""
    listed: list[Any] = value if isinstance(value, list) and value else [value]
    if all(isinstance(name, str) and name for name in listed):
        return tuple(listed)
    raise ValueError(what)


def _places(value: Any) -> tuple[str, ...]:
    """`at`: one pattern or several, such as `*.experts` or `layers[0-15].attention`."""
    places = names(value, "a pattern of module paths, or a list of them")
    for place in places:
        if not _PATTERN.fullmatch(place):
            raise ValueError("a pattern such as *, *.experts, layers.moe or layers[0-15].attention")
    return places


AxisName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
_Number = Annotated[int, Field(ge=1, le=MAX_PARTS)]
Parts = Annotated[Any, PlainValidator(_parts, json_schema_input_type=_Number | Literal["gpus"])]
_Place = Annotated[str, Field(pattern=f"^{_PATTERN.pattern}$", examples=["*", "*.experts", "layers[0-15].attention"])]
Places = Annotated[Any, PlainValidator(_places, json_schema_input_type=OneOrMore[_Place])]
