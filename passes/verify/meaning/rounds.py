"""A repeated body stands for all of its rounds. Guarantees, per block of a repeat:

* every round of the model's layers is the same operators reading the same, so that one round shows all
* DAG7: one value comes in and one goes out; the next round of the model reads what the body yields
* what goes out is laid out as what came in: same names, sizes and type, same share on every GPU, no sum owed
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ....diagnostics import Diagnostic
from ....ir.deployment import Port, Row, Share
from ..identity import described
from ..program import Identity, Step, sample
from ..rows import about
from .blocks import FED, Block
from .model import Model


def check(block: Block, model: Model) -> Iterator[Diagnostic]:
    """What keeps one round from standing for all."""
    if block.repeat is None or block.repeat.count == 1:
        return
    rows = block.deployment.rows
    fed = [row for row in rows if row.op == FED]
    goes = [_End(rows[row], rows[row].outputs[output]) for row, output in block.yields]
    problem = _unlike([_End(row, row.outputs[0]) for row in fed], goes)
    if problem:
        yield about("DAG7", goes[-1].row if goes else rows[-1], f"the next round starts from it, but {problem}")
    elif goes:
        yield from _rounds(block, goes[0].row, model)


@dataclass(frozen=True)
class _End:
    """Where a body begins or ends: an output, of the GPUs that its port speaks of."""

    row: Row
    port: Port

    @property
    def gpus(self) -> np.ndarray:
        return self.row.gpus[self.port.holds(self.row.gpus)]


def _unlike(comes: list[_End], goes: list[_End]) -> str:
    """How the value yielded differs from the one the body starts from, each in one piece or one for each size."""
    if len({end.port.tensor for end in comes}) != 1 or len({end.port.tensor for end in goes}) != 1:
        return f"the body reads {len(comes)} values and yields {len(goes)}"
    for went in goes:
        alike = [came for came in comes if np.array_equal(came.gpus, went.gpus)]
        if len(alike) != 1 or len(goes) != len(comes):
            return "it is on other GPUs"
        if problem := _differs(alike[0].port, went.port, went.gpus):
            return problem
    return ""


def _differs(came: Port, goes: Port, gpus: np.ndarray) -> str:
    if (came.names, came.local, came.whole, came.dtype) != (goes.names, goes.local, goes.whole, goes.dtype):
        return f"it is {goes.text()} {goes.dtype}, the body starts from {came.text()} {came.dtype}"
    if goes.addend is not None:
        return "a sum over it is still owed"
    return "" if _same_shares(came, goes, gpus) else "GPUs hold other parts of it"


def _same_shares(a: Port, b: Port, gpus: np.ndarray) -> bool:
    return all(_same(one, other, gpus) for one, other in zip(a.shares, b.shares, strict=True))


def _same(a: Share | None, b: Share | None, gpus: np.ndarray) -> bool:
    if a is b or a is None or b is None:
        return a is b
    return (a.parts, a.order, a.steps) == (b.parts, b.order, b.steps) and np.array_equal(a.of[gpus], b.of[gpus])


def _rounds(block: Block, last: Row, model: Model) -> Iterator[Diagnostic]:
    """Is every round of the model what the first one is, one period later? Of alike rounds some are looked at."""
    assert block.repeat is not None
    first, period, count = block.repeat.first, block.repeat.period, block.repeat.count
    shown = sample([(first, block.repeat.last, period)], model.spans)
    starts = [first + number * period for number in range(count)]
    starts = [start for start in starts if not shown.isdisjoint(range(start, start + period))]
    found = model.by_layer(frozenset(layer for start in starts for layer in range(start, start + period)))
    yields = block.means[last.index]
    for start in starts:
        later = _Carried(yields, start - first - period) if start > first else None
        if _shape(found, range(start, start + period), later) != _shape(found, range(first, first + period), None):
            problem = f"layers {start}-{start + period - 1} of the model are not as {first}-{first + period - 1}"
            yield about("DAG7", last, problem, hint="draw layers that differ for themselves")
            return


@dataclass(frozen=True)
class _Carried:
    """What the round before yielded: that of the first round, so many layers later."""

    which: Identity | None
    layers: int

    def is_(self, read: Identity) -> bool:
        return self.which is not None and read == ((self.which[0] or 0) + self.layers, self.which[1])


def _shape(found: Mapping[int, list[Step]], layers: range, carried: _Carried | None) -> list[object]:
    """Operators of one round and what they read, layers counted from its first; what comes in is `carried`."""
    own = [step for layer in layers for step in found.get(layer, ())]
    reads = [tuple(_read(read, layers, carried) for read in step.reads) for step in own]
    return [(described(step.op), step.identity[1], read) for step, read in zip(own, reads, strict=True)]


def _read(read: Identity | None, layers: range, carried: _Carried | None) -> object:
    if read is None or read[0] in layers:
        return read and (layers.index(read[0]) if read[0] is not None else None, read[1])
    return "carried" if carried is None or carried.is_(read) else read
