"""What members of a communication send, in elements and bytes, counted exactly (rows only there to fill up are not).

all-gather of [86, …] and [85, …] parts      members send from 171 · … to 170 · … elements
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from ..ir.deployment import Move
from ..ir.dims import Size, Sizes, as_number, number, same
from ..ir.layout import DTYPE_BITS
from ..ir.local import elements, kinds, plain, steps
from ..ir.mesh import HOST, Mesh
from ..ir.op import Operator, tensor_of
from ..ir.ops.move import Collective, Mover, TransferOp
from ..ir.plan import Plan, named_axes
from .sends import alike, sends


def kinds_of(mesh: Mesh, op: Operator) -> np.ndarray | None:
    """Per GPU of its pool which sizes an operator has there of what it reads and makes; None where all have as much."""
    tensors = [tensor for tensor in map(tensor_of, (*op.operands, op.out)) if tensor.pool != HOST]
    return kinds(mesh, tensors[0].pool, [dim for tensor in tensors for dim in tensor.dims]) if tensors else None


def sent(op: Mover, mesh: Mesh, sizes: Sizes, members: np.ndarray) -> list[Size]:
    """Elements that each of these members of a group sends in all steps, in their order; one for all where they hold
    as much.

    `members`: where they stand in the pool; of a transfer, where the sender does.
    """
    before, after = tensor_of(op.operands[0]), tensor_of(op.out)
    if isinstance(op, TransferOp) and not alike(before, after, mesh):
        return [sizes.exact(before.points) * number(sends(before, after, mesh).most)]
    which = kinds_of(mesh, op)
    equal = which is None or len(set(which[members].tolist())) == 1
    at = [int(place) for place in (members[:1] if equal else members)]
    had, has = ([elements(mesh, sizes, tensor, place) for place in at] for tensor in (before, after))
    if not isinstance(op, Collective):
        return had
    counts = [op.sent(had[0], has[0], mesh.size(op.over))] if equal else op.each_sent(had, has)
    return [count * steps(mesh, before) for count in counts]


def received(op: Mover, mesh: Mesh, sizes: Sizes, at: int) -> Size:
    """Elements that the GPU at this place of its pool receives: as many as it sends, but of a transfer."""
    if isinstance(op, TransferOp):
        return elements(mesh, sizes, tensor_of(op.out), at)
    return sent_from(op, mesh, sizes, at)


def stage_axes(mesh: Mesh) -> tuple[str, ...]:
    """What a transfer is over: the axis that numbers the pools, if one does."""
    return (mesh.stages,) if mesh.stages else ()


def sent_from(op: Mover, mesh: Mesh, sizes: Sizes, at: int) -> Size:
    """Elements that the GPU at this place of the pool sends."""
    if not isinstance(op, Collective) or kinds_of(mesh, op) is None:
        return sent(op, mesh, sizes, np.array([at]))[0]
    ids = mesh.ids(tensor_of(op.out).pool).reshape(-1)
    group = next(group for group in mesh.groups(tensor_of(op.out).pool, op.over) if ids[at] in group)
    members = np.argsort(ids)[np.searchsorted(np.sort(ids), group)]
    counts = sent(op, mesh, sizes, members)
    return counts[group.tolist().index(ids[at])] if len(counts) > 1 else counts[0]


def nbytes(op: Mover, count: Size) -> Size:
    """Bytes of so many elements of what a communication moves."""
    return count * number(Fraction(DTYPE_BITS[tensor_of(op.operands[0]).dtype], 8))


def move(op: Operator, plan: Plan | None, mesh: Mesh, sizes: Sizes, members: np.ndarray) -> Move | None:
    """What a communication among these members moves, as its node states it."""
    if not isinstance(op, Collective | TransferOp):
        return None
    name = op.collective if isinstance(op, Collective) else "send/recv"
    axes = named_axes(op.over, plan) if isinstance(op, Collective) else stage_axes(mesh)
    counts = sent(op, mesh, sizes, members)
    most, least = (pick(counts, key=lambda count: as_number(count) or 0) for pick in (max, min))
    made = Move(name, axes, plain(most), plain(nbytes(op, most)))
    if isinstance(op, TransferOp):
        got = received(op, mesh, sizes, int(members[0]))
        return made if same(got, most) else replace(made, received=(plain(got), plain(nbytes(op, got))))
    if len(counts) == 1:
        return made
    return replace(made, least=plain(least), total=plain(sum(counts, start=number(0))))
