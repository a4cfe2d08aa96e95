"""The graph of all nodes on all GPUs. Guarantees:

* DAG1: no cycle
* DAG3: every node but the total input has a predecessor, every node but the total output a successor
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, Kind, Row
from .rows import about, gpus_text


def check(deployment: Deployment) -> list[Diagnostic]:
    """Every node that dangles, row by row, and one cycle if there is any."""
    graph = Nodes.of(deployment)
    found = [
        about("DAG1", row, "the graph has a cycle", actual=" → ".join(names)) for row, names in cycle(deployment, graph)
    ]
    return [*_dangling(deployment, graph), *found]


@dataclass(frozen=True)
class Nodes:
    """All nodes, numbered row after row (`first[i]` is row i's first), and all edges between them, as arrays."""

    first: np.ndarray
    source: np.ndarray
    target: np.ndarray

    @staticmethod
    def of(deployment: Deployment) -> Nodes:
        first = np.cumsum([0, *(len(row.places) for row in deployment.rows)])
        pairs = [(link, *deployment.join(link)) for link in deployment.links]
        none = np.empty(0, dtype=np.int64)
        source = [left + first[link.source] for link, left, _ in pairs]
        target = [right + first[link.target] for link, _, right in pairs]
        return Nodes(first, np.concatenate([none, *source]), np.concatenate([none, *target]))

    @property
    def count(self) -> int:
        return int(self.first[-1])

    @cached_property
    def incoming(self) -> np.ndarray:
        return np.bincount(self.target, minlength=self.count)

    @cached_property
    def outgoing(self) -> np.ndarray:
        return np.bincount(self.source, minlength=self.count)

    def left_over(self) -> np.ndarray:
        """Nodes on a cycle or behind one: what stays when, level by level, all that waits for nothing is taken away."""
        targets = self.target[np.argsort(self.source, kind="stable")]
        begin = np.cumsum(self.outgoing) - self.outgoing
        waiting = self.incoming.copy()
        level = np.flatnonzero(waiting == 0)
        while level.size:
            reached = targets[_ranges(begin[level], self.outgoing[level])]
            np.subtract.at(waiting, reached, 1)
            level = np.unique(reached[waiting[reached] == 0])
        return np.flatnonzero(waiting)


def _ranges(begin: np.ndarray, length: np.ndarray) -> np.ndarray:
    """
    >>> _ranges(np.array([0, 7]), np.array([2, 3]))
    array([0, 1, 7, 8, 9])
    """
    before = np.cumsum(length) - length
    return np.repeat(begin - before, length) + np.arange(length.sum())


def _dangling(deployment: Deployment, graph: Nodes) -> Iterator[Diagnostic]:
    for what, degree, end in (
        ("predecessor", graph.incoming, Kind.INPUT),
        ("successor", graph.outgoing, Kind.OUTPUT),
    ):
        for row in deployment.rows:
            nodes = degree[graph.first[row.index] : graph.first[row.index + 1]]
            if row.kind is not end and (nodes == 0).any():
                gpus = np.unique(row.places[nodes == 0])
                yield about("DAG3", row, f"has no {what} on {gpus_text(gpus)}")


def cycle(deployment: Deployment, graph: Nodes) -> Iterator[tuple[Row, list[str]]]:
    """A row on a cycle and the cycle's nodes by name, if there is any."""
    left = graph.left_over()
    if left.size:
        row, _ = _row_of(deployment, graph, int(left[0]))
        yield row, [_name(deployment, graph, node) for node in _walk_back(graph, left)]


def _walk_back(graph: Nodes, left: np.ndarray) -> list[int]:
    """One cycle, in the direction of its edges: from any node left over, every step back stays among them."""
    inside = np.zeros(graph.count, dtype=bool)
    inside[left] = True
    kept = inside[graph.source] & inside[graph.target]
    before = dict(zip(graph.target[kept].tolist(), graph.source[kept].tolist(), strict=True))
    path: dict[int, None] = {}
    node = int(left[0])
    while node not in path:
        path[node] = None
        node = before[node]
    walked = list(path)
    return [node, *reversed(walked[walked.index(node) :])]


def _row_of(deployment: Deployment, graph: Nodes, node: int) -> tuple[Row, int]:
    index = int(np.searchsorted(graph.first, node, side="right")) - 1
    return deployment.rows[index], node - int(graph.first[index])


def _name(deployment: Deployment, graph: Nodes, node: int) -> str:
    row, place = _row_of(deployment, graph, node)
    return f"{row.op} on {gpus_text(row.places[place])}"
