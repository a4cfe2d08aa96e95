"""What one GPU holds of a value, and what members of a group hold after a collective, written from its meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Attribute

from dagc.ir.deployment import Port, Share
from dagc.ir.op import Operator
from dagc.ir.ops.move import AllGatherOp, AllReduceOp, AllToAllOp, ReduceScatterOp, RotateOp
from dagc.ir.orders import Levels, parse

HOST = -1
ROUTED = "expert_tokens"
"""The dimension whose rows stand for tokens, in any order."""


def _log_sum_exp(addends: np.ndarray) -> np.ndarray:
    highest = addends.max(axis=0)
    return highest + np.log(np.exp(addends - highest).sum(axis=0))


MERGES: dict[Attribute, Callable[[np.ndarray], np.ndarray]] = {
    StringAttr("sum"): lambda addends: addends.sum(axis=0),
    StringAttr("lse"): _log_sum_exp,
}
"""What a reduction makes of its members' addends, by the kind of debt it says to merge."""


class Stuck(Exception):
    """The graph cannot be run: a deadlock, an input nobody made, or shapes that do not fit."""


@dataclass(frozen=True)
class Piece:
    """What one GPU holds of a value, and of routed rows the tokens they stand for."""

    data: np.ndarray
    tokens: np.ndarray | None = None


def positions(port: Port, gpu: int) -> list[np.ndarray]:
    """Per dimension the indices that a port says a GPU holds."""
    shares = port.shares or (None,) * len(port.names)
    return [_part(share, int(size), gpu) for share, size in zip(shares, port.whole, strict=True)]


def _part(share: Share | None, size: int, gpu: int) -> np.ndarray:
    if share is None or gpu == HOST:
        return np.arange(size)
    part, each = int(share.of[gpu]), size // share.parts
    if 0 <= part < share.parts and any(_shares_of(order) for _, order in share.order):
        return dealt(share.order, size)[part]
    if part < 0 or part >= share.parts or size % share.parts:
        raise Stuck(f"GPU {gpu} has no part of {size} in {share.parts}")
    runs = [np.arange(first, first + each) for first in range(0, size, each)]
    parts = dealt(share.order, size) if share.order else runs
    return np.concatenate([parts[at] for at in _passing(part, share.steps)])


def _passing(part: int, steps: int) -> list[int]:
    """The parts that a GPU sees, one after the other: its own, those before it, round to the one after it."""
    first = part // steps * steps
    return [*range(part, first - 1, -1), *range(first + steps - 1, part, -1)]


def speaks(port: Port, gpu: int) -> bool:
    """Does a port of a value in unequal parts speak of a GPU? Any other does of all."""
    unequal = [s for s in port.shares if s is not None and any(_shares_of(order) for _, order in s.order)]
    return gpu == HOST or all(share.of[gpu] >= 0 for share in unequal)


def dealt(order: Levels, size: int) -> list[np.ndarray]:
    """The indices of every part, from what each order says of one index."""
    parts = [list(range(size))]
    for count, named in order:
        parts = [part for each in parts for part in _dealt(each, count, named)]
    return [np.array(part) for part in parts]


