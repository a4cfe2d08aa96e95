"""Collectives drawn as transfers, with a step that goes wrong (F1, F2, F8, F15, F16, F22, F34)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from dagc.ir.deployment import Deployment, Link, Port, Row
from dagc.ir.ops.move import MergeOp

from .surgery import Mutants, changed, feeding, put, restated, users, where, without


def sends(deployment: Deployment) -> list[Row]:
    """The transfers of drawn collectives."""
    return [row for row in deployment.rows if row.is_transfer and row.op == "send"]


def merges(deployment: Deployment) -> list[Row]:
    return [row for row in deployment.rows if isinstance(row.operator, MergeOp)]


def swapped_senders(deployment: Deployment) -> Mutants:
    """Two GPUs send in each other's place, or all send the other way round."""
    for row in sends(deployment):
        senders, receivers = row.places.T
        if len(senders) > 1:
            two = senders.copy()
            two[:2] = two[1::-1]
            yield f"{where(row)}, two senders", changed(deployment, row, places=np.stack([two, receivers], axis=1))
            back = np.stack([receivers, senders], axis=1)
            yield f"{where(row)}, the other way round", changed(deployment, row, places=back)


def other_piece(deployment: Deployment) -> Mutants:
    """A step sends the piece of another step: with its label, or under the label of the right one."""
    for row in sends(deployment):
        link = feeding(deployment, row)
        for output, port in enumerate(deployment.rows[link.source].outputs):
            if output != link.output:
                made = _relinked(deployment, link, replace(link, output=output))
                yield f"{where(row)}, piece {output}", made
                yield f"{where(row)}, piece {output}, labelled", restated(made, made.rows[row.index], 0, port)


def not_merged(deployment: Deployment) -> Mutants:
    """What is received is not added to what is held, or replaces it."""
    for row in merges(deployment):
        for slot in (0, 1):
            yield f"{where(row)}, only input {slot}", without(deployment, row, slot)
            yield f"{where(row)}, only input {slot}, labels as before", without(deployment, row, slot, label=False)


def merged_twice(deployment: Deployment) -> Mutants:
    """One of two addends is added to itself."""
    for row in merges(deployment):
        for slot in (0, 1):
            link, other = feeding(deployment, row, slot), feeding(deployment, row, 1 - slot)
            made = _relinked(deployment, other, replace(other, source=link.source, output=link.output))
            yield f"{where(row)}, input {slot} twice", made
            labelled = restated(made, made.rows[row.index], 1 - slot, row.inputs[slot])
            yield f"{where(row)}, input {slot} twice, labelled", labelled


def step_left_out(deployment: Deployment) -> Mutants:
    """A step is missing: who would read what it brings reads what was sent."""
    for row in sends(deployment):
        yield where(row), without(deployment, row)
        yield f"{where(row)}, labels as before", without(deployment, row, label=False)


def steps_exchanged(deployment: Deployment) -> Mutants:
    """Two steps of one collective bring their pieces in each other's place: inside before across."""
    found = sends(deployment)
    for one, other in pairwise(found):
        if one.path == other.path and one.places.shape == other.places.shape:
            if not np.array_equal(one.places, other.places):
                made = changed(changed(deployment, one, places=other.places), other, places=one.places)
                yield f"{where(one)} as {where(other)}", made
            first, second = users(deployment, one), users(deployment, other)
            if len(first) == len(second) == 1 and first[0].target == second[0].target:
                swapped = _relinked(deployment, first[0], replace(first[0], source=other.index))
                swapped = _relinked(swapped, second[0], replace(second[0], source=one.index))
                yield f"{where(one)} received as {where(other)}", swapped


def other_addends(deployment: Deployment) -> Mutants:
    """A value in the midst of a sum is said to have other addends than it has."""
    for row in deployment.rows:
        for at, port in enumerate(row.outputs):
            for how, lie in _lies(port):
                made = changed(deployment, row, outputs=put(row.outputs, at, lie))
                for use in (use for use in users(deployment, row) if use.output == at):
                    made = restated(made, made.rows[use.target], use.input, lie)
                yield f"{where(row)}, output {at} {how}", made


def _lies(port: Port) -> Iterator[tuple[str, Port]]:
    share = port.addend
    if share is None or share.merged is None:
        return
    for how, merged in {
        "turned": np.roll(share.merged, 1, axis=1),
        "one less": share.merged & (np.cumsum(share.merged, axis=1) > 1),
        "all": np.repeat(share.merged.any(axis=1)[:, None], share.parts, axis=1),
    }.items():
        if not np.array_equal(merged, share.merged):
            yield how, replace(port, addend=replace(share, merged=merged))


def _relinked(deployment: Deployment, old: Link, new: Link) -> Deployment:
    return replace(deployment, links=tuple(new if link is old else link for link in deployment.links))
