"""Caches that a prefill leaves elsewhere than the program that decodes finds them, or not at all (F39)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dagc.ir.deployment import Deployment, EdgeKind, Row
from dagc.ir.ops.attention import KeepOp

from .surgery import MISPLACED, Mutants, changed, feeding, flowing, numbered, shared, where


def keeps(deployment: Deployment) -> list[Row]:
    return [row for row in deployment.rows if isinstance(row.operator, KeepOp)]


def misplaced(deployment: Deployment) -> Mutants:
    """A GPU is sent, and keeps, other sequences, heads or positions than it is to decode; all that is stated agrees."""
    for row in keeps(deployment):
        sender = deployment.rows[feeding(deployment, row).source]
        for axis, (name, share) in enumerate(zip(row.outputs[0].names, row.outputs[0].shares, strict=True)):
            for how, other in MISPLACED.items() if share is not None else ():
                moved = other(share)
                made = changed(deployment, sender, outputs=(shared(sender.outputs[0], axis, moved),))
                ports = {key: (shared(getattr(row, key)[0], axis, moved),) for key in ("inputs", "outputs", "state")}
                yield f"{where(row)}, {name}, {how}", changed(made, row, **ports)
                yield f"{where(row)}, {name}, {how}, kept alone", changed(deployment, row, **ports)


def others(deployment: Deployment) -> Mutants:
    """Values kept for keys, or the other way round."""
    rows = keeps(deployment)
    for row in rows:
        for other in rows:
            mine, its = feeding(deployment, row), feeding(deployment, other)
            alike = other.repeat == row.repeat and other.outputs[0].whole == row.outputs[0].whole
            if other is not row and alike and its.source < row.index:
                links = (replace(mine, source=its.source) if link is mine else link for link in deployment.links)
                yield f"{where(row)} keeps {where(other)}", replace(deployment, links=tuple(links))


def from_one(deployment: Deployment) -> Mutants:
    """One GPU sends its part to all that keep any."""
    for row in keeps(deployment):
        sender = deployment.rows[feeding(deployment, row).source]
        if sender.pairs is not None and len(np.unique(sender.pairs[:, 0])) > 1:
            pairs = np.stack([np.full_like(sender.pairs[:, 0], sender.pairs[0, 0]), sender.pairs[:, 1]], axis=1)
            yield where(sender), changed(deployment, sender, pairs=pairs)


def left_out(deployment: Deployment) -> Mutants:
    """A cache that is not kept, or not by one GPU, and not sent for it."""
    for row in keeps(deployment):
        sender = feeding(deployment, row).source
        rest = [each for each in deployment.rows if each is not row]
        yield f"{where(row)}, sent", numbered(deployment, rest, deployment.links)
        alone = sum(link.source == sender for link in flowing(deployment)) == 1
        rest = [each for each in rest if each.index != sender] if alone else rest
        yield where(row), numbered(deployment, rest, deployment.links)
        if len(row.places) > 1:
            yield f"{where(row)} on GPU {int(row.places[-1, 0])}", changed(deployment, row, places=row.places[:-1])


def not_waited_for(deployment: Deployment) -> Mutants:
    """The program ends before a cache has arrived."""
    for row in keeps(deployment):
        links = (k for k in deployment.links if (k.source, k.kind) != (row.index, EdgeKind.ORDER))
        yield where(row), replace(deployment, links=tuple(links))