def _dealt(held: list[int], parts: int, order: str) -> list[list[int]]:
    size, (name, _, block) = len(held), order.partition(" ")
    if weights := _shares_of(order):
        weights = weights if len(weights) > 1 else _even(weights[0], parts)
        if len(weights) != parts or any(weight * size % sum(weights) for weight in weights):
            raise Stuck(f"{size} as {weights}")
        ends = [sum(weights[: i + 1]) * size // sum(weights) for i in range(parts)]
        return [held[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    if order.startswith("["):
        chunks = [int(chunk) for chunk in order[1:-1].split(",")]
        by_chunk = [held[c * size // len(chunks) : (c + 1) * size // len(chunks)] for c in chunks]
        each = len(chunks) // parts
        return [[i for chunk in by_chunk[p * each : (p + 1) * each] for i in chunk] for p in range(parts)]
    whose = {
        "contiguous": lambda i: i * parts // size,
        "strided": lambda i: i // int(block or 1) % parts,
        "zigzag": lambda i: min(i * 2 * parts // size, 2 * parts - 1 - i * 2 * parts // size),
    }[name]
    return [[index for i, index in enumerate(held) if whose(i) == part] for part in range(parts)]


def _shares_of(order: str) -> list[int]:
    """Of an order of unequal parts, what it says of how great they are: the sizes listed, or the units to deal."""
    return [int(n) for n in order.removeprefix("uneven").strip("() ").split(",")] if order[:1] in "(u" else []


def _even(units: int, parts: int) -> list[int]:
    return [len(range(part, units, parts)) for part in range(parts)]


def exchanged(op: Operator, names: Sequence[str], group: list[Piece]) -> list[Piece]:
    """What the members of a group hold after a collective, in their order."""
    routed = names.index(ROUTED) if group[0].tokens is not None else None
    match op:
        case AllReduceOp():
            return [added(group, routed, op)] * len(group)
        case ReduceScatterOp():
            return _split(added(group, routed, op), names.index(op.dim.data), routed, len(group), _stated(op, "order"))
        case AllGatherOp():
            return [_joined(group, names.index(op.dim.data), routed, _stated(op, "order"))] * len(group)
        case AllToAllOp():
            to, back, order = names.index(op.to.data), names.index(op.dim.data), _stated(op, "order")
            sent = [_split(piece, to, routed, len(group), _stated(op, "to_order")) for piece in group]
            return [_joined([parts[i] for parts in sent], back, routed, order) for i in range(len(group))]
        case RotateOp():
            steps, count = range(op.shifts.value.data + 1), len(group)
            seen = [[group[(i - step) % count] for step in steps] for i in range(count)]
            return [_joined(pieces, names.index(op.dim.data), routed, ()) for pieces in seen]
    raise Stuck(f"{op.name} is no collective")


def _stated(op: Operator, name: str) -> Levels:
    said = op.properties.get(name)
    return parse(said.data) if said is not None else ()


def aligned(piece: Piece, axis: int, order: np.ndarray | None) -> Piece:
    """The piece with its rows in this order of tokens."""
    have = piece.tokens
    if have is None or order is None or not np.array_equal(np.sort(have), np.sort(order)):
        raise Stuck("other tokens than its user computes")
    by = np.argsort(have)
    return Piece(piece.data.take(by[np.searchsorted(have[by], order)], axis=axis), order)


def added(group: list[Piece], routed: int | None, op: Operator) -> Piece:
    """Addends merged as a reduction says, their routed rows (along `routed`) in the first one's order."""
    if routed is not None:
        group = [aligned(piece, routed, group[0].tokens) for piece in group]
    if len({piece.data.shape for piece in group}) > 1:
        raise Stuck("adds pieces of different shapes")
    merge = MERGES[op.properties.get("merge", StringAttr("sum"))]
    return Piece(merge(np.stack([piece.data for piece in group])), group[0].tokens)


def _split(piece: Piece, axis: int, routed: int | None, parts: int, order: Levels) -> list[Piece]:
    if piece.data.shape[axis] % parts and not order:
        raise Stuck(f"{piece.data.shape[axis]} in {parts} parts")
    if order:
        taken = dealt(order, piece.data.shape[axis])
        tokens = [piece.tokens[at] if axis == routed and piece.tokens is not None else piece.tokens for at in taken]
        return [Piece(piece.data.take(at, axis), own) for at, own in zip(taken, tokens, strict=True)]
    data = np.split(piece.data, parts, axis=axis)
    tokens = np.split(piece.tokens, parts) if axis == routed and piece.tokens is not None else [piece.tokens] * parts
    return [Piece(d, t) for d, t in zip(data, tokens, strict=True)]


def _joined(pieces: list[Piece], axis: int, routed: int | None, order: Levels) -> Piece:
    if routed is not None and axis != routed:
        pieces = [aligned(piece, routed, pieces[0].tokens) for piece in pieces]
    known = [piece.tokens for piece in pieces if piece.tokens is not None]
    tokens = None if not known else np.concatenate(known) if axis == routed else known[0]
    data = np.concatenate([piece.data for piece in pieces], axis=axis)
    if order:
        back = np.concatenate(dealt(order, data.shape[axis]))
        data[(slice(None),) * axis + (back,)] = data.copy()
    return Piece(data, tokens)
