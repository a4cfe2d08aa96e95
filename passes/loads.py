"""loads: how many bytes every link of the cluster carries, by the algorithms that carry out the collectives.

    {"layers": "0-15", "repeat": 16, "links": [{"gpus": [[0, 15]], "to switch": 939524096, …}],
     "busiest": {"gpu": 0, "link": "to fabric", "bytes": 939524096, "seconds": 0.0188}}

Every GPU has a link to its node's switch and one to the fabric that joins the nodes, each in both directions. What two
GPUs of a node send one another goes by the switch, all else by the fabric. A link's bytes over its bandwidth are a
lower bound of the time that a layer communicates: latency, and waiting for one another, come on top.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..ir.deployment import Deployment, Row
from ..ir.module import layers_in
from .paths import Chosen, algorithm_of, hubs
from .paths.algorithm import Hub

LINKS = ("to switch", "from switch", "to fabric", "from fabric")
RUNS = 64
"""Runs of GPUs that a class of equally loaded links lists."""
MOST = 50_000_000
"""Transfers of one collective beyond which they are not summed."""


@dataclass(frozen=True)
class Links:
    """So many GPUs a node; bytes per second of a GPU's link to its switch and of the one to the fabric, one way."""

    per_node: int
    inside: float
    across: float

    @property
    def bandwidth(self) -> np.ndarray:
        return np.array([self.inside, self.inside, self.across, self.across])


def loads(deployment: Deployment, links: Links, chosen: Chosen) -> dict[str, Any]:
    """What the links carry in a round of every repeated body (for one run of the program), and in all.

    `deployment`: collectives drawn as hubs. What is sent in sizes left unbound is not counted, but listed as `unknown`.
    """
    counted = _Counted(deployment, links, chosen)
    for row in deployment.rows:
        counted.add(row)
    total = sum((each.bytes * each.repeat for each in counted.bodies.values()), counted.none())
    total *= len(deployment.runs)
    return {
        "bandwidth": {"switch": links.inside, "fabric": links.across},
        "algorithms": counted.algorithms,
        "unknown": counted.unknown,
        "bodies": [{"layers": n, "repeat": b.repeat, **_said(b.bytes, links)} for n, b in counted.bodies.items()],
        "total": _said(total, links),
    }


@dataclass
class _Body:
    """Bytes of one round: [GPUs, links]."""

    repeat: int
    bytes: np.ndarray


class _Counted:
    def __init__(self, deployment: Deployment, links: Links, chosen: Chosen) -> None:
        self.gpus, self.links, self.chosen = deployment.gpus, links, chosen
        self.hubs = {hub.row.index: hub for hub in hubs(deployment, links.per_node)}
        self.bodies: dict[str | None, _Body] = {}
        self.algorithms: list[dict[str, Any]] = []
        self.unknown: list[str] = []

    def none(self) -> np.ndarray:
        return np.zeros((self.gpus, len(LINKS)))

    def add(self, row: Row) -> None:
        """Count what a row sends, if it sends anything."""
        if row.move is None or row.places.shape[1] < 2:
            return
        repeat = row.repeat
        layers = layers_in((repeat.first, repeat.last, repeat.period), row.path) if repeat else None
        body = self.bodies.setdefault(layers, _Body(repeat.count if repeat else 1, self.none()))
        sends = self._sends(row, layers) if isinstance(row.move.bytes, int) else None
        if sends is None:
            self.unknown.append(row.title)
            return
        for senders, receivers, size in sends:
            self._carry(body.bytes, senders, receivers, size)

    def _sends(self, row: Row, layers: str | None) -> Iterator[tuple[np.ndarray, np.ndarray, Fraction]] | None:
        """Senders, receivers and the bytes that each sends; None where that is not known."""
        assert row.move is not None
        if row.is_transfer:
            return _transferred(row)
        hub = self.hubs.get(row.index)
        if hub is None:
            return None
        name, algorithm = algorithm_of(hub, self.chosen)
        self.algorithms.append({"collective": hub.op.collective, "after": row.path, "layers": layers, "by": name})
        sends = algorithm.sends(hub)
        if row.places.size * row.places.shape[1] > MOST and name == "pairwise":
            return None
        return ((hub.places[:, s.senders], hub.places[:, s.receivers], _bytes(hub, s.part) * s.times) for s in sends)

    def _carry(self, into: np.ndarray, senders: np.ndarray, receivers: np.ndarray, size: Fraction) -> None:
        across = senders // self.links.per_node != receivers // self.links.per_node
        for link, gpus, far in ((0, senders, False), (1, receivers, False), (2, senders, True), (3, receivers, True)):
            into[:, link] += np.bincount(gpus[across == far], minlength=self.gpus) * float(size)


def _transferred(row: Row) -> Iterator[tuple[np.ndarray, np.ndarray, Fraction]] | None:
    """Of a transfer: one to one, or as many equal pieces from each of several; None where pieces are not equal."""
    assert row.move is not None
    if row.pairs is None:
        return iter([(row.places[:, 0], row.places[:, 1], Fraction(row.move.bytes))])
    received = (row.move.received or (row.move.elements, row.move.bytes))[1]
    taken = np.bincount(row.pairs[:, 1])
    most = np.bincount(row.pairs[:, 0]).max()
    if isinstance(received, str) or len(np.unique(taken[taken > 0])) > 1:
        return None
    each = Fraction(received, int(taken.max()))
    return iter([(row.pairs[:, 0], row.pairs[:, 1], each)]) if each * int(most) == row.move.bytes else None


def _bytes(hub: Hub, part: Fraction) -> Fraction:
    """Bytes of a part of a collective's payload."""
    assert hub.row.move is not None
    return Fraction(hub.row.move.bytes) * part * Fraction(hub.members, hub.op.FACTOR * (hub.members - 1))


def _said(carried: np.ndarray, links: Links) -> dict[str, Any]:
    """The load of all links, those of equally loaded GPUs together, and the one that takes longest."""
    found, which = np.unique(carried, axis=0, return_inverse=True)
    classes = [(np.flatnonzero(which.reshape(-1) == at), row) for at, row in enumerate(found)]
    seconds = carried / links.bandwidth
    gpu, link = (int(i) for i in np.unravel_index(seconds.argmax(), seconds.shape))
    busiest = {
        "gpu": gpu,
        "link": LINKS[link],
        "bytes": round(carried[gpu, link]),
        "seconds": float(seconds[gpu, link]),
    }
    return {
        "links": [
            {"gpus": _runs(gpus), "count": len(gpus)} | {n: round(b) for n, b in zip(LINKS, row, strict=True)}
            for gpus, row in sorted(classes, key=lambda each: int(each[0][0]))
        ],
        "busiest": busiest if seconds[gpu, link] else None,
    }


def _runs(gpus: np.ndarray) -> list[list[int]]:
    """First and last of every run of GPU ids, of the first runs."""
    ends = np.flatnonzero(np.diff(gpus) != 1)
    first, last = gpus[np.concatenate([[0], ends + 1])], gpus[np.concatenate([ends, [len(gpus) - 1]])]
    return np.stack([first, last], axis=1)[:RUNS].tolist()
