"""Which experts GPUs hold, as a strategy file says it.

experts: {redundant: 32}                       # so many slots more than experts; `gpus`: one on every GPU
experts: {slots: gpus}                         # equally many on every GPU, as few as hold all experts and replicas
experts: {slots: 288, replicas: {3: 4, 17: 2}} # hot experts, by id, and how many slots each has
experts: {placement: [[0, 1, 5], [2, 3, 5]]}   # the experts of every GPU, in the order in which experts are cut
experts: {placement: table.yaml}               # the same from a file beside this one

Where a placement lists more experts for some GPUs than for others, it says in which sizes experts are cut, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, RootModel

from ..diagnostics import Diagnostic, Refused
from ..ir import orders
from ..ir.plan import Rule
from ..ir.slots import EACH_GPU, MAX_SLOTS, Count, Slots
from .parsed import Parsed
from .schema import Strict, checked
from .yaml_reader import read_yaml

EXPERTS = "experts"


def _count(value: Any) -> Count:
    if value == EACH_GPU or (isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_SLOTS):
        return value
    raise ValueError(f"a number from 1 to {MAX_SLOTS}, or `{EACH_GPU}`")


def _ids(value: Any) -> Any:
    """Keys of a file are text."""
    if isinstance(value, dict) and all(str(key).isdecimal() for key in value):
        return {int(key): count for key, count in value.items()}
    raise ValueError("experts' ids with a number of slots, such as {3: 4, 17: 2}")


Number = Annotated[int, Field(ge=0, le=MAX_SLOTS)]
Row = Annotated[list[Number], Field(min_length=1, max_length=MAX_SLOTS)]
Rows = Annotated[list[Row], Field(min_length=1, max_length=MAX_SLOTS)]


_Count = Annotated[int, Field(ge=1, le=MAX_SLOTS)] | Literal["gpus"]
_Id = Annotated[str, Field(pattern=r"^\d+$")]
_Replicas = dict[_Id, Annotated[int, Field(ge=1, le=MAX_SLOTS)]]


class Table(RootModel[Rows]):
    """A file that is nothing but a placement."""


class SlotsText(Strict):
    """Experts in slots: copies of hot ones, or which are where."""

    slots: Annotated[Any, PlainValidator(_count, json_schema_input_type=_Count)] = None
    """How many slots there are; `gpus`: as few on every GPU as hold all experts and replicas."""
    redundant: Annotated[Any, PlainValidator(_count, json_schema_input_type=_Count)] = None
    """So many slots more than experts; `gpus`: one on every GPU."""
    replicas: Annotated[
        dict[int, Annotated[int, Field(ge=1, le=MAX_SLOTS)]], BeforeValidator(_ids, json_schema_input_type=_Replicas)
    ] = {}
    """Hot experts, by id, and how many slots each has."""
    placement: Rows | str | None = None
    """The experts of every GPU, in the order in which experts are cut; or a file of them."""


def slots_of(text: SlotsText, parsed: Parsed) -> Slots:
    """What is said of slots under the key `experts` of a file. Refused where two keys say how many there are."""
    where = parsed.where("experts")
    given = [name for name in ("slots", "redundant", "placement") if getattr(text, name) is not None]
    given += ["replicas"] if text.replicas and text.placement is not None else []
    if len(given) > 1:
        problem = f"{' and '.join(given)} both say how many slots there are"
        raise Refused(Diagnostic("slots", problem, where, "one of them", hint=f"remove {given[-1]}"))
    placement = _read(Path(parsed.name).parent / text.placement) if isinstance(text.placement, str) else text.placement
    rows = tuple(map(tuple, placement or ()))
    return Slots(text.slots, text.redundant, tuple(text.replicas.items()), rows, where)


def cut_as_placed(rules: Iterable[Rule], slots: Slots | None) -> tuple[Rule, ...]:
    """The rules; those that cut experts in no order of their own cut them into the sizes that a placement lists, where
    these are not equal.
    """
    lengths = [len(own) for own in slots.placement] if slots else []
    return tuple(_sized(rule, lengths) if len(set(lengths)) > 1 else rule for rule in rules)


def _sized(rule: Rule, sizes: list[int]) -> Rule:
    if EXPERTS not in rule.cuts or rule.order(EXPERTS) not in (orders.CONTIGUOUS, orders.UNEVEN):
        return rule
    others = (pair for pair in rule.orders if pair[0] != EXPERTS)
    return replace(rule, orders=(*others, (EXPERTS, orders.listed(sizes))))


def _read(path: Path) -> list[list[int]]:
    found, problems = checked(Table, read_yaml(path))
    if found is None:
        raise Refused(*problems)
    return found.root
