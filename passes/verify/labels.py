"""What a node is said to be follows from its operator. Guarantees, of every row that has one:

* NODE1: its kind is its operator's; a row without an operator only splits or joins, which is routing
* only the total input and output, and what scatters and gathers them, run on the host
* NODE5: what communicates, and only that, says which collective it is, and how much one member sends
* a cache, and only a cache, keeps its result; a weight is of the layer of the node that uses it
* DAG6: a link is drawn as the gate's choice where its value is used for nothing but routing
* a merged dimension is one of its tensor
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from math import prod

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, EdgeKind, Kind, Link, Port, Row
from ...ir.dims import Size, as_number, number, parse, same
from ...ir.layout import DTYPE_BITS
from ...ir.local import plain
from ...ir.module import offset_in
from ...ir.op import Operator, Role
from ...ir.ops.move import Collective, Mover, TransferOp
from ...ir.ops.program import InputOp, OutputOp
from .rows import about
from .sending import busiest

KINDS = {Role.MOVE: Kind.COMM, Role.ROUTING: Kind.ROUTE, Role.HOST: Kind.ROUTE}
"""By role; all others compute."""
CARRYING = frozenset({Role.MOVE, Role.NORM, Role.POINTWISE, Role.ROUTING})
"""Roles of operators that make a choice of a choice."""


def check(deployment: Deployment) -> list[Diagnostic]:
    """Every row and link that is said to be what it is not."""
    return [*(found for row in deployment.rows for found in _row(row)), *_choices(deployment)]


def _row(row: Row) -> Iterator[Diagnostic]:
    op = row.operator
    if row.kind is not _kind(op):
        yield about("NODE1", row, f"is drawn as {row.kind}", expected=str(_kind(op)))
    if op is None:
        return
    if row.on_host != (op.RULE.role is Role.HOST):
        yield about("ill-formed", row, "runs on the host" if row.on_host else "runs on GPUs, not on the host")
    if problem := _move(row, op):
        yield about("NODE5", row, problem)
    kept = row.outputs if op.RULE.role is Role.STATE else ()
    if [_stated(port) for port in row.state] != [_stated(port) for port in kept]:
        yield about("coverage", row, "keeps another state than its operator", actual=_texts(row.state))
    for port in row.weights:
        if offset_in(port.tensor) != offset_in(row.path):
            yield about("coverage", row, f"uses {port.tensor}, of another layer")
    for port in (*row.inputs, *row.outputs, *row.weights):
        if port.merges and port.merges.split()[0] not in port.names:
            yield about("DIM2", row, f"{port.tensor} says that it merges {port.merges}, a dimension it does not have")


def _kind(op: Operator | None) -> Kind:
    if isinstance(op, InputOp | OutputOp):
        return Kind.INPUT if isinstance(op, InputOp) else Kind.OUTPUT
    return Kind.ROUTE if op is None else KINDS.get(op.RULE.role, Kind.COMPUTE)


def _stated(port: Port) -> tuple[object, ...]:
    return port.names, port.local, port.whole, port.dtype


def _texts(ports: tuple[Port, ...]) -> str:
    return ", ".join(port.text() for port in ports) or "none"


def _move(row: Row, op: Operator) -> str:
    """What is wrong with what a row says it communicates, or nothing."""
    name = op.collective if isinstance(op, Collective) else "send/recv" if isinstance(op, TransferOp) else None
    if row.move is None or name is None:
        return "" if row.move is None and name is None else "communicates and does not say so, or the other way round"
    if row.move.collective != name:
        return f"says it is {row.move.collective}, its operator is {name}"
    if isinstance(op, Mover) and not any(port.merges for port in (*row.inputs, *row.outputs)):
        return _sent(row, op)
    return ""


def _sent(row: Row, op: Mover) -> str:
    """Elements and bytes that a member sends in all steps. Labels do not say how many rounded dimensions have."""
    assert row.move is not None
    if max(len(row.reads), len(row.outputs)) > 1:
        return _sent_unequal(row, op)
    before, after = (_elements(ports[0]) for ports in (row.reads, row.outputs))
    if isinstance(op, Collective):
        elements = got = op.sent(before, after, row.places.shape[1]) * row.reads[0].steps
    elif row.pairs is None:
        elements, got = before, after
    else:
        elements, got = _elements(row.reads[0], whole=True) * number(busiest(row)), after
    return _said(row, [elements], got)


def _sent_unequal(row: Row, op: Mover) -> str:
    """The same where members hold unequal parts; in all groups the same member holds as much."""
    if not isinstance(op, Collective):
        return "sends values of several sizes"
    before, after = (np.stack([port.holds(row.places) for port in ports]) for ports in (row.reads, row.outputs))
    if any((holds != holds[:, :1]).any() for holds in (before, after)):
        return "joins groups whose members hold parts of other sizes"
    held = [
        [_elements(ports[at]) for at in holds[:, 0].argmax(axis=0)]
        for ports, holds in ((row.reads, before), (row.outputs, after))
    ]
    return _said(row, op.each_sent(held[0], held[1]))


def _elements(port: Port, whole: bool = False) -> Size:
    return prod((_size(size) for size in (port.whole if whole else port.local)), start=number(1))


def _said(row: Row, sent: list[Size], got: Size | None = None) -> str:
    """Where a row says that its members send, or receive, anything else than this."""
    move = row.move
    assert move is not None
    each = number(Fraction(DTYPE_BITS.get(row.reads[0].dtype, 0), 8))
    most, least = (pick(sent, key=lambda size: as_number(size) or 0) for pick in (max, min))
    wanted = [("sends", "elements", move.elements, most), ("sends", "bytes", move.bytes, most * each)]
    if got is not None:
        said = move.received or (move.elements, move.bytes)
        wanted += [("receives", "elements", said[0], got), ("receives", "bytes", said[1], got * each)]
    else:
        wanted += [("sends", "elements at least", move.least, least)]
        wanted += [("sends", "elements in all", move.total, sum(sent, start=number(0)))]
    for verb, what, said, right in wanted:
        if said is None or not _is(said, right):
            return f"says it {verb} {said} {what}, not {plain(right)}"
    return ""


def _is(said: int | str, wanted: Size) -> bool:
    """Labels round numbers up."""
    return said == plain(wanted) or (isinstance(said, str) and same(_size(said), wanted))


def _size(size: int | str) -> Size:
    return number(size) if isinstance(size, int) else parse(size)


def _choices(deployment: Deployment) -> Iterator[Diagnostic]:
    """Links whose kind is not what their value is used for."""
    uses: dict[tuple[int, int], list[Link]] = defaultdict(list)
    for link in deployment.links:
        if link.kind is not EdgeKind.ORDER:
            uses[link.source, link.output].append(link)
    chosen = _chosen(deployment, uses)
    for key, links in uses.items():
        wanted = EdgeKind.SELECT if key in chosen else EdgeKind.DATA
        for link in links:
            if link.kind is not wanted:
                problem = f"reads {link.tensor} as {link.kind}, which is used as {wanted}"
                yield about("DAG6", deployment.rows[link.target], problem)


def _chosen(deployment: Deployment, uses: dict[tuple[int, int], list[Link]]) -> set[tuple[int, int]]:
    """The outputs that are used for routing decisions only; users come after what they use."""
    chosen: set[tuple[int, int]] = set()
    for row in reversed(deployment.rows):
        for output in range(len(row.outputs)):
            users = uses.get((row.index, output), [])
            if users and all(_selects(deployment.rows[link.target], link.input, chosen) for link in users):
                chosen.add((row.index, output))
    return chosen


def _selects(row: Row, slot: int, chosen: set[tuple[int, int]]) -> bool:
    """Does a row take this input as a decision, or hand it on as nothing but one?"""
    op = row.operator
    if op is None:
        return all((row.index, output) in chosen for output in range(len(row.outputs)))
    if slot < len(row.operands) and row.operands[slot] in op.RULE.selects:
        return True
    return op.RULE.role in CARRYING and (row.index, 0) in chosen
