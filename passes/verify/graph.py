"""The laws of the emitted graph, on its arrays, whoever emitted it. Guarantees, when `check` finds nothing:

* the arrays are sound (`arrays`): rows numbered in order, links between existing rows and ports, GPUs that exist
* DAG1, DAG3 (`connected`): no cycle among the nodes of all GPUs; no node dangles
* DAG2: one total input and one total output, one node each
* DIM1, DIM5, DAG5, DAG9 (`links`): every declared input is fed by one link of the same dimensions, on its own GPU
* DEP4 (`order`): groups of a collective are disjoint and fill their pool; every GPU runs them in one program order
"""

from __future__ import annotations

from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, Kind
from . import connected, links, order
from .arrays import sound


def check(deployment: Deployment) -> list[Diagnostic]:
    """Every law broken. Arrays that are not sound are asked nothing else."""
    return sound(deployment) or laws(deployment)


def laws(deployment: Deployment) -> list[Diagnostic]:
    """Every law of sound arrays that is broken."""
    return [
        *_ends(deployment),
        *links.check(deployment),
        *order.check(deployment),
        *connected.check(deployment),
    ]


def _ends(deployment: Deployment) -> Iterator[Diagnostic]:
    for kind in (Kind.INPUT, Kind.OUTPUT):
        found = [row for row in deployment.rows if row.kind is kind]
        nodes = sum(len(row.places) for row in found)
        if nodes != 1:
            names = ", ".join(row.path for row in found)
            yield Diagnostic("DAG2", f"the graph has {nodes} total {kind} nodes", names, expected="1")
