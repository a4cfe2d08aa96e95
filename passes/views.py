"""views: which lanes a picture shows of a deployment graph.

gpus            a lane per GPU
representative  per pool its first, second and last GPU, and "13 more, identical" between them
spmd            one lane per pool, standing for all its GPUs
"""

from __future__ import annotations

import numpy as np

from ..ir.deployment import Deployment, Lane, Pool, View


def gpus(deployment: Deployment) -> View:
    """Every GPU in a lane of its own."""
    lanes = [_lane(int(gpu)) for pool in deployment.pools for gpu in pool.gpus]
    return View("gpus", deployment, tuple(lanes))


def representative(deployment: Deployment) -> View:
    """First, second and last GPU of every pool."""
    lanes: list[Lane] = []
    gaps: dict[int, str] = {}
    for pool in deployment.pools:
        few = len(pool.gpus) <= 3
        if not few:
            hidden = pool.gpus[2:-1]
            span = f"GPU {hidden[0]}" + (f" … GPU {hidden[-1]}" if len(hidden) > 1 else "")
            gaps[len(lanes) + 1] = f"{span}: {len(hidden)} more, identical"
        lanes += [_lane(int(gpu)) for gpu in (pool.gpus if few else pool.gpus[[0, 1, -1]])]
    return View("representative", deployment, tuple(lanes), gaps=gaps)


def is_closed(view: View) -> bool:
    """Whether every transfer drawn has both its ends drawn: in a ring GPUs pass on what they get."""
    drawn = [lane.gpu for lane in view.lanes]
    ends = [row.places[view.shown(row)] for row in view.deployment.rows if row.is_transfer]
    return all(np.isin(places, drawn).all() for places in ends)


def spmd(deployment: Deployment) -> View:
    """One lane for all GPUs that run the same program."""
    lanes = tuple(Lane(int(pool.gpus[0]), pool.gpus, _title(deployment, pool)) for pool in deployment.pools)
    return View("spmd", deployment, lanes, merged=True)


def _lane(gpu: int) -> Lane:
    return Lane(gpu, np.array([gpu], dtype=np.int64), f"GPU {gpu}")


def _title(deployment: Deployment, pool: Pool) -> str:
    span = f"{pool.gpus.min()}-{pool.gpus.max()}" if len(pool.gpus) > 1 else str(pool.gpus[0])
    return f"all GPUs ({span})" if len(pool.gpus) == deployment.gpus else f"GPUs {span}"
