"""Two programs, one cache: what a prefill leaves is what a step finds. Guarantees, of both emitted graphs:

* every cache of every layer that the step finds is one that the prefill keeps, and the other way round, of one type
* on every GPU it is the same part: index sets are compared dimension by dimension; of kv_len those of the prompt, which
  are the first rows of a cache that has room for the tokens that follow
* sequences are those of the whole batch, in however many micro-batches each program runs

A size that is left unbound is compared at one that both cut.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm

import numpy as np

from ...diagnostics import Diagnostic
from ...ir import orders
from ...ir.deployment import Deployment, Port, Row, Share
from ...ir.module import offset_in, plain_path
from ...ir.ops.attention import KeepOp
from .coverage import ranges
from .rows import about, gpus_text

HINT = "let rules cut both alike; where the cache grows, cut kv_len strided or not at all"


@dataclass(frozen=True)
class _Cache:
    """What a row keeps or finds of a cache, in a program that runs so often."""

    row: Row
    port: Port
    runs: int

    def size(self, axis: int) -> int | None:
        """Of all micro-batches; None where it is left unbound."""
        size = self.port.whole[axis]
        return size * (self.runs if self.port.names[axis] == "batch_size" else 1) if isinstance(size, int) else None


Caches = dict[tuple[str, int], list[_Cache]]
"""By path without layer numbers, and layer; several where rows are there for some of the GPUs each."""


def check(prefill: Deployment, decode: Deployment) -> list[Diagnostic]:
    """Every cache that is not found as it was left."""
    left, found = _left(prefill), _found(decode)
    problems = [
        *_lacking(found, left, "is found, but is not left by the prefill"),
        *_lacking(left, found, "is left by the prefill, but is not found"),
    ]
    bodies = {
        tuple(each.row.index for side in (left[cache], rows) for each in side): (left[cache], rows)
        for cache, rows in found.items()
        if cache in left
    }
    return [*problems, *(problem for sides in bodies.values() for problem in _compared(*sides))]


def facts(prefill: Deployment, decode: Deployment) -> list[str]:
    """What was compared, in words."""
    found = _found(decode)
    gpus = {gpu for rows in found.values() for each in rows for gpu in each.row.gpus.tolist()}
    return [f"{len(found)} caches on {len(gpus)} GPUs, found as {len(_left(prefill))} were left there"]


def _left(prefill: Deployment) -> Caches:
    kept = [row for row in prefill.rows if isinstance(row.operator, KeepOp)]
    return _caches([(row, plain_path(row.path), port) for row in kept for port in row.outputs], prefill.micro_batches)


def _found(decode: Deployment) -> Caches:
    ports = [(row, port.parameter, port) for row in decode.rows for port in row.weights if port.cached]
    return _caches(ports, decode.micro_batches)


def _caches(ports: list[tuple[Row, str, Port]], runs: int) -> Caches:
    """What stands beneath the path of a cache is of it."""
    made: Caches = defaultdict(list)
    for row, path, port in ports:
        repeat, offset = row.repeat, offset_in(row.path)
        layers = range(repeat.first + offset, repeat.last + 1, repeat.period) if repeat else range(1)
        for layer in layers:
            made[path.rpartition(".")[0], layer].append(_Cache(row, port, runs))
    return made


def _lacking(have: Caches, other: Caches, problem: str) -> Iterator[Diagnostic]:
    lacking: dict[str, list[int]] = defaultdict(list)
    for path, layer in have.keys() - other.keys():
        lacking[path].append(layer)
    for path, layers in sorted(lacking.items()):
        yield about("handover", have[path, layers[0]][0].row, f"the cache of layers {ranges(layers)} {problem}")


def _compared(left: list[_Cache], found: list[_Cache]) -> Iterator[Diagnostic]:
    """Rows of one cache, GPU by GPU."""
    mine, its = (np.sort(np.concatenate([each.row.gpus for each in side])) for side in (left, found))
    if not np.array_equal(mine, its):
        problem = "is looked for on other GPUs than it was left on"
        yield about("handover", found[0].row, problem, expected=gpus_text(mine), actual=gpus_text(its), hint=HINT)
        return
    for one, other in ((one, other) for one in left for other in found):
        for problem, expected, actual in _differences(one, other, np.intersect1d(one.row.gpus, other.row.gpus)):
            yield about("handover", other.row, problem, expected=expected, actual=actual, hint=HINT)


def _differences(one: _Cache, other: _Cache, gpus: np.ndarray) -> Iterator[tuple[str, str, str]]:
    """(problem, as it was left, as it is looked for)."""
    types = [f"[{', '.join(each.port.names)}] {each.port.dtype}" for each in (one, other)]
    if types[0] != types[1]:
        yield "finds another tensor than was left", types[0], types[1]
        return
    for axis in range(len(one.port.names)):
        yield from _along(axis, one, other, gpus)


def _along(axis: int, one: _Cache, other: _Cache, gpus: np.ndarray) -> Iterator[tuple[str, str, str]]:
    """Of one dimension, on the first GPU where it is not the same."""
    name, shares = one.port.names[axis], [each.port.shares[axis] for each in (one, other)]
    levels, sizes = [_levels(share) for share in shares], [each.size(axis) for each in (one, other)]
    if None in sizes:
        sizes = [lcm(*map(orders.divisor, levels))] * 2
    rows, room = (size or 0 for size in sizes)
    if rows > room or (rows < room and name != "kv_len"):
        yield f"finds another {name} than was left", str(rows), str(room)
        return
    first, second = (orders.pieces(cuts, size) for cuts, size in zip(levels, (rows, room), strict=True))
    parts = np.stack([np.zeros_like(gpus) if share is None else share.of[gpus] for share in shares])
    for had, wanted in np.unique(parts, axis=1).T.tolist():
        have, want = first[had], second[wanted]
        if not np.array_equal(have, want[want < rows]):
            gpu = gpus[(parts[0] == had) & (parts[1] == wanted)][0]
            yield f"GPU {gpu} looks for another part of {name} than was left there", _text(have), _text(want)
            return


def _levels(share: Share | None) -> orders.Levels:
    return () if share is None else share.order or ((share.parts, orders.CONTIGUOUS),)


def _text(held: np.ndarray) -> str:
    shown = ", ".join(map(str, held[:6].tolist()))
    return f"{shown}, … ({len(held)})" if len(held) > 6 else shown
