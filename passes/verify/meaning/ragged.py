"""Runs a collective whose members hold unequal parts: member by member, for all groups at once.

all-gather of [86, …] on GPUs 0-3 and [85, …] on GPUs 4-11      an input, and a value, for each size
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ....ir.deployment import Port, Row
from ....ir.ops.move import AllGatherOp, AllToAllOp, Collective, stated
from ....ir.orders import Levels, unequal
from .exchange import exchange_unequal, unequal_rows_after
from .pieces import Impossible, Value, aligned

Operand = Callable[[Row, int, np.ndarray], Value]
"""What the links of an input of a row bring to these GPUs."""
Small = Callable[[Levels], Levels]
"""An order as it is at small size."""


def is_ragged(row: Row, op: Collective) -> bool:
    """Do members hold unequal parts, or does the collective say so?"""
    orders = (getattr(op, name, None) for name in ("order", "to_order"))
    return len(row.reads) > 1 or len(row.outputs) > 1 or any(unequal(stated(order)) for order in orders)


def exchanged(row: Row, op: Collective, operand: Operand, small: Small) -> list[Value]:
    """A value for each output. Impossible where the groups of the row are not alike."""
    names, members = row.reads[0].names, list(row.places.T)
    have = [operand(row, _speaking(row.reads, gpus), gpus) for gpus in members]
    for name in have[0].rows:
        if not (isinstance(op, AllGatherOp | AllToAllOp) and op.dim.data == name):
            have = [aligned(value, names, {name: have[0].rows[name]}) for value in have]
    data = exchange_unequal(op, names, [value.data for value in have], small)
    rows = {name: unequal_rows_after(op, name, [v.rows[name] for v in have], small) for name in have[0].rows}
    made: list[list[int]] = [[] for _ in row.outputs]
    for member, gpus in enumerate(members):
        made[_speaking(row.outputs, gpus)].append(member)
    return [_together(own, members, data, rows) for own in made]


def _speaking(ports: Sequence[Port], gpus: np.ndarray) -> int:
    """The port that speaks of one member of every group."""
    found = [at for at, port in enumerate(ports) if port.holds(gpus).all()]
    if len(found) != 1:
        raise Impossible("joins groups whose members hold parts of other sizes")
    return found[0]


def _together(
    own: list[int], members: list[np.ndarray], data: list[np.ndarray], rows: dict[str, list[np.ndarray]]
) -> Value:
    if not own:
        raise Impossible("an output is on no GPU")
    return Value(
        np.concatenate([data[member] for member in own]),
        np.concatenate([members[member] for member in own]),
        {name: np.concatenate([ids[member] for member in own]) for name, ids in rows.items()},
    )
