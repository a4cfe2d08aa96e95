"""The pen that draws transfers and what stands between them: rows, links, and ports that say which part goes where.

A part that each member of a group has of what another has, is that member's share: `share_of(share, places, whose)`.
A member that has merged some of the addends says which: `owing(port, places, merged)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from xdsl.ir import Block

from ...ir.debts import KINDS, SUM
from ...ir.deployment import EdgeKind, Kind, Link, Move, Port, Row, Share, Size
from ...ir.dims import number, parse
from ...ir.local import plain
from ...ir.op import Operator
from ...ir.ops.move import Collective, MergeOp, Mover, TransferOp

Sources = tuple[tuple[int, int], ...]
"""Rows and which of their outputs, on different GPUs, that hold a value together."""


def scaled(size: Size, by: Fraction) -> Size:
    """A size times a fraction, rounded up."""
    return plain((number(size) if isinstance(size, int) else parse(size)) * number(by))


def share_of(share: Share | None, places: np.ndarray, whose: np.ndarray) -> Share | None:
    """Every member of a group (int64 [groups, members]) has the part that the member at `whose` [members] has."""
    if share is None:
        return None
    of = np.full_like(share.of, -1)
    of[places] = share.of[places[:, whose]]
    return replace(share, of=of)


def part_of(port: Port, tensor: str, parts: dict[str, tuple[Size, Share | None]]) -> Port:
    """The port of a part of a tensor: along some dimensions it has another local size and share."""
    local = tuple(parts[n][0] if n in parts else size for n, size in zip(port.names, port.local, strict=True))
    shares = tuple(parts[n][1] if n in parts else share for n, share in zip(port.names, port.shares, strict=True))
    return replace(port, tensor=tensor, local=local, shares=shares)


def owing(port: Port, places: np.ndarray, merged: np.ndarray) -> Port:
    """The port of a value of which every member has merged the addends of some members: bool [members, members]."""
    owed = port.addend
    assert owed is not None
    has = np.zeros((len(owed.of), owed.parts), dtype=bool)
    for position, addends in enumerate(merged):
        has[places[:, position, None], owed.of[places[:, addends]]] = True
    return replace(port, addend=Share(owed.parts, np.where(has.any(axis=1), has.argmax(axis=1), -1), merged=has))


@dataclass
class Pen:
    """Adds rows and links to a graph, in the place of one collective (`hub`); `step` names what it belongs to."""

    rows: list[Row]
    links: list[Link]
    hub: Row
    kind: EdgeKind
    subject: str = field(init=False)

    def __post_init__(self) -> None:
        self.subject = self.hub.title.partition(": ")[2]

    def split(self, source: Sources, whole: Port, parts: Sequence[Port], step: str) -> int:
        """Parts of what each member holds, as outputs of one row."""
        return self._put("split", f"Split: {self.subject}, {step}", (source,), (whole,), tuple(parts))

    def read(self, after: Sources) -> Sources:
        """The weight that the hub moves, as it is stored; `after`: what its members run before, which they wait for."""
        (weight,) = self.hub.weights
        row = self._put("slice", f"Slice: {self.subject}, as it is stored", (), (), (replace(weight, parameter=""),))
        self.rows[row] = replace(self.rows[row], weights=(weight,))
        self.links += [Link(source, row, output, 0, EdgeKind.ORDER, "") for source, output in after]
        return ((row, 0),)

    def concat(self, sources: Sequence[Sources], parts: Sequence[Port], whole: Port, step: str) -> Sources:
        """One value of parts that each member holds."""
        return ((self._put("concat", f"Concat: {self.subject}, {step}", sources, tuple(parts), (whole,)), 0),)

    def merge(
        self, sources: Sequence[Sources], addends: Sequence[Port], made: Port, places: np.ndarray, step: str
    ) -> Sources:
        """Addends that meet on a member, merged as its debt says."""
        kind = addends[0].debt
        op, title = ("add", "Add") if kind == SUM else ("merge", f"Merge of {KINDS[kind].called}")
        merge = None if kind == SUM else kind
        row = self._put(
            op, f"{title}: {self.subject}, {step}", sources, tuple(addends), (made,),
            operator=self._operator(MergeOp, len(addends), merge=merge), places=places.reshape(-1, 1),
            operands=tuple(range(len(addends))),
        )  # fmt: skip
        return ((row, 0),)

    def send(
        self, source: Sources, sent: Port, received: Port, places: np.ndarray, part: Fraction, step: str
    ) -> Sources:
        """Each first member of `places` (int64 [pairs, 2]) sends what it holds to the second. `part`: see `Send`."""
        row = self._put(
            "send", f"Send/recv: {self.subject}, {step}", (source,), (sent,), (received,), kind=Kind.COMM,
            places=places, move=self._move(part), operator=self._operator(TransferOp, 1), operands=(0,),
        )  # fmt: skip
        return ((row, 0),)

    def _move(self, part: Fraction) -> Move:
        hub, op = self.hub.move, self.hub.operator
        assert hub is not None
        assert isinstance(op, Collective)
        members = self.hub.places.shape[1]
        each = part * Fraction(members, op.FACTOR * (members - 1))
        return Move("send/recv", hub.axes, scaled(hub.elements, each), scaled(hub.bytes, each))

    def _operator(self, kind: type[Mover], count: int, merge: str | None = None) -> Operator:
        """An operator that stands in no module, on values of the hub's type."""
        assert self.hub.operator is not None
        types = [self.hub.operator.operands[0].type] * count
        return kind.of(*Block(arg_types=types).args, path=self.hub.path, merge=merge)

    def _put(
        self, op: str, title: str, sources: Sequence[Sources], inputs: tuple[Port, ...], outputs: tuple[Port, ...],
        kind: Kind = Kind.ROUTE, places: np.ndarray | None = None, move: Move | None = None,
        operator: Operator | None = None, operands: tuple[int, ...] = (),
    ) -> int:  # fmt: skip
        index = len(self.rows)
        for slot, source in enumerate(sources):
            self.links += [Link(row, index, out, slot, self.kind, inputs[slot].tensor) for row, out in source]
        places = self.hub.places.reshape(-1, 1) if places is None else np.ascontiguousarray(places)
        self.rows.append(
            replace(
                self.hub, index=index, op=op, title=title, kind=kind, places=places, inputs=inputs, outputs=outputs,
                move=move, operator=operator, operands=operands, spread=(), weights=(),
                senders=int(move is not None),
            )
        )  # fmt: skip
        return index
