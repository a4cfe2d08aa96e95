"""The laws of the emitted graph, on its arrays, whoever emitted it. Guarantees, when `check` finds nothing:

* the arrays are sound: rows numbered in order, links between existing rows and ports, GPUs that exist
* DAG1, DAG3 (`connected`): no cycle among the nodes of all GPUs; no node dangles
* DAG2: one total input and one total output, one node each
* DIM1, DIM5, DAG5, DAG9 (`links`): every declared input is fed by one link of the same dimensions, on its own GPU
* DEP4 (`order`): groups of a collective are disjoint and fill their pool; every GPU runs them in one program order
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, Kind, Link, Row
from . import connected, links, order
from .rows import about


def check(deployment: Deployment) -> list[Diagnostic]:
    """Every law broken. Arrays that are not sound are asked nothing else."""
    return sound(deployment) or laws(deployment)


def sound(deployment: Deployment) -> list[Diagnostic]:
    """What the other laws rely on: arrays of the right shape, links between what exists."""
    return [*_rows(deployment), *_links(deployment)]


def laws(deployment: Deployment) -> list[Diagnostic]:
    """Every law of sound arrays that is broken."""
    return [
        *_ends(deployment),
        *links.check(deployment),
        *order.check(deployment),
        *connected.check(deployment),
    ]


def _rows(deployment: Deployment) -> Iterator[Diagnostic]:
    for position, row in enumerate(deployment.rows):
        if row.index != position:
            yield about("ill-formed", row, f"is row {row.index}, but stands at {position}")
        if row.places.ndim != 2 or not len(row.places):
            yield about("ill-formed", row, f"has places of shape {row.places.shape}", expected="[nodes, members]")
        elif row.places.size and not _exist(row, deployment.gpus):
            yield about("ill-formed", row, f"runs on a GPU that is none of the {deployment.gpus}")
        elif row.turns is not None and row.turns.shape != row.places.shape:
            yield about("ill-formed", row, f"has turns of shape {row.turns.shape} for places of {row.places.shape}")
        elif row.move is None and len(np.unique(row.places)) < row.places.size:
            yield about("ill-formed", row, "stands twice on a GPU")
        elif row.is_transfer and row.places.shape[1] != 2:
            yield about("ill-formed", row, f"a transfer among {row.places.shape[1]} GPUs", expected="2")


def _exist(row: Row, gpus: int) -> bool:
    return row.places.min() >= 0 and row.places.max() < gpus


def _links(deployment: Deployment) -> Iterator[Diagnostic]:
    count = len(deployment.rows)
    for link in deployment.links:
        if not (0 <= link.source < count and 0 <= link.target < count):
            yield Diagnostic("ill-formed", f"a link joins rows {link.source} and {link.target} of {count}")
        elif not _has_ports(link, deployment.rows):
            source, target = deployment.rows[link.source], deployment.rows[link.target]
            problem = f"output {link.output} of {source.op} feeds input {link.input}, which are not both declared"
            yield about("DIM5", target, problem)


def _has_ports(link: Link, rows: tuple[Row, ...]) -> bool:
    inside = 0 <= link.output < len(rows[link.source].outputs)
    return inside and 0 <= link.input < len(rows[link.target].inputs)


def _ends(deployment: Deployment) -> Iterator[Diagnostic]:
    for kind in (Kind.INPUT, Kind.OUTPUT):
        found = [row for row in deployment.rows if row.kind is kind]
        nodes = sum(len(row.places) for row in found)
        if nodes != 1:
            names = ", ".join(row.path for row in found)
            yield Diagnostic("DAG2", f"the graph has {nodes} total {kind} nodes", names, expected="1")
