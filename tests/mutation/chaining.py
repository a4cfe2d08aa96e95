"""What joins the runs of a program, where they are drawn apart: parts of the batch and of its tokens, and caches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagc.ir.deployment import Row

from .pieces import Stuck, positions


def dealt_out(row: Row, pieces: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The parts of all runs, of the one whole; or the whole, of them. Part after part is of the next tokens, and then
    of the next sequences.
    """
    splits = len(row.inputs) < len(row.outputs)
    (whole,), parts = (row.inputs, row.outputs) if splits else (row.outputs, row.inputs)
    places = _places([int(n) for n in whole.whole], [[int(n) for n in part.whole] for part in parts])
    if splits:
        return [pieces[0][place] for place in places]
    made = np.full([int(n) for n in whole.whole], np.nan)
    for place, piece in zip(places, pieces, strict=True):
        made[place] = piece
    if np.isnan(made).any():
        raise Stuck(f"{row.op} joins what is not all")
    return [made]


def _places(whole: list[int], parts: list[list[int]]) -> list[tuple[slice, ...]]:
    """Where each part lies in the whole, last dimension first."""
    if any(part != parts[0] for part in parts):
        raise Stuck("runs are of unequal parts")
    counts = [n // each for n, each in zip(whole, parts[0], strict=True)]
    if np.prod(counts) != len(parts):
        raise Stuck("runs are not all of the batch")
    return [
        tuple(slice(at * each, (at + 1) * each) for at, each in zip(index, parts[0], strict=True))
        for index in np.ndindex(*counts)
    ]


def appended(row: Row, gpu: int, new: np.ndarray, cache: np.ndarray) -> np.ndarray:
    """A cache that has grown: of the positions that the GPU keeps, those that it had, and those of the new tokens."""
    axis = row.outputs[0].names.index("kv_len")
    before, (tokens, found) = int(row.inputs[1].whole[axis]), (positions(port, gpu)[axis] for port in row.inputs[:2])
    kept = positions(row.outputs[0], gpu)[axis]
    if cache.shape[axis] != len(found) or not np.isin(kept, [*found, *(before + tokens)]).all():
        raise Stuck(f"{row.op} keeps what it does not have")
    old = [int(np.flatnonzero(found == at)[0]) for at in kept if at < before]
    own = [int(np.flatnonzero(before + tokens == at)[0]) for at in kept if at >= before]
    return np.concatenate([cache.take(old, axis), new.take(own, axis)], axis)
