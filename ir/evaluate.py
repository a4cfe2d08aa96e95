"""Runs a module in numpy float64: whole on one device, or on every GPU of its mesh.

    evaluate(logical, inputs, random_weights(0), {"B": 4, "S": 8})   the undivided model
    evaluate(lowered, inputs, random_weights(0), {"B": 4, "S": 8})   the same number, by the deployment

What is guaranteed: a GPU computes from nothing but the pieces it holds; a weight's piece is the slice its layout says;
every value, on every GPU, has exactly the indices its layout says (else `Misplaced`). Collectives are written here
from their meaning (split, join, add over the mesh's groups) and share nothing with the passes that choose them.

Experts see every token, as a zero row where it did not choose them (`expert_tokens` = batch_size · seq_len), so that
no token is dropped. Such rows carry their token's number: a group may hold them in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from zlib import crc32

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from . import orders
from .debts import KINDS, kind_of
from .dims import Size, as_number, number, substitute
from .layout import Tensor
from .local import levels
from .mesh import HOST, Mesh
from .module import mesh_of, offset_of, plain_path, sizes_of
from .op import Indices, Operator, Relation, tensor_of
from .ops import UNORDERED
from .ops.moe import EXPERT_TOKENS, MERGED_TOKENS, TOKEN_PARTS, TOKENS
from .ops.move import (
    AllGatherOp,
    AllReduceOp,
    AllToAllOp,
    Collective,
    GatherOp,
    MoveOp,
    ReduceScatterOp,
    RotateOp,
    ScatterOp,
    SliceOp,
    TransferOp,
    UnpaidOp,
    stated,
)
from .ops.program import InputOp, OutputOp, RepeatOp, Resident
from .orders import axes_of

WeightKey = tuple[str, int | None]
"""A parameter or cache: its path without layer numbers, and its layer. A tied weight has the key of the one it is
tied to."""
Weights = Callable[[WeightKey, tuple[int, ...]], np.ndarray]

HOST_ID = -1


class Misplaced(ValueError):
    """A GPU holds other indices than the layout of the value, or its user, says."""


@dataclass(frozen=True)
class Piece:
    """What one GPU holds of a value: the elements and, per dimension, their global indices."""

    data: np.ndarray
    held: tuple[np.ndarray, ...]


Pieces = dict[int, Piece]
"""A value on all GPUs of its pool, by GPU id."""


def evaluate(
    module: ModuleOp, inputs: Mapping[str, np.ndarray], weights: Weights, sizes: Mapping[str, int] | None = None
) -> np.ndarray:
    """The total output of a module at any stage. `inputs` by path; `sizes` binds symbols the module leaves free."""
    output = next(op for op in module.ops if isinstance(op, OutputOp))
    (whole,) = run(module, inputs, weights, sizes)[output.out].values()
    return whole.data


def run(
    module: ModuleOp, inputs: Mapping[str, np.ndarray], weights: Weights, sizes: Mapping[str, int] | None = None
) -> dict[SSAValue, Pieces]:
    """Every value of a module on every GPU; values inside a repeat as its last round leaves them."""
    machine = _Machine(mesh_of(module), _symbols(module, sizes or {}), inputs, weights)
    machine.run(module.ops)
    return machine.values


def random_weights(seed: int) -> Weights:
    """Normal numbers that depend on a parameter's key alone, small enough that activations stay near one."""

    def weight(key: WeightKey, shape: tuple[int, ...]) -> np.ndarray:
        return np.random.default_rng([seed, crc32(repr(key).encode())]).normal(0.1, 0.5, shape)

    return weight


def follow(relation: Relation, held: Mapping[str, np.ndarray], total: Mapping[str, int]) -> np.ndarray:
    """Indices of a derived name: it is the outer factor of its sources taken together, row-major, in their order."""
    shape = [total[source] for source in relation.sources]
    merged = np.ravel_multi_index(np.ix_(*(held[source] for source in relation.sources)), shape)
    rows = merged.reshape(-1) // (prod(shape) // total[relation.name])
    return rows[np.sort(np.unique(rows, return_index=True)[1])]


