"""fold: of a deployment whose GPUs fall into many alike, unconnected parts, keep one part.

    before   dp=1024,tp=8: 8,192 GPUs, groups {0-7}, {8-15}, …          after   8 GPUs, group {0-7}, stands for 1,024

GPUs are connected where a communication has both as members. Two parts are alike when every row has the same places in
both, up to the numbering of GPUs; that is compared on the emitted arrays, never assumed. Where one part differs, or all
GPUs are connected, nothing is folded.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir.deployment import Deployment, Pool, Row


def fold(deployment: Deployment) -> tuple[Deployment, int]:
    """One part and how many it stands for; the whole and 1 where parts differ."""
    distinct = {id(row.places): row.places for row in deployment.rows if row.places.size}
    label = _parts(deployment.gpus, list(distinct.values()))
    names, part, sizes = np.unique(label, return_inverse=True, return_counts=True)
    if len(names) < 2 or len(set(sizes.tolist())) > 1:
        return deployment, 1
    local = _local_numbers(part.reshape(-1), int(sizes[0]))
    folded = {key: _alike(places, part.reshape(-1), local, len(names)) for key, places in distinct.items()}
    if any(places is None for places in folded.values()):
        return deployment, 1
    rows = tuple(_row(row, folded) for row in deployment.rows)
    pools = tuple(Pool(pool.name, np.unique(local[pool.gpus])) for pool in deployment.pools)
    return replace(deployment, gpus=int(sizes[0]), rows=rows, pools=pools), len(names)


def _parts(gpus: int, places: list[np.ndarray]) -> np.ndarray:
    """Per GPU the lowest GPU that it is connected with through communications."""
    label = np.arange(gpus)
    groups = [group for group in places if group.shape[1] > 1]
    while True:
        before = label.copy()
        for group in groups:
            label[group] = label[group].min(axis=1, keepdims=True)
        if np.array_equal(before, label):
            return label


def _local_numbers(part: np.ndarray, size: int) -> np.ndarray:
    """Per GPU its rank within its part."""
    order = np.argsort(part, kind="stable")
    local = np.empty_like(part)
    local[order] = np.tile(np.arange(size), len(part) // size)
    return local


def _alike(places: np.ndarray, part: np.ndarray, local: np.ndarray, parts: int) -> np.ndarray | None:
    """The places of one part in local numbers, if every part has exactly these; else None."""
    if len(places) % parts:
        return None
    order = np.argsort(part[places[:, 0]], kind="stable")
    each = local[places[order]].reshape(parts, len(places) // parts, places.shape[1])
    owners = part[places[order]].reshape(parts, -1)
    alone = (owners == np.arange(parts)[:, None]).all()
    return each[0] if alone and (each == each[0]).all() else None


def _row(row: Row, folded: dict[int, np.ndarray | None]) -> Row:
    places = folded.get(id(row.places))
    return row if places is None else replace(row, places=places, spread=())
