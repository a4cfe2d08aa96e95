"""How dimensions change, operator by operator: of one layer, once for all layers whose steps are the same.

| # | operator | takes, on a GPU | gives, on a GPU | of the whole | weight, on a GPU |
| 2 | Q projection | [seq_len=1024, hidden=4096] | [seq_len=1024, heads=4] | heads 32 = 8 × 4 | [hidden=4096, heads=4] |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

from ...ir.deployment import Deployment, Kind, Port, Repeat, Row
from ...ir.ids import spans
from ..labels import brackets, sending
from ..ranges import RUNS_IN_LABEL, gpus_label, groups_label, together
from .markdown import bold, code, escaped, table

HEAD = ("#", "operator", "takes, on a GPU", "gives, on a GPU", "of the whole", "weight, on a GPU")


@dataclass(frozen=True)
class Step:
    """One operator on one GPU: local dimensions of what it takes and gives, global ones of what it gives; of every
    dimension that is cut its global size as parts × local size; what it sends, to whom.
    """

    operator: str
    path: str
    kind: str
    takes: str
    gives: str
    whole: str
    cut: dict[str, str]
    addends: int
    weight: str
    sends: str


@dataclass(frozen=True)
class Body:
    """Steps that happen `times` times on some GPUs; `layers` is empty outside the repeated layers."""

    layers: str
    times: int
    gpus: str
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def bodies(graph: Deployment) -> list[Body]:
    """The program in order: what comes before the layers, a layer of each kind, what comes after."""
    return [_body(graph, list(rows)) for _, rows in groupby(graph.rows, key=lambda row: _key(row.repeat))]


def _key(repeat: Repeat | None) -> tuple[int, ...]:
    return (repeat.first, repeat.last, repeat.period) if repeat else ()


def _body(graph: Deployment, rows: list[Row]) -> Body:
    gpus = together((row.places for row in rows), graph.gpus)
    repeat = rows[0].repeat
    said = spans(gpus, RUNS_IN_LABEL) if len(gpus) else "host"
    steps = tuple(_step(row, len(gpus)) for row in rows)
    return Body(repeat.layers if repeat else "", (repeat.count if repeat else 1), said, steps)


def _step(row: Row, gpus: int) -> Step:
    cut, addends = dict[str, str](), 1
    for port in row.outputs:
        cut |= dict(_cuts(port))
        addends = max(addends, port.addend.parts if port.addend else 1)
    whole = brackets(row, row.outputs, whole=True)
    own = f" (on {gpus_label(row.gpus)})" if 0 < row.places.size < gpus and row.move is None else ""
    return Step(
        row.title + own,
        row.path,
        str(row.kind),
        brackets(row, row.inputs),
        brackets(row, row.outputs),
        whole,
        cut,
        addends,
        brackets(row, row.parameters),
        _sends(row),
    )


def _cuts(port: Port) -> Iterator[tuple[str, str]]:
    """`32 = 8 × 4`; `32 in 5 parts`, where they are not equal."""
    for name, share, local, whole in zip(port.names, port.shares, port.local, port.whole, strict=False):
        if share is not None and share.parts > 1:
            exact = isinstance(local, int) and share.parts * local == whole
            yield name, f"{whole} = {share.parts} × {local}" if exact else f"{whole} in {share.parts} parts"


def _sends(row: Row) -> str:
    if row.move is None:
        return ""
    if row.is_transfer:
        return f"{sending(row.move)}; {gpus_label(np.unique(row.reading))} → {gpus_label(np.unique(row.making))}"
    return f"{sending(row.move)}; among {groups_label(row.places)}"


def lines(found: Sequence[Body]) -> Iterator[str]:
    """A table of every body; of one whose steps were shown already, where."""
    known: dict[tuple[Step, ...], str] = {}
    for index, body in enumerate(found):
        name = _name(found, index)
        alike = known.setdefault(_alike(body), name)
        on = f" on {'the host' if body.gpus == 'host' else 'GPUs ' + body.gpus}"
        if alike != name:
            yield from (f"{bold(escaped(name))}{on}: the same steps as {escaped(alike)}.", "")
        else:
            yield from (f"{bold(escaped(name))}{on}", "")
            yield from table(HEAD, _rows(body), right=(0,))


def _alike(body: Body) -> Any:
    """Equal for bodies of the same steps, wherever they are."""
    return tuple(
        (s.operator, s.takes, s.gives, s.whole, s.weight, s.addends, s.sends.partition(";")[0]) for s in body.steps
    )


def _name(found: Sequence[Body], index: int) -> str:
    body = found[index]
    if body.layers:
        return f"Layer{'s' * (body.times > 1)} {body.layers}" + (f" (× {body.times})" if body.times > 1 else "")
    return "Before the layers" if index == 0 else "After the layers" if index == len(found) - 1 else "Between layers"


def _rows(body: Body) -> Iterator[list[str]]:
    for number, step in enumerate(body.steps, 1):
        name = bold(escaped(step.operator)) if step.kind == Kind.COMM else escaped(step.operator)
        sends = f"<br>{escaped(step.sends)}" if step.sends else ""
        takes = "" if step.kind == Kind.INPUT else code(step.takes)
        gives = "" if step.kind == Kind.OUTPUT else code(step.gives)
        yield [str(number), name + sends, takes, gives, _whole(step), code(step.weight)]


def _whole(step: Step) -> str:
    """What is cut, and what is owed; `all` where a GPU has all of it."""
    said = [f"{name} {cut}" for name, cut in step.cut.items()]
    said += [f"one of {step.addends} addends of a sum"] * (step.addends > 1)
    return "<br>".join(map(escaped, said)) or "all"
