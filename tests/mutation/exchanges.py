"""Collectives and transfers of the wrong kind, order, dimension or receiver (F8, F9, F15, F16, F22, F29, F33)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dagc.ir.deployment import Deployment, Row
from dagc.ir.ops.move import AllGatherOp, AllReduceOp, AllToAllOp, Collective, ReduceScatterOp, RotateOp

from .operators import exchanging, like
from .surgery import Mutants, changed, inserted, users, where, without


def collectives(deployment: Deployment) -> list[Row]:
    return [row for row in deployment.rows if isinstance(row.operator, Collective)]


def wrong_kind(deployment: Deployment) -> Mutants:
    """Another collective under the same labels."""
    for row in collectives(deployment):
        joins = str(getattr(row.operator, "dim", ""))
        for kind, more in _others(row):
            if not isinstance(row.operator, kind):
                yield f"{where(row)} as {kind.name} {joins}", changed(deployment, row, **exchanging(row, kind, **more))


def _others(row: Row) -> Iterator[tuple[type[Collective], dict[str, object]]]:
    names = row.reads[0].names
    yield AllReduceOp, {}
    yield AllGatherOp, {"dim": names[0]}
    yield ReduceScatterOp, {"dim": names[-1]}
    yield AllToAllOp, {"dim": names[-1], "to": names[0]}


def wrong_dimension(deployment: Deployment) -> Mutants:
    """Joins or splits another dimension."""
    for row in collectives(deployment):
        for key in ("dim", "to"):
            for name in row.reads[0].names if hasattr(row.operator, key) else ():
                if getattr(row.operator, key).data != name:
                    assert row.operator is not None
                    operator = like(row.operator, **{key: name})
                    yield f"{where(row)}, {key} {name}", changed(deployment, row, operator=operator)


def dropped(deployment: Deployment) -> Mutants:
    """No gather, no all-to-all: users read the part they have (a ring without its steps)."""
    for row in collectives(deployment):
        if isinstance(row.operator, AllGatherOp | AllToAllOp | RotateOp):
            yield where(row), without(deployment, row)
            yield f"{where(row)}, labels as before", without(deployment, row, label=False)


def member_order(deployment: Deployment) -> Mutants:
    """Members stand in another order: all groups backwards, or one group turned by one."""
    for row in collectives(deployment):
        backwards = np.ascontiguousarray(row.places[:, ::-1])
        yield f"{where(row)} backwards", changed(deployment, row, places=backwards)
        turned = row.places.copy()
        turned[-1] = np.roll(turned[-1], 1)
        yield f"{where(row)}, last group turned", changed(deployment, row, places=turned)


def twice(deployment: Deployment) -> Mutants:
    """The same exchange of what was exchanged already."""
    for row in collectives(deployment):
        if isinstance(row.operator, AllGatherOp | AllToAllOp | RotateOp):
            yield where(row), inserted(deployment, row, replace(row, inputs=row.outputs, weights=()))


def transfers(deployment: Deployment) -> list[Row]:
    """Those that pair GPUs; of others `sending` tells."""
    return [row for row in deployment.rows if row.is_transfer and row.pairs is None]


def wrong_receiver(deployment: Deployment) -> Mutants:
    """Receivers swapped, one receiver twice, sender and receiver exchanged, or to a GPU of its own stage."""
    for row in transfers(deployment):
        senders, receivers = row.places[:, 0], row.places[:, 1]
        pairs = {"backwards": (receivers, senders), "to itself": (senders, senders)}
        if len(senders) > 1:
            pairs["receivers turned"] = (senders, np.roll(receivers, 1))
            pairs["one receiver for all"] = (senders, np.full_like(receivers, receivers[0]))
        for name, (a, b) in pairs.items():
            yield f"{where(row)}, {name}", changed(deployment, row, places=np.stack([a, b], axis=1))


def dangling(deployment: Deployment) -> Mutants:
    """A send whose value nobody reads; a value that is never sent; one sender left out."""
    for row in [*transfers(deployment), *collectives(deployment)]:
        gone = {id(link) for link in users(deployment, row)}
        links = tuple(link for link in deployment.links if id(link) not in gone)
        yield f"{where(row)}, unread", replace(deployment, links=links)
        yield (
            f"{where(row)}, one more",
            inserted(deployment, row, replace(row, inputs=row.outputs, weights=()), lambda link: False),
        )
    for row in transfers(deployment):
        yield f"{where(row)}, not sent", without(deployment, row)
        if len(row.places) > 1:
            yield f"{where(row)}, one left out", changed(deployment, row, places=row.places[:-1])
