"""What mutated rows say they send: what their operator and ports make it, so that no fault is told by this alone."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, prod

from dagc.ir.deployment import Deployment, Port, Row
from dagc.ir.dims import as_number, number
from dagc.ir.layout import DTYPE_BITS
from dagc.ir.ops.move import Collective


def restated(deployment: Deployment) -> Deployment:
    """The deployment whose collectives state their own name and volume."""
    return replace(deployment, rows=tuple(map(_restated, deployment.rows)))


def _restated(row: Row) -> Row:
    op = row.operator
    if row.move is None or not isinstance(op, Collective) or any(port.merges for port in (*row.inputs, *row.outputs)):
        return row
    before, after = (number(_elements(port)) for port in (row.reads[0], row.outputs[0]))
    sent = as_number(op.sent(before, after, row.places.shape[1]) * row.reads[0].steps)
    assert isinstance(sent, int | Fraction)
    weight = Fraction(DTYPE_BITS.get(row.reads[0].dtype, 0), 8)
    said = replace(row.move, collective=op.collective, elements=ceil(sent), bytes=ceil(sent * weight))
    return replace(row, move=said)


def _elements(port: Port) -> int:
    return prod(int(size) for size in port.local)
