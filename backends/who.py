"""Which GPUs each drawn node of a row stands for: its name, its `gpu` attribute, what its label says.

computation   q_proj_7_gpu3        gpu=3       GPU: 3
merged        q_proj_7_gpu0        gpu=0-15    GPU: all GPUs (0-15)
collective    all_reduce_12_gpu0   gpu=0-7     GPU: GPUs 0-7           group=0-7
transfer      send_9_gpu3_to11     gpu=3,11    GPU: GPU 3 → GPU 11     from=3 to=11
              send_9_gpu0          gpu=0-11    GPU: GPUs 0-3 → GPUs 4-11          from=0-3 to=4-11
host          input_0              gpu=host    GPU: host
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..ir.deployment import Row
from ..ir.view import View
from .quoting import identifier
from .ranges import RUNS_IN_LABEL, gpus_label, group_label, groups, pair_label, spans


@dataclass(frozen=True)
class Who:
    """One entry per drawn node in every list."""

    names: list[str]
    gpu: list[str]
    said: list[str]
    extra: dict[str, list[str]] = field(default_factory=dict)


def who(view: View, row: Row, places: np.ndarray) -> Who:
    """`places` are those of the row that the view draws."""
    stem = f"{identifier(row.op)}_{row.index}"
    if row.on_host:
        count = len(places)
        return Who([stem] if count == 1 else [f"{stem}_{i}" for i in range(count)], ["host"] * count, ["host"] * count)
    names = [f"{stem}_gpu{gpu}" for gpu in places[:, 0].tolist()]
    if row.is_transfer:
        if row.pairs is not None:
            return _hubs(view, row, places, names)
        names = [f"{name}_to{gpu}" for name, gpu in zip(names, places[:, 1].tolist(), strict=True)]
        return _transfers(view, row, places, names)
    if row.move is not None:
        return _collectives(view, row, places, names)
    if view.merged:
        return _merged(view, row, names)
    ids = list(map(str, places[:, 0].tolist()))
    return Who(names, ids, ids)


def _transfers(view: View, row: Row, places: np.ndarray, names: list[str]) -> Who:
    if view.merged:
        ends = {"from": [spans(row.places[:, 0])], "to": [spans(row.places[:, 1])]}
        return Who(names, [spans(np.unique(row.places))], [pair_label(row.places)], ends)
    ends = {"from": list(map(str, places[:, 0].tolist())), "to": list(map(str, places[:, 1].tolist()))}
    both = [f"{sender},{receiver}" for sender, receiver in places.tolist()]
    return Who(names, both, [pair_label(pair[None]) for pair in places], ends)


def _hubs(view: View, row: Row, places: np.ndarray, names: list[str]) -> Who:
    """Groups of senders and receivers; a merged view tells of all groups at once."""
    drawn = row.places.reshape(1, -1) if view.merged else places
    sides = (row.reading, row.making) if view.merged else (places[:, : row.senders], places[:, row.senders :])
    senders, receivers = (side.reshape(len(drawn), -1) for side in sides)
    ends = {"from": [spans(np.sort(ids)) for ids in senders], "to": [spans(np.sort(ids)) for ids in receivers]}
    said = [f"{gpus_label(one)} → {gpus_label(other)}" for one, other in zip(senders, receivers, strict=True)]
    return Who(names, [spans(np.sort(group)) for group in drawn], said, ends)


def _collectives(view: View, row: Row, places: np.ndarray, names: list[str]) -> Who:
    if view.merged and len(row.places) > 1:
        return Who(
            names, [spans(np.sort(row.places, axis=None))], [group_label(row.places)], {"group": [groups(row.places)]}
        )
    ids = [spans(group) for group in places]
    return Who(names, ids, [_several(view, group) for group in places], {"group": ids})


def _merged(view: View, row: Row, names: list[str]) -> Who:
    everyone = row.places.ravel()
    lane = next((lane for lane in view.lanes if np.array_equal(lane.stands_for, everyone)), None)
    ids = spans(everyone if lane else np.sort(everyone))
    if len(everyone) == 1:
        return Who(names, [ids], [ids])
    said = _several(view, everyone)
    return Who(names, [ids], [said if said.startswith("all") else f"{said} (each)"])


def _several(view: View, ids: np.ndarray) -> str:
    """`all GPUs (0-15)` or `GPUs 0-7`."""
    text = spans(ids, RUNS_IN_LABEL)
    return f"all GPUs ({text})" if len(ids) == view.deployment.gpus else f"GPUs {text}"
