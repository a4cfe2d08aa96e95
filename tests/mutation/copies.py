"""Slots whose copies are of other experts, and rows that come to other slots than they are taken from (F37)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from xdsl.dialects.builtin import DenseArrayBase, ModuleOp, i64
from xdsl.ir import Operation

from dagc.ir.deployment import Deployment, Row
from dagc.ir.ops.assign import AssignOp
from dagc.ir.ops.moe import CombineOp
from dagc.ir.ops.program import WeightOp

from .operators import like
from .rewriting import Mutants as ModuleMutants
from .rewriting import each
from .surgery import Mutants, apart, changed, inserted, put, where

Table = tuple[int, ...]


def swapped(table: Table) -> Table:
    """The last slot and one before it that holds another expert change places."""
    at = next((i for i, expert in enumerate(table) if expert != table[-1]), 0)
    made = list(table)
    made[at], made[-1] = made[-1], made[at]
    return tuple(made)


def _doubled(table: Table) -> Table:
    """The last slot holds the first one's expert."""
    return (*table[:-1], table[0])


TABLES = {"swapped": swapped, "doubled": _doubled}


def _weights(deployment: Deployment) -> Iterator[tuple[str, Row, tuple[object, ...]]]:
    for row in deployment.rows:
        for at, port in enumerate(row.weights):
            for how, other in TABLES.items():
                if port.slots and other(port.slots) != port.slots:
                    yield f"{where(row)}, {how}", row, put(row.weights, at, replace(port, slots=other(port.slots)))


def weights(deployment: Deployment) -> Mutants:
    """A matrix has copies of other experts than its slots are of."""
    for place, row, ports in _weights(deployment):
        yield place, changed(deployment, row, weights=ports)


def weights_on_one(deployment: Deployment) -> Mutants:
    """The same on the GPU that holds the last slot only."""
    for place, row, ports in _weights(deployment):
        if len(row.places) > 1:
            gpu = int(row.places[-1, 0])
            yield f"{place} on GPU {gpu}", apart(deployment, row, gpu, weights=ports)


def _assigned(deployment: Deployment) -> Iterator[tuple[Row, AssignOp]]:
    return ((row, row.operator) for row in deployment.rows if isinstance(row.operator, AssignOp))


def _table(op: AssignOp) -> dict[str, DenseArrayBase]:
    return {"slots": DenseArrayBase.from_list(i64, swapped(op.table))}


def tables(deployment: Deployment) -> Mutants:
    """Rows go to slots by another table."""
    for row, op in _assigned(deployment):
        yield where(row), changed(deployment, row, operator=like(op, **_table(op)))


def tables_on_one(deployment: Deployment) -> Mutants:
    """The same on one GPU only."""
    for row, op in _assigned(deployment):
        if len(row.places) > 1:
            gpu = int(row.places[-1, 0])
            yield f"{where(row)} on GPU {gpu}", apart(deployment, row, gpu, operator=like(op, **_table(op)))


def taken_elsewhere(deployment: Deployment) -> Mutants:
    """The combine takes rows from other slots than the dispatch sent them to."""
    for row, op in _assigned(deployment):
        other = DenseArrayBase.from_list(i64, swapped(tuple(range(len(op.table)))))
        new = replace(row, operator=like(op, slots=other), inputs=row.outputs)
        combines = {r.index for r in deployment.rows if isinstance(r.operator, CombineOp) and r.repeat == row.repeat}
        yield where(row), inserted(deployment, row, new, lambda link, own=combines: link.target in own)


def elsewhere(deployment: Deployment) -> Mutants:
    """Legal: experts and their copies in other slots, in the table and in all matrices."""
    for row, op in _assigned(deployment):
        table = DenseArrayBase.from_list(i64, swapped(op.table))
        made = changed(deployment, row, operator=like(op, slots=table))
        for other in deployment.rows:
            if other.repeat == row.repeat and any(port.slots for port in other.weights):
                ports = tuple(replace(p, slots=table.get_values() if p.slots else ()) for p in other.weights)
                made = changed(made, other, weights=ports)
        yield where(row), made


def in_modules(module: ModuleOp) -> ModuleMutants:
    """A weight of a module in copies of other experts."""

    def swap(op: Operation) -> None:
        assert isinstance(op, WeightOp)
        op.properties["slots"] = DenseArrayBase.from_list(i64, swapped(op.table))

    yield from each(module, WeightOp, swap, suits=lambda op: bool(op.table))
