"""Layers that are missing, repeated, shifted or run in another order (F26)."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np

from dagc.ir.deployment import Deployment, Port, Repeat, Row, Share

from .surgery import Mutants, numbered, rerouted


def bodies(deployment: Deployment) -> list[tuple[Repeat, list[Row]]]:
    """The repeated bodies in order."""
    return [(repeat, list(rows)) for repeat, rows in groupby(deployment.rows, key=lambda row: row.repeat) if repeat]


def _spanning(deployment: Deployment, old: Repeat, new: Repeat) -> Deployment:
    rows = [replace(row, repeat=new) if row.repeat == old else row for row in deployment.rows]
    return replace(deployment, rows=tuple(rows))


def dropped(deployment: Deployment) -> Mutants:
    """A round too few, at the end or at the start."""
    for repeat, _ in bodies(deployment):
        if repeat.count > 1:
            yield (
                f"{repeat.id}, the last",
                _spanning(deployment, repeat, replace(repeat, last=repeat.last - repeat.period)),
            )
            first = replace(repeat, first=repeat.first + repeat.period)
            yield f"{repeat.id}, the first", _spanning(deployment, repeat, first)


def repeated(deployment: Deployment) -> Mutants:
    """A round too many, at the end or at the start."""
    for repeat, _ in bodies(deployment):
        yield f"{repeat.id}, after", _spanning(deployment, repeat, replace(repeat, last=repeat.last + repeat.period))
        if repeat.first >= repeat.period:
            yield (
                f"{repeat.id}, before",
                _spanning(deployment, repeat, replace(repeat, first=repeat.first - repeat.period)),
            )


def shifted(deployment: Deployment) -> Mutants:
    """The layers of a body are numbered one off."""
    for repeat, _ in bodies(deployment):
        for by in (-repeat.period, repeat.period):
            if repeat.first + by >= 0:
                moved = replace(repeat, first=repeat.first + by, last=repeat.last + by)
                yield f"{repeat.id} by {by}", _spanning(deployment, repeat, moved)


def swapped(deployment: Deployment) -> Mutants:
    """Two bodies have each other's layers."""
    found = bodies(deployment)
    for (one, rows), (other, others) in pairwise(found):
        new = {**{id(row): other for row in rows}, **{id(row): one for row in others}}
        made = [replace(row, repeat=new.get(id(row), row.repeat)) for row in deployment.rows]
        yield f"{one.id} and {other.id}", replace(deployment, rows=tuple(made))


def skipped(deployment: Deployment) -> Mutants:
    """A body is passed by: what follows reads what it would have read."""
    for repeat, rows in bodies(deployment):
        own = {row.index for row in rows}
        entering = next(link for link in deployment.links if link.target in own and link.source not in own)
        made = deployment
        for link in deployment.links:
            if link.source in own and link.target not in own:
                made = rerouted(made, link, made.rows[entering.source])
        yield f"{repeat.id}, still run", made
        yield f"{repeat.id}, gone", numbered(made, [row for row in made.rows if row.index not in own], made.links)


def once_more(deployment: Deployment) -> Mutants:
    """What a round starts from is not what the last one left: the body yields an earlier value."""
    for repeat, rows in bodies(deployment):
        own = {row.index for row in rows}
        for link in deployment.links:
            if link.source in own and link.target not in own:
                right = deployment.rows[link.source]
                for row in rows:
                    port, made = row.outputs[0], right.outputs[0]
                    if row is not right and (port.names, port.local) == (made.names, made.local) and not row.on_host:
                        yield f"{repeat.id} yields {row.op} {row.index}", rerouted(deployment, link, row)


def on_another_stage(deployment: Deployment) -> Mutants:
    """A run of layers is placed on the GPUs of another stage than the values are sent to; with or without saying so."""
    for repeat, rows in bodies(deployment):
        own = {row.index for row in rows}
        pools = [pool.gpus for pool in deployment.pools]
        mine = next((gpus for gpus in pools if np.isin(rows[0].places, gpus).all()), np.empty(0))
        for gpus in (gpus for gpus in pools if gpus is not mine and gpus.size == mine.size):
            to = np.arange(deployment.gpus)
            to[mine], to[gpus] = gpus, mine
            for name, said in (("", False), (", labels too", True)):
                made = [_on(row, to, said) if row.index in own else row for row in deployment.rows]
                yield f"{repeat.id} on {gpus[0]}{name}", replace(deployment, rows=tuple(made))


def _on(row: Row, to: np.ndarray, said: bool) -> Row:
    """A row with every GPU replaced by that in `to`."""
    made = replace(row, places=to[row.places])
    if not said:
        return made
    ports = {kind: tuple(_held(port, to) for port in getattr(row, kind)) for kind in ("inputs", "outputs", "weights")}
    return replace(made, **ports)


def _held(port: Port, to: np.ndarray) -> Port:
    def moved(share: Share | None) -> Share | None:
        return None if share is None else replace(share, of=share.of[to])

    return replace(port, shares=tuple(map(moved, port.shares)), addend=moved(port.addend))