def _symbols(module: ModuleOp, given: Mapping[str, int]) -> dict[str, Size]:
    """What every symbol stands for: tokens per expert are all tokens, token parts are those the layouts make."""
    sizes = sizes_of(module)
    values = {name: value for name, value in sizes.bound if value is not None} | dict(given)
    symbols = {name: number(value) for name, value in values.items()}
    tokens = next(tensor_of(op.out) for op in module.ops if isinstance(op, InputOp))
    symbols[str(EXPERT_TOKENS)] = substitute(prod((tokens.dim(name).size for name in TOKENS), start=number(1)), symbols)
    defined = {d.name: substitute(d.exact, symbols) for d in sizes.defined}
    return {str(TOKEN_PARTS): number(1)} | defined | symbols


@dataclass
class _Machine:
    """All GPUs of a mesh in lockstep. A logical module has a mesh without axes: one GPU."""

    mesh: Mesh
    symbols: dict[str, Size]
    inputs: Mapping[str, np.ndarray]
    weights: Weights
    values: dict[SSAValue, Pieces] = field(default_factory=dict)
    layouts: dict[Tensor, dict[int, tuple[np.ndarray, ...]]] = field(default_factory=dict)
    layer: int | None = None
    """The first layer of this round of a repeat; outside of any None."""

    def run(self, ops: Iterable[Operation]) -> None:
        for op in ops:
            if isinstance(op, RepeatOp):
                self._repeat(op)
            elif isinstance(op, Operator):
                self.values[op.out] = self._checked(op, self._meaning(op))

    def _repeat(self, op: RepeatOp) -> None:
        first, last, period = op.span
        carried = self.values[op.init]
        for self.layer in range(first, last + 1, period):
            self.values[op.body.block.args[0]] = carried
            self.run(op.body.block.ops)
            carried = self.values[op.yielded]
        self.layer = None
        self.values[op.out] = carried

    def _meaning(self, op: Operator) -> Pieces:
        match op:
            case InputOp():
                return self._laid(self.inputs[op.path.data], tensor_of(op.out))
            case Resident():
                return self._resident(op)
            case MoveOp() if op.unpaid:
                return self.values[op.operands[0]]
            case UnpaidOp():
                return self.values[op.operands[0]]
            case MoveOp() | ScatterOp() | GatherOp() | TransferOp():
                return self._relaid(op)
            case Collective() | SliceOp():
                return self._in_groups(op)
        return self._compute(op)

    def _resident(self, op: Resident) -> Pieces:
        layer = None if self.layer is None or op.identity != op.path.data else self.layer + offset_of(op)
        key, tensor = (plain_path(op.identity), layer), tensor_of(op.out)
        shape, copies = self._shape(tensor), list(op.table)
        if copies:
            return self._laid(self.weights(key, (max(copies) + 1, *shape[1:]))[copies], tensor)
        return self._laid(self.weights(key, tuple(shape)), tensor)

    def _compute(self, op: Operator) -> Pieces:
        """Every GPU applies the operator to its own pieces, told which part of the joint space they are."""
        total = {name: self._extent(size) for name, size in (op.joint() | op.beyond()).items()}
        names = [tuple(op.operand_names(i).values()) for i in range(len(op.operands))]
        merged, out = op.derived().get(MERGED_TOKENS.name), tensor_of(op.out).names
        made = {}
        for gpu, own in self._layout(tensor_of(op.out)).items():
            pieces = [self.values[value][gpu] for value in op.operands]
            held = dict(zip(out, own, strict=True)) | _held(names, pieces)
            if merged:  # in the order of the tokens that they are made of
                held[merged.name] = follow(merged, held, total)
            data = [_aligned(p, [held[n] for n in joint]).data[None] for p, joint in zip(pieces, names, strict=True)]
            at = Indices({name: own[None] for name, own in held.items()}, total)
            made[gpu] = Piece(op.compute(data, at)[0], tuple(held[name] for name in out))
        return made

    def _in_groups(self, op: Collective | SliceOp) -> Pieces:
        have, tensor = self.values[op.operands[0]], tensor_of(op.out)
        made: Pieces = {}
        for members in self.mesh.groups(tensor.pool, op.over).tolist():
            made |= zip(members, _exchanged(op, tensor.names, [have[gpu] for gpu in members]), strict=True)
        return {gpu: made[gpu] for gpu in self._gpus(tensor.pool)}

    def _relaid(self, op: Operator) -> Pieces:
        """The whole value, put together and laid out anew: what a move means, however it is done."""
        have = tensor_of(op.operands[0])
        data, held = None, [np.zeros(size, dtype=np.int64) for size in self._shape(have)]
        for gpu, at in self._first_copies(have):
            piece = self.values[op.operands[0]][gpu]
            data = _nothing(self._shape(have), piece.data.dtype, have) if data is None else data
            data[np.ix_(*at)] = _merged([data[np.ix_(*at)], piece.data], have) if have.owes else piece.data
            for indices, positions, own in zip(held, at, piece.held, strict=True):
                indices[positions] = own
        assert data is not None
        return self._laid(data, tensor_of(op.out), held)

    def _first_copies(self, tensor: Tensor) -> Iterable[tuple[int, tuple[np.ndarray, ...]]]:
        """GPUs that together hold (and owe) everything once, with the positions they hold."""
        spare = tuple(axis for axis in self.mesh.axes_of(tensor.pool) if axis not in (*tensor.axes, *tensor.debtors))
        ranks = self._ranks(tensor.pool, spare)
        return (item for rank, item in zip(ranks, self._layout(tensor).items(), strict=True) if rank == 0)

    def _laid(self, data: np.ndarray, tensor: Tensor, held: Sequence[np.ndarray] | None = None) -> Pieces:
        """A whole value as a layout cuts it. Of a debt, the first of those who owe it has all."""
        held = held or [np.arange(size) for size in data.shape]
        owed = self._ranks(tensor.pool, tensor.debtors)
        pieces = {}
        for rank, (gpu, at) in zip(owed, self._layout(tensor).items(), strict=True):
            part = data[np.ix_(*at)]
            part = part if rank == 0 else _nothing(part.shape, part.dtype, tensor)
            pieces[gpu] = Piece(part, tuple(h[a] for h, a in zip(held, at, strict=True)))
        return pieces

    def _layout(self, tensor: Tensor) -> dict[int, tuple[np.ndarray, ...]]:
        """Per GPU of the tensor's pool the positions along every dimension that its layout gives it."""
        if tensor in self.layouts:
            return self.layouts[tensor]
        along = []
        for dim, size in zip(tensor.dims, self._shape(tensor), strict=True):
            axes, steps = axes_of(dim.cuts), self.mesh.size(dim.times)
            parts = _parts(levels(self.mesh, dim.cuts), self.mesh.size(axes), size)
            along.append([_visited(parts, rank, steps) for rank in self._ranks(tensor.pool, axes)])
        made = {gpu: tuple(part[i] for part in along) for i, gpu in enumerate(self._gpus(tensor.pool))}
        return self.layouts.setdefault(tensor, made)

    def _gpus(self, pool: str) -> list[int]:
        return [HOST_ID] if pool == HOST else self.mesh.ids(pool).ravel().tolist()

    def _ranks(self, pool: str, axes: tuple[str, ...]) -> list[int]:
        return [0] if pool == HOST else self.mesh.coordinate(pool, axes).tolist()

    def _shape(self, tensor: Tensor) -> list[int]:
        return [self._extent(dim.size) for dim in tensor.dims]

    def _extent(self, size: Size) -> int:
        value = as_number(substitute(size, self.symbols))
        if not isinstance(value, int):
            raise ValueError(f"a run needs numbers, {size} is not one")
        return value

    def _checked(self, op: Operator, pieces: Pieces) -> Pieces:
        names = tensor_of(op.out).names
        for gpu, positions in self._layout(tensor_of(op.out)).items():
            for name, held, own in zip(names, pieces[gpu].held, positions, strict=True):
                if name not in UNORDERED and not _equal(held, own):
                    raise Misplaced(f"{op.path.data}: GPU {gpu} holds {name} {held}, its layout says {own}")
        return pieces


