"""views: which lanes a picture shows of a deployment graph.

gpus            a lane per GPU
representative  per pool its first, second and last GPU, and "13 more, identical" between them
spmd            one lane per pool, standing for all its GPUs

Where GPUs of a pool hold parts of several sizes, those that hold as much are a kind: spmd draws a lane of each, and
representative the first GPU of each too. Of several pools a lane's title names its own: `GPU 4 · experts`.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..ir.deployment import Deployment, Pool
from ..ir.ids import spans
from ..ir.view import Lane, View

KINDS = 4
"""Kinds of GPUs of which a representative picture draws one."""
RUNS = 8
"""Runs of GPUs that a title lists."""


def gpus(deployment: Deployment) -> View:
    """Every GPU in a lane of its own."""
    lanes = [_lane(int(gpu), pool, deployment) for pool in deployment.pools for gpu in pool.gpus]
    return View("gpus", deployment, tuple(lanes))


def representative(deployment: Deployment) -> View:
    """First, second and last GPU of every pool, and the first of every kind."""
    lanes: list[Lane] = []
    gaps: dict[int, str] = {}
    kinds = _kinds(deployment)
    for pool in deployment.pools:
        shown = _shown(len(pool.gpus), kinds[pool.gpus])
        for at, end in zip(shown, [*shown[1:], len(pool.gpus)], strict=True):
            lanes.append(_lane(int(pool.gpus[at]), pool, deployment))
            if end - at > 1:
                gaps[len(lanes) - 1] = _gap(pool.gpus[at + 1 : end], kinds[pool.gpus[at:end]])
    return View("representative", deployment, tuple(lanes), gaps=gaps)


def _shown(count: int, which: np.ndarray) -> list[int]:
    if count <= 3:
        return list(range(count))
    firsts = np.sort(np.unique(which, return_index=True)[1])[:KINDS]
    return sorted({0, 1, count - 1, *firsts.tolist()})


def _gap(hidden: np.ndarray, kinds: np.ndarray) -> str:
    """`GPU 2 … GPU 14: 13 more, identical`: to the one before them, whose kind is the first."""
    span = f"GPU {hidden[0]}" + (f" … GPU {hidden[-1]}" if len(hidden) > 1 else "")
    count = len(np.unique(kinds))
    return f"{span}: {len(hidden)} more, {'identical' if count == 1 else f'of {count} kinds'}"


def is_closed(view: View) -> bool:
    """Whether every transfer drawn has both its ends drawn: in a ring GPUs pass on what they get."""
    drawn = [lane.gpu for lane in view.lanes]
    ends = [row.places[view.shown(row)] for row in view.deployment.rows if row.is_transfer]
    return all(np.isin(places, drawn).all() for places in ends)


def spmd(deployment: Deployment) -> View:
    """One lane for all GPUs that run the same program on parts of the same sizes."""
    kinds = _kinds(deployment)
    alike = [(pool, gpus) for pool in deployment.pools for gpus in _apart(pool, kinds[pool.gpus])]
    lanes = tuple(Lane(int(gpus[0]), gpus, _title(deployment, pool, gpus)) for pool, gpus in alike)
    return View("spmd", deployment, lanes, merged=True)


def _apart(pool: Pool, which: np.ndarray) -> list[np.ndarray]:
    firsts = np.sort(np.unique(which, return_index=True)[1])
    return [pool.gpus[which == which[first]] for first in firsts] if len(firsts) > 1 else [pool.gpus]


def _kinds(deployment: Deployment) -> np.ndarray:
    """Per GPU a number, equal for those that run the same of the rows of every operator that has several."""
    kinds = np.zeros(deployment.gpus, dtype=np.int64)
    rows = [row for row in deployment.rows if row.operator is not None and not row.on_host]
    several = Counter(id(row.operator) for row in rows)
    for row in rows:
        if several[id(row.operator)] > 1:
            kinds[row.gpus] = kinds[row.gpus] * (len(deployment.rows) + 1) + row.index + 1
            kinds = np.unique(kinds, return_inverse=True)[1]
    return kinds


def _lane(gpu: int, pool: Pool, deployment: Deployment) -> Lane:
    return Lane(gpu, np.array([gpu], dtype=np.int64), _named(f"GPU {gpu}", pool, deployment))


def _title(deployment: Deployment, pool: Pool, gpus: np.ndarray) -> str:
    span = spans(gpus, RUNS)
    return _named(f"all GPUs ({span})" if len(gpus) == deployment.gpus else f"GPUs {span}", pool, deployment)


def _named(title: str, pool: Pool, deployment: Deployment) -> str:
    return f"{title} · {pool.name}" if len(deployment.pools) > 1 else title
