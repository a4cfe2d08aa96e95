"""apart: draws every expert of a GPU by itself (`--per-expert`) instead of one grouped operator for all of them.

    before   dispatch [experts=4, …] → up_proj [experts=4, …] (experts 4-7) → combine
    after    dispatch → split → up_proj [experts=1, …] (expert 4) … up_proj (expert 7) → concat → combine

Works on the deployment graph: an operator that runs on rows of several experts becomes one per expert; what enters
such operators is split by a routing node of its own, what leaves them is concatenated by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..diagnostics import Diagnostic, Refused
from ..ir.deployment import Deployment, EdgeKind, Experts, Kind, Link, Port, Row, Share
from ..ir.orders import CONTIGUOUS, unequal


def apart(deployment: Deployment) -> Deployment:
    """The same deployment with every local expert drawn apart; unchanged where each GPU has at most one.

    Refused where parts are not equal: then one operator is several rows already, of different numbers of experts.
    """
    if all(_count(row) <= 1 for row in deployment.rows):
        return deployment
    if of := next(filter(_is_unequal, deployment.rows), None):
        raise Refused(_unequal(of))
    maker = _Apart(deployment)
    for row in deployment.rows:
        maker.add(row)
    return replace(deployment, rows=tuple(maker.rows), links=tuple(maker.links))


def _is_unequal(row: Row) -> bool:
    shares = (share for port in (*row.reads, *row.outputs) for share in port.shares if share)
    return any(unequal(share.order) for share in shares)


def _unequal(row: Row) -> Diagnostic:
    return Diagnostic(
        "order",
        f"{row.op} holds parts that are not equal, of which experts are not drawn apart",
        f"{row.where} at {row.path}".strip(),
        expected="equal parts",
        hint="leave --per-expert out",
    )


def _count(row: Row) -> int:
    """Experts an operator runs on, 0 where it is not an operator of experts."""
    if not isinstance(row.spread, Experts):
        return 0
    port = row.outputs[0]
    count = port.local[port.names.index("experts")]
    return count if isinstance(count, int) else 0


@dataclass
class _Experts:
    """Takes one expert's part out of tensors; a part's share is made once, so that ports have it in common."""

    gpus: int
    made: dict[tuple[int, int, int], Share] = field(default_factory=dict)

    def single(self, port: Port, which: int, count: int) -> Port:
        """One expert's part of a tensor that has `count` of them on a GPU; tensors without experts stay."""
        if "experts" not in port.names:
            return port
        at = port.names.index("experts")
        local = (*port.local[:at], 1, *port.local[at + 1 :])
        shares = port.shares
        if shares:
            shares = (*shares[:at], self._share(shares[at], which, count), *shares[at + 1 :])
        return replace(port, tensor=f"{port.tensor}[{which}]", local=local, shares=shares)

    def _share(self, share: Share | None, which: int, count: int) -> Share:
        whole = share or Share(1, np.zeros(self.gpus, dtype=np.int64))
        key = (id(share), which, count)
        if key not in self.made:
            of = np.where(whole.of < 0, -1, whole.of * count + which)
            order = (*whole.order, (count, CONTIGUOUS)) if whole.order else ()
            self.made[key] = Share(whole.parts * count, of, order)
        return self.made[key]


@dataclass
class _Apart:
    deployment: Deployment
    rows: list[Row] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    parts: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Old row → per expert the new (row, output) that holds its part; for other rows a single one, whole."""
    joined: dict[int, int] = field(default_factory=dict)
    """Old row → the row that joins its experts' parts again."""
    split: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.experts = _Experts(self.deployment.gpus)
        self.entering: dict[int, list[Link]] = {row.index: [] for row in self.deployment.rows}
        for link in self.deployment.links:
            self.entering[link.target].append(link)

    def add(self, row: Row) -> None:
        count = _count(row)
        if count <= 1:
            sources = [self._last(link) or self._whole(link.source) for link in self.entering[row.index]]
            made = self._put(row)
            self.parts[row.index] = [(made, 0)]
            for link, (source, output) in zip(self.entering[row.index], sources, strict=True):
                self._link(link, source, output, made, _carried(link, row.inputs))
            return
        self.parts[row.index] = [(self._one(row, which, count), 0) for which in range(count)]

    def _one(self, row: Row, which: int, count: int) -> int:
        """One expert's copy of an operator."""
        assert isinstance(row.spread, Experts)
        inputs, outputs, weights = (
            tuple(self.experts.single(port, which, count) for port in ports)
            for ports in (row.inputs, row.outputs, row.weights)
        )
        sources = [self._last(link) or self._part(link, row, which) for link in self.entering[row.index]]
        made = self._put(
            replace(
                row,
                inputs=inputs,
                outputs=outputs,
                weights=weights,
                spread=row.spread.only(which),
            )
        )
        for link, (source, output) in zip(self.entering[row.index], sources, strict=True):
            self._link(link, source, output, made, _carried(link, inputs))
        return made

    def _last(self, link: Link) -> tuple[int, int] | None:
        """What a link of order alone waits for: the last expert's row."""
        return self.parts[link.source][-1] if link.kind is EdgeKind.ORDER else None

    def _part(self, link: Link, row: Row, which: int) -> tuple[int, int]:
        """Where one expert's part of an operand comes from: the same expert's operator, or a split of the whole."""
        if len(self.parts[link.source]) > 1:
            return self.parts[link.source][which]
        if "experts" not in row.inputs[link.input].names:
            return self.parts[link.source][0]
        if link.source not in self.split:
            self.split[link.source] = self._splitter(link, row.inputs[link.input], _count(row))
        return self.split[link.source][which]

    def _splitter(self, link: Link, port: Port, count: int) -> list[tuple[int, int]]:
        source, output = self.parts[link.source][0]
        target = next(row for row in self.deployment.rows if row.index == link.target)
        parts = tuple(self.experts.single(port, which, count) for which in range(count))
        made = self._put(_route(target, "split", "Split by expert", (port,), parts))
        self._link(link, source, output, made, port.tensor, slot=0)
        return [(made, i) for i in range(count)]

    def _whole(self, source: int) -> tuple[int, int]:
        """Where the whole of a value comes from: its row, or the concatenation of its experts' rows."""
        if len(self.parts[source]) == 1:
            return self.parts[source][0]
        if source not in self.joined:
            old = self.deployment.rows[source]
            count = len(self.parts[source])
            inputs = tuple(self.experts.single(old.outputs[0], which, count) for which in range(count))
            self.joined[source] = self._put(_route(old, "concat", "Concatenate experts", inputs, old.outputs))
            for slot, (row, output) in enumerate(self.parts[source]):
                self.links.append(Link(row, self.joined[source], output, slot, EdgeKind.DATA, inputs[slot].tensor))
        return self.joined[source], 0

    def _put(self, row: Row) -> int:
        self.rows.append(replace(row, index=len(self.rows)))
        return len(self.rows) - 1

    def _link(self, link: Link, source: int, output: int, target: int, tensor: str, slot: int | None = None) -> None:
        slot = link.input if slot is None else slot
        self.links.append(Link(source, target, output, slot, link.kind, tensor))


def _carried(link: Link, inputs: tuple[Port, ...]) -> str:
    return link.tensor if link.kind is EdgeKind.ORDER else inputs[link.input].tensor


def _route(like: Row, op: str, title: str, inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> Row:
    """A split or concat node beside an expert operator."""
    return replace(
        like, op=op, title=title, kind=Kind.ROUTE, inputs=inputs, outputs=outputs, weights=(), state=(), spread=(),
        operator=None, operands=(),
    )  # fmt: skip