def _held(names: Sequence[tuple[str, ...]], pieces: Sequence[Piece]) -> dict[str, np.ndarray]:
    """What the pieces of all operands tell of the joint space; where two tell of one name, the first."""
    held: dict[str, np.ndarray] = {}
    for joint, piece in zip(names, pieces, strict=True):
        held = dict(zip(joint, piece.held, strict=True)) | held
    return held


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a is b or np.array_equal(a, b)


def _exchanged(op: Collective | SliceOp, names: Sequence[str], group: list[Piece]) -> list[Piece]:
    """What the members of one group hold after a collective, in group order."""
    count = len(group)
    match op:
        case AllReduceOp():
            return [_reduced(group, op.kind)] * count
        case ReduceScatterOp():
            return _split(_reduced(group, op.kind), names.index(op.dim.data), count, stated(op.order))
        case AllGatherOp():
            return [_join(group, names.index(op.dim.data), stated(op.order))] * count
        case RotateOp():
            seen = range(op.shifts.value.data + 1)
            along = names.index(op.dim.data)
            return [_join([group[(rank - step) % count] for step in seen], along, ()) for rank in range(count)]
        case SliceOp():
            along, order = names.index(op.dim.data), stated(op.order)
            return [_split(piece, along, count, order)[rank] for rank, piece in enumerate(group)]
        case AllToAllOp():
            sent = [_split(piece, names.index(op.to.data), count, stated(op.to_order)) for piece in group]
            along, order = names.index(op.dim.data), stated(op.order)
            return [_join([parts[rank] for parts in sent], along, order) for rank in range(count)]
    raise TypeError(f"{op.name} has no meaning here")


