"""Checks plain data against a pydantic model and says what is wrong in dagc's own words, everything at once.

unknown key 'hiden'   →  error[unknown-key] x.yaml:3 … hint: did you mean hidden?
heads: "many"         →  error[wrong-type]  x.yaml:4 … expected: a valid integer, actual: 'many'
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError

from ..diagnostics import Diagnostic, nearest
from .parsed import Parsed, shown

T = TypeVar("T")

MAX_SIZE = 10**9
MAX_LAYERS = 10_000
MAX_PROBLEMS = 100

Size = Annotated[int, Field(gt=0, le=MAX_SIZE)]
"""A dimension: positive, and small enough that products of a few stay exact and printable."""
Layers = Annotated[int, Field(gt=0, le=MAX_LAYERS)]
Flag = bool
LayerList = Annotated[list[Annotated[int, Field(ge=0, lt=MAX_LAYERS)]], Field(max_length=MAX_LAYERS)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class Strict(BaseModel):
    """Base of every checked shape: no unknown keys, no conversions. The text below a key is what editors show of it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


def later(kind: Any) -> PlainValidator:
    """Of a value that is checked by itself: as `kind`, so that all that is wrong with it gets a line of its own."""
    return PlainValidator(lambda value: value, json_schema_input_type=kind)


def checked(kind: type[T], parsed: Parsed) -> tuple[T | None, list[Diagnostic]]:
    """The data as `kind`, or None and all that is wrong with it."""
    try:
        return _adapter(kind).validate_python(parsed.data, strict=True), []
    except ValidationError as error:
        return None, list(_explained(error, kind, parsed))


@lru_cache(maxsize=256)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _explained(error: ValidationError, kind: Any, parsed: Parsed) -> Iterator[Diagnostic]:
    for part in error.errors(include_url=False)[:MAX_PROBLEMS]:
        loc = part["loc"]
        name, where = ".".join(map(str, loc)), parsed.where(*loc)
        if part["type"] == "missing":
            yield Diagnostic("missing-key", f"key {name} is missing", parsed.where(*loc[:-1]))
        elif part["type"] == "extra_forbidden":
            hint = nearest(str(loc[-1]), _known_keys(kind, loc[:-1]))
            yield Diagnostic("unknown-key", f"unknown key {shown(loc[-1])}", where, hint=hint)
        else:
            problem = f"{shown(name, quoted=False)} has a wrong value" if loc else "has the wrong shape"
            yield Diagnostic("wrong-type", problem, where, _expected(part["msg"]), shown(part["input"]))


def _expected(message: str) -> str:
    """Pydantic's "Input should be a valid integer" without its start."""
    text = message.removeprefix("Input should be ").removeprefix("Value error, ")
    return "a mapping of keys to values" if "valid dictionary" in text else text


def _known_keys(kind: Any, loc: tuple[str | int, ...]) -> list[str]:
    """The keys that a shape has at a place: lists and optional parts are looked through."""
    for part in loc:
        inner = kind if isinstance(part, int) else kind.model_fields[part].annotation
        kind = next((arg for arg in get_args(inner) if arg is not type(None)), inner)
    return list(getattr(kind, "model_fields", ()))
