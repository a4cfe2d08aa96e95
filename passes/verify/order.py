"""The deployment cannot deadlock by its order. Guarantees:

* the members of a collective (of all rows of it, where groups hold unequal parts) are one pool, each in exactly one
  group; so are the senders of a transfer, and receivers, but those of a step inside a pool, which may be some of it,
  each once
* the programs of all GPUs can run to their end: what a node waits for (its inputs, and on every member the nodes before
  it in that GPU's program) is never waiting for the node itself, so all members meet their collectives in one order
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, Row
from .connected import Nodes, cycle
from .rows import about, gpus_text


def check(deployment: Deployment) -> list[Diagnostic]:
    """Every collective whose members are wrong, and what waits for itself."""
    found = [*_groups(deployment)]
    if all(row.turns is None for row in deployment.rows):
        return [*found, *_in_order_of_rows(deployment)]
    return found or [*_in_turns(deployment)]


def _groups(deployment: Deployment) -> Iterator[Diagnostic]:
    pools = [np.sort(pool.gpus) for pool in deployment.pools]
    rows: dict[object, list[Row]] = defaultdict(list)
    for row in deployment.rows:
        if row.move is not None and not row.on_host:
            inside = row.is_transfer and any(np.isin(row.places, pool).all() for pool in pools)
            alone = row.operator is None or inside or any(np.array_equal(row.gpus, pool) for pool in pools)
            rows[row.index if alone else (id(row.operator), row.run)].append(row)
    for each in rows.values():
        yield from _members(each, pools)


def _in_order_of_rows(deployment: Deployment) -> Iterator[Diagnostic]:
    """Every GPU runs its nodes in the order of the rows: then that order serves all, if links go forward in it."""
    for link in deployment.links:
        if link.source >= link.target:
            source, target = deployment.rows[link.source], deployment.rows[link.target]
            problem = f"stands before {source.op} at {source.path}, which it waits for"
            yield about("DEP4", target, problem, actual=gpus_text(target.gpus))


def _in_turns(deployment: Deployment) -> Iterator[Diagnostic]:
    """Links and programs together have no cycle."""
    graph = Nodes.of(deployment)
    earlier, later = _programs(deployment, graph.first)
    waits = Nodes(graph.first, np.concatenate([graph.source, earlier]), np.concatenate([graph.target, later]))
    for row, names in cycle(deployment, waits):
        yield about("DEP4", row, "waits for itself: the GPUs' programs deadlock", actual=" → ".join(names))


def _programs(deployment: Deployment, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """On every GPU each node and the one after it in its program."""
    rows = [row for row in deployment.rows if row.places.size]
    node = [np.repeat(first[row.index] + np.arange(len(row.places)), row.places.shape[1]) for row in rows]
    turns = [np.full(row.places.size, row.index) if row.turns is None else row.turns.reshape(-1) for row in rows]
    nodes, gpus = np.concatenate(node), np.concatenate([row.places.reshape(-1) for row in rows])
    order = np.lexsort((nodes, np.concatenate(turns), gpus))
    same = gpus[order][1:] == gpus[order][:-1]
    return nodes[order][:-1][same], nodes[order][1:][same]


def _members(rows: list[Row], pools: list[np.ndarray]) -> Iterator[Diagnostic]:
    row = rows[0]
    inside = row.is_transfer and any(np.isin(row.places, pool).all() for pool in pools)
    both = [[each.reading for each in rows], [each.making for each in rows]]
    sides = [np.concatenate([each.reshape(-1) for each in side]) for side in both[: 1 + row.is_transfer]]
    for gpus in sides:
        members, times = np.unique(gpus.reshape(-1).astype(np.int64), return_counts=True)
        if times.max() > 1:
            problem = f"{gpus_text(members[times > 1])} take part more than once"
            yield about("DEP4", row, problem, expected="disjoint groups")
        elif not inside and not any(np.array_equal(members, pool) for pool in pools):
            problem = f"its members, {gpus_text(members)}, are no pool"
            yield about("DEP4", row, problem, expected="every GPU of a pool in one group")
