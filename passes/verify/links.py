"""What links carry, and where. Guarantees:

* DIM1: a link's producer and consumer state the same dimensions, local and global, and dtype, and the same part of
  them on every GPU
* DIM5: every declared input is fed by exactly one data or gate link on every GPU that reads it
* DAG5: a residual add has at least two inputs
* DAG9: only communication and the host have several GPUs; whatever a node reads is made on its own GPU or the host
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.debts import KINDS
from ...ir.deployment import Deployment, EdgeKind, Kind, Link, Port, Row, Share
from .rows import about, gpus_text


def check(deployment: Deployment) -> Iterator[Diagnostic]:
    """Every link, and every declared input, that breaks a law."""
    fed: dict[tuple[int, int], list[Link]] = defaultdict(list)
    for link in deployment.links:
        if link.kind is not EdgeKind.ORDER:
            fed[link.target, link.input].append(link)
            yield from _ports(deployment.rows, link)
            yield from _parts(deployment.rows, link)
    for row in deployment.rows:
        links = [fed[row.index, slot] for slot in range(len(row.inputs))]
        if row.kind is not Kind.INPUT:
            for slot, feeding in enumerate(links):
                yield from _fed(deployment, row, slot, feeding)
        if "residual" in row.op and sum(map(bool, links)) < 2:
            yield about("DAG5", row, f"a residual add has {sum(map(bool, links))} input", expected="2 or more")
        if row.kind is not Kind.COMM and row.places.shape[1] > 1:
            yield about("DAG9", row, f"computes across {row.places.shape[1]} GPUs without communication")


def _ports(rows: tuple[Row, ...], link: Link) -> Iterator[Diagnostic]:
    source, target = rows[link.source], rows[link.target]
    made, read = source.outputs[link.output], target.inputs[link.input]
    if _stated(made) != _stated(read):
        problem = f"reads other dimensions than {source.op} at {source.path} makes"
        yield about("DIM1", target, problem, expected=_text(made), actual=_text(read))


def _parts(rows: tuple[Row, ...], link: Link) -> Iterator[Diagnostic]:
    """Do both ends say the same of which part each GPU holds that they have in common?"""
    source, target = rows[link.source], rows[link.target]
    made, read = source.outputs[link.output], target.inputs[link.input]
    if not (made.shares or made.addend) or not (read.shares or read.addend):
        return
    gpus = _common(source, target)
    whats = [*zip(made.names, made.shares, read.shares, strict=False), ("the sum owed", made.addend, read.addend)]
    for what, one, other in whats:
        if (odd := _differ(one, other, gpus)).size:
            problem = f"says of {what} that {gpus_text(odd)} {'has' if odd.size == 1 else 'have'} another part"
            yield about("DIM1", target, f"{problem} than {source.op} at {source.path} says")


def _common(source: Row, target: Row) -> np.ndarray:
    """The GPUs that a link ends on: where the host scatters to or gathers from, else where it is made and read."""
    if source.on_host or target.on_host:
        return np.unique(target.reading if source.on_host else source.making)
    return np.intersect1d(source.making, target.reading)


def _differ(one: Share | None, other: Share | None, gpus: np.ndarray) -> np.ndarray:
    if one is other:
        return gpus[:0]
    if one is None or other is None or (one.parts, one.steps) != (other.parts, other.steps):
        return gpus
    if one.merged is None and other.merged is None:
        return gpus[one.of[gpus] != other.of[gpus]]
    return gpus[(_merged(one, gpus) != _merged(other, gpus)).any(axis=1)]


def _merged(share: Share, gpus: np.ndarray) -> np.ndarray:
    """Which addends each GPU has: those that it has merged, or its own: bool [gpus, addends]."""
    return share.of[gpus, None] == np.arange(share.parts) if share.merged is None else share.merged[gpus]


def _stated(port: Port) -> tuple[object, ...]:
    return port.names, port.local, port.whole, port.dtype, port.debt


def _text(port: Port) -> str:
    owed = f", of which {KINDS[port.debt].called} is owed" if port.addend else ""
    return f"{port.text()} of {port.text(whole=True)} {port.dtype}{owed}"


def _fed(deployment: Deployment, row: Row, slot: int, links: list[Link]) -> Iterator[Diagnostic]:
    """Is the value made exactly once on every GPU that reads it?"""
    port, sources = row.inputs[slot], [deployment.rows[link.source] for link in links]
    name = port.tensor
    if not links or (row.on_host and len(links) > 1):
        problem = f"input {slot} ({name}) is fed by {len(links)} links"
        yield about("DIM5", row, problem, expected="1", actual=str(len(links)))
        return
    if row.on_host or all(source.on_host and len(sources) == 1 for source in sources):
        return
    times = np.zeros(deployment.gpus, dtype=np.int64)
    for link, source in zip(links, sources, strict=True):
        made = source.making if not source.on_host else np.arange(deployment.gpus)
        times[made[source.outputs[link.output].holds(made)]] += 1
    readers = np.unique(row.reading)
    readers = readers[port.holds(readers)]
    if (missing := readers[times[readers] == 0]).size:
        made = np.unique(np.concatenate([source.making.reshape(-1) for source in sources]))
        problem = f"{gpus_text(missing)} read what {sources[0].op} makes on {gpus_text(made)}"
        yield about("DAG9", row, problem, hint="draw the communication")
    if (twice := readers[times[readers] > 1]).size:
        problem = f"input {slot} ({name}) is fed by {times.max()} links on {gpus_text(twice)}"
        yield about("DIM5", row, problem, expected="1", actual=str(times.max()))
