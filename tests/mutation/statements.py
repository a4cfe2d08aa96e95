"""Labels that lie: sizes, names, types, parts and debts that are not what the nodes have (F11, F33, stale shapes)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from dagc.ir.debts import LSE, SUM
from dagc.ir.deployment import Deployment, Port, Row, Share
from dagc.ir.ops import UNORDERED

from .surgery import Mutants, agreed, changed, first_part, put, shared, swapped, where

Lie = Callable[[Port], Iterator[tuple[str, Port]]]


def local_sizes(deployment: Deployment) -> Mutants:
    """A local size that is not the whole in that many parts."""
    yield from _stated(deployment, lambda port: _sizes(port, "local"))


def whole_sizes(deployment: Deployment) -> Mutants:
    """A global size of another model."""
    yield from _stated(deployment, lambda port: _sizes(port, "whole"))


def _sizes(port: Port, key: str) -> Iterator[tuple[str, Port]]:
    sizes = getattr(port, key)
    for axis, size in enumerate(sizes):
        if isinstance(size, int):
            yield f"{key} {port.names[axis]} twice", replace(port, **{key: put(sizes, axis, size * 2)})


def names(deployment: Deployment) -> Mutants:
    """Two dimensions change names."""

    def lie(port: Port) -> Iterator[tuple[str, Port]]:
        if len(port.names) > 1:
            yield "last two names swapped", replace(port, names=(*port.names[:-2], port.names[-1], port.names[-2]))

    yield from _stated(deployment, lie)


def dtypes(deployment: Deployment) -> Mutants:
    """Another element type."""

    def lie(port: Port) -> Iterator[tuple[str, Port]]:
        yield "dtype", replace(port, dtype="f8" if port.dtype != "f8" else "bf16")

    yield from _stated(deployment, lie)


def parts(deployment: Deployment) -> Mutants:
    """A GPU is said to hold another part than it does."""
    for name, row, lying in _misplaced(deployment):
        yield name, changed(deployment, row, outputs=(lying,))


def parts_agreed(deployment: Deployment) -> Mutants:
    """The same, and all readers say so too: where each takes what is stated, that changes nothing."""
    for name, row, lying in _misplaced(deployment):
        yield f"{name}, agreed", agreed(deployment, row, lying)


def _misplaced(deployment: Deployment) -> Iterator[tuple[str, Row, Port]]:
    for row in deployment.rows:
        port = row.outputs[0]
        for axis, (name, share) in enumerate(zip(port.names, port.shares, strict=True)):
            if share is not None and not row.on_host and name not in UNORDERED:
                for how, misplaced in {"swapped": swapped, "all the first": first_part}.items():
                    lying = shared(port, axis, misplaced(share))
                    if np.array_equal(misplaced(share).of, share.of):
                        continue  # the only GPU with a part of its size
                    yield f"{where(row)}, {name} {how}", row, lying


def debts(deployment: Deployment) -> Mutants:
    """A whole value is said to be owed a sum, or an addend to be whole or of another kind of debt."""
    cuts = [s for row in deployment.rows for port in row.outputs for s in (*port.shares, port.addend) if s is not None]
    for row in deployment.rows:
        port = row.outputs[0]
        if row.on_host or port.dtype in ("route", "i32"):
            continue
        if port.addend is not None:
            yield f"{where(row)}, said to be whole", changed(deployment, row, outputs=(replace(port, addend=None),))
            other = replace(port, debt=LSE if port.debt == SUM else SUM)
            yield f"{where(row)}, said to owe otherwise", changed(deployment, row, outputs=(other,))
            yield f"{where(row)}, said to owe otherwise, agreed", agreed(deployment, row, other)
            yield f"{where(row)}, said to be whole, agreed", agreed(deployment, row, replace(port, addend=None))
        elif owed := next((s for s in cuts if _covers(s, row)), None):
            yield f"{where(row)}, said to be owed", changed(deployment, row, outputs=(replace(port, addend=owed),))


def _covers(share: Share, row: Row) -> bool:
    return bool((share.of[row.gpus] >= 0).all())


def _stated(deployment: Deployment, lie: Lie) -> Mutants:
    """Lies about one output, told by the row alone or also by all who read it; and about weights."""
    for row in deployment.rows:
        for how, port in lie(row.outputs[0]):
            yield f"{where(row)}, {how}", changed(deployment, row, outputs=(port,))
            if not row.on_host:
                yield f"{where(row)}, {how}, agreed", agreed(deployment, row, port)
        for at, weight in enumerate(row.weights):
            for how, port in lie(weight):
                yield f"{where(row)}, weight, {how}", changed(deployment, row, weights=put(row.weights, at, port))
