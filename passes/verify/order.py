"""The deployment cannot deadlock by its order. Guarantees:

* the members of a collective are one pool, each in exactly one group; a transfer has each sender and receiver once
* every row stands after the rows it reads: all GPUs run the rows, so also the collectives, in one program order
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, Row
from .rows import about, gpus_text


def check(deployment: Deployment) -> Iterator[Diagnostic]:
    """Every collective whose members are wrong, and every row that stands before what it waits for."""
    pools = {np.sort(pool.gpus).tobytes() for pool in deployment.pools}
    for row in deployment.rows:
        if row.move is not None and not row.on_host:
            yield from _members(row, pools)
    for link in deployment.links:
        if link.source >= link.target:
            source, target = deployment.rows[link.source], deployment.rows[link.target]
            problem = f"stands before {source.op} at {source.path}, which it waits for"
            yield about("DEP4", target, problem, actual=gpus_text(target.gpus))


def _members(row: Row, pools: set[bytes]) -> Iterator[Diagnostic]:
    sides = row.places.T if row.is_transfer else [row.places.reshape(-1)]
    for gpus in sides:
        members, times = np.unique(gpus.astype(np.int64), return_counts=True)
        if times.max() > 1:
            problem = f"{gpus_text(members[times > 1])} take part more than once"
            yield about("DEP4", row, problem, expected="disjoint groups")
        elif members.tobytes() not in pools:
            problem = f"its members, {gpus_text(members)}, are no pool"
            yield about("DEP4", row, problem, expected="every GPU of a pool in one group")
