"""What members of a group hold after a collective, written from its meaning, for all groups at once.

Arrays are [groups, members, *local]; `axis` and `to` count from the first local dimension. What is split is first put
in the order of its parts, what was joined is put back; in between members' parts are runs. Shares nothing with the
passes that choose collectives.

Where members hold unequal parts, arrays are [groups, *local] for each member (`exchange_unequal`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ....ir.debts import KINDS
from ....ir.op import Operator
from ....ir.ops.move import AllGatherOp, AllReduceOp, AllToAllOp, ReduceScatterOp, RotateOp, stated
from ....ir.orders import CONTIGUOUS, Levels, indices, pieces


def exchange(op: Operator, names: tuple[str, ...], x: np.ndarray) -> np.ndarray:
    """The members' values after the collective `op` on values with these names."""
    match op:
        case AllReduceOp():
            return _to_all(KINDS[op.kind].merge(x, 1), x.shape[1])
        case ReduceScatterOp():
            axis = names.index(op.dim.data)
            return _scattered(_put(KINDS[op.kind].merge(x, 1), axis + 1, stated(op.order)), axis, x.shape[1])
        case AllGatherOp():
            axis = names.index(op.dim.data)
            return _to_all(_put_back(_joined(x, axis), axis + 1, stated(op.order)), x.shape[1])
        case AllToAllOp():
            axis, to = names.index(op.dim.data), names.index(op.to.data)
            return _put_back(_swapped(_put(x, to + 2, stated(op.to_order)), axis, to), axis + 2, stated(op.order))
        case RotateOp():
            return _rotated(x, names.index(op.dim.data), op.shifts.value.data)
    raise ValueError(f"{op.name} is no collective")


def exchange_unequal(
    op: Operator, names: tuple[str, ...], xs: Sequence[np.ndarray], small: Callable[[Levels], Levels]
) -> list[np.ndarray]:
    """The members' values after the collective; `small` gives an order as it is at these extents."""
    order, to_order = (small(stated(said)) for said in (getattr(op, "order", None), getattr(op, "to_order", None)))
    match op:
        case AllReduceOp():
            return [KINDS[op.kind].merge(np.stack(xs, axis=1), 1)] * len(xs)
        case ReduceScatterOp():
            merged = KINDS[op.kind].merge(np.stack(xs, axis=1), 1)
            return dealt(merged, names.index(op.dim.data) + 1, len(xs), order)
        case AllGatherOp():
            return [gathered(xs, names.index(op.dim.data) + 1, order)] * len(xs)
        case AllToAllOp():
            axis, to = names.index(op.dim.data) + 1, names.index(op.to.data) + 1
            sent = [dealt(x, to, len(xs), to_order) for x in xs]
            return [gathered([parts[member] for parts in sent], axis, order) for member in range(len(xs))]
    raise ValueError(f"{op.name} is no collective")


def dealt(x: np.ndarray, axis: int, members: int, order: Levels) -> list[np.ndarray]:
    """What lies along an axis, apart for each member."""
    return [x.take(part, axis) for part in pieces(order or ((members, CONTIGUOUS),), x.shape[axis])]


def gathered(xs: Sequence[np.ndarray], axis: int, order: Levels) -> np.ndarray:
    """The members' parts of an axis together, each index where it belongs; parts as great as the order says."""
    joined = np.concatenate(xs, axis)
    parts = pieces(order or ((len(xs), CONTIGUOUS),), joined.shape[axis])
    if [len(part) for part in parts] != [x.shape[axis] for x in xs]:
        raise ValueError(f"joins parts of {[x.shape[axis] for x in xs]}, its order is of {[len(p) for p in parts]}")
    return joined.take(np.argsort(np.concatenate(parts)), axis)


def unequal_rows_after(
    op: Operator, name: str, ids: Sequence[np.ndarray], small: Callable[[Levels], Levels]
) -> list[np.ndarray]:
    """The same exchange of the row numbers, of each member [groups, n], along a name whose rows have no fixed order."""
    if isinstance(op, AllGatherOp | AllToAllOp) and op.dim.data == name:
        return [np.concatenate(ids, axis=1)] * len(ids)
    if isinstance(op, AllToAllOp) and op.to.data == name:
        return dealt(ids[0], 1, len(ids), small(stated(op.to_order)))
    if isinstance(op, ReduceScatterOp) and op.dim.data == name:
        return dealt(ids[0], 1, len(ids), small(stated(op.order)))
    return list(ids)


def rows_after(op: Operator, name: str, ids: np.ndarray) -> np.ndarray:
    """The same exchange of the row numbers [groups, members, n] along a name whose rows have no fixed order."""
    members = ids.shape[1]
    joined = isinstance(op, AllGatherOp | AllToAllOp) and op.dim.data == name
    split = op.to.data if isinstance(op, AllToAllOp) else op.dim.data if isinstance(op, ReduceScatterOp) else ""
    if joined:
        return _to_all(_joined(ids, 0), members)
    return _scattered(ids[:, 0], 0, members) if split == name else ids


def _rotated(x: np.ndarray, axis: int, shifts: int) -> np.ndarray:
    """What every member has had after so many shifts, one after the other along `axis`: of the i-th before it at i."""
    own = np.arange(x.shape[1])
    return np.concatenate([x[:, (own - i) % len(own)] for i in range(shifts + 1)], axis=axis + 2)


def _put(x: np.ndarray, axis: int, order: Levels) -> np.ndarray:
    """What lies along an array's axis, part after part."""
    return x.take(indices(order, x.shape[axis]).reshape(-1), axis) if order else x


def _put_back(x: np.ndarray, axis: int, order: Levels) -> np.ndarray:
    """What lies part after part, each of its indices where it belongs."""
    return x.take(np.argsort(indices(order, x.shape[axis]).reshape(-1)), axis) if order else x


def _to_all(x: np.ndarray, members: int) -> np.ndarray:
    return np.repeat(x[:, None], members, axis=1)


def _joined(x: np.ndarray, axis: int) -> np.ndarray:
    """[groups, members, …] → [groups, …], the members' parts one after another along `axis`."""
    moved = np.moveaxis(x, 1, axis + 1)
    shape = moved.shape
    return moved.reshape(*shape[: axis + 1], shape[axis + 1] * shape[axis + 2], *shape[axis + 3 :])


def _scattered(x: np.ndarray, axis: int, members: int) -> np.ndarray:
    """[groups, …] → [groups, members, …]: member i gets the i-th of equal parts along `axis`."""
    shape, at = x.shape, axis + 1
    if shape[at] % members:
        raise ValueError(f"{shape[at]} points in {members} parts")
    parts = x.reshape(*shape[:at], members, shape[at] // members, *shape[at + 1 :])
    return np.moveaxis(parts, at, 1)


def _swapped(x: np.ndarray, axis: int, to: int) -> np.ndarray:
    """Every member splits `to` in equal parts, sends one to each, and joins what it gets along `axis`."""
    groups, members = x.shape[:2]
    split = _scattered(x.reshape(groups * members, *x.shape[2:]), to, members)
    sent = split.reshape(groups, members, *split.shape[1:])  # [groups, from, to, …]
    received = np.moveaxis(sent, 2, 1)
    flat = received.reshape(groups * members, *received.shape[2:])
    joined = _joined(flat, axis)
    return joined.reshape(groups, members, *joined.shape[1:])
