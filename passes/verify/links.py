"""What links carry, and where. Guarantees:

* DIM1: a link's producer and consumer state the same dimensions, local and global, and dtype
* DIM5: every declared input is fed by exactly one data or gate link
* DAG5: a residual add has at least two inputs
* DAG9: only communication and the host have several GPUs; whatever a node reads is made on its own GPU or the host
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, EdgeKind, Kind, Link, Port, Row
from .rows import about, gpus_text


def check(deployment: Deployment) -> Iterator[Diagnostic]:
    """Every link, and every declared input, that breaks a law."""
    data = [link for link in deployment.links if link.kind is not EdgeKind.ORDER]
    for link in data:
        yield from _ports(deployment.rows, link)
        yield from _gpus(deployment, link)
    fed = Counter((link.target, link.input) for link in data)
    for row in deployment.rows:
        yield from _inputs(row, fed)


def _ports(rows: tuple[Row, ...], link: Link) -> Iterator[Diagnostic]:
    source, target = rows[link.source], rows[link.target]
    made, read = source.outputs[link.output], target.inputs[link.input]
    if _stated(made) != _stated(read):
        problem = f"reads other dimensions than {source.op} at {source.path} makes"
        yield about("DIM1", target, problem, expected=_text(made), actual=_text(read))


def _stated(port: Port) -> tuple[object, ...]:
    return port.names, port.local, port.whole, port.dtype


def _text(port: Port) -> str:
    return f"{port.text()} of {port.text(whole=True)} {port.dtype}"


def _inputs(row: Row, fed: Counter[tuple[int, int]]) -> Iterator[Diagnostic]:
    counts = [fed[row.index, slot] for slot in range(len(row.inputs))]
    if row.kind is not Kind.INPUT:
        for slot, count in enumerate(counts):
            if count != 1:
                problem = f"input {slot} ({row.inputs[slot].tensor}) is fed by {count} links"
                yield about("DIM5", row, problem, expected="1", actual=str(count))
    if "residual" in row.op and sum(counts) < 2:
        yield about("DAG5", row, f"a residual add has {sum(counts)} input", expected="2 or more")
    if row.kind is not Kind.COMM and row.places.shape[1] > 1:
        yield about("DAG9", row, f"computes across {row.places.shape[1]} GPUs without communication")


def _gpus(deployment: Deployment, link: Link) -> Iterator[Diagnostic]:
    """Is the value made on every GPU that reads it?"""
    source, target = deployment.rows[link.source], deployment.rows[link.target]
    if source.on_host or target.on_host:
        return
    makers, readers = source.places[:, 1:] if source.is_transfer else source.places, _reading(target)
    made = np.zeros(deployment.gpus, dtype=bool)
    made[makers] = True
    missing = np.unique(readers[~made[readers]])
    if missing.size:
        problem = f"{gpus_text(missing)} read what {source.op} makes on {gpus_text(np.unique(makers))}"
        yield about("DAG9", target, problem, hint="draw the communication")


def _reading(row: Row) -> np.ndarray:
    return row.places[:, :1] if row.is_transfer else row.places