def _parts(order: orders.Levels, count: int, size: int) -> Sequence[np.ndarray]:
    """The positions that each of `count` parts takes of so many."""
    return orders.pieces(order, size) if order else np.array_split(np.arange(size), count)


def _visited(parts: Sequence[np.ndarray], rank: int, steps: int) -> np.ndarray:
    """What a GPU holds: its part; where parts pass by in time, one after the other, all that it sees."""
    first = rank - rank % steps
    return np.concatenate([parts[first + (rank - step) % steps] for step in range(steps)])


def _split(piece: Piece, axis: int, parts: int, order: orders.Levels) -> list[Piece]:
    return [_taken(piece, axis, at) for at in _parts(order, parts, len(piece.held[axis]))]


def _taken(piece: Piece, axis: int, at: np.ndarray) -> Piece:
    """Some rows of a piece along one dimension."""
    return Piece(piece.data.take(at, axis), (*piece.held[:axis], piece.held[axis][at], *piece.held[axis + 1 :]))


def _join(pieces: Sequence[Piece], axis: int, order: orders.Levels) -> Piece:
    """The parts of all members, put where the order says."""
    first = pieces[0].held
    alike = [_aligned(piece, [*first[:axis], piece.held[axis], *first[axis + 1 :]]) for piece in pieces]
    held = np.concatenate([piece.held[axis] for piece in pieces])
    joined = Piece(np.concatenate([p.data for p in alike], axis=axis), (*first[:axis], held, *first[axis + 1 :]))
    return _taken(joined, axis, np.argsort(np.concatenate(_parts(order, len(pieces), len(held))))) if order else joined


def _reduced(pieces: Sequence[Piece], kind: str) -> Piece:
    held = pieces[0].held
    return Piece(KINDS[kind].merge(np.stack([_aligned(piece, held).data for piece in pieces]), 0), held)


def _merged(addends: Sequence[np.ndarray], tensor: Tensor) -> np.ndarray:
    """Of addends of a tensor that owes."""
    return KINDS[kind_of(tensor.owes[0])].merge(np.stack(addends), 0)


def _nothing(shape: Sequence[int], dtype: np.dtype, tensor: Tensor) -> np.ndarray:
    """An addend that adds nothing; of a tensor that owes nothing, any array."""
    return np.full(shape, KINDS[kind_of(tensor.owes[0])].nothing) if tensor.owes else np.zeros(shape, dtype)


def _aligned(piece: Piece, wanted: Sequence[np.ndarray]) -> Piece:
    """The piece with its rows in the order wanted. Misplaced where it holds other rows."""
    data = piece.data
    for axis, (have, want) in enumerate(zip(piece.held, wanted, strict=True)):
        if _equal(have, want):
            continue
        order = np.argsort(have)
        if not np.array_equal(have[order], np.sort(want)):
            raise Misplaced(f"holds {have}, its user computes {want}")
        data = data.take(order[np.searchsorted(have[order], want)], axis=axis)
    return Piece(data, tuple(wanted))
