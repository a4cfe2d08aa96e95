"""What one node of the judge makes on one GPU, of the operands it read and the indices that its ports state."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dagc.ir.deployment import Port, Row
from dagc.ir.op import Indices, Operator

from .pieces import ROUTED, Piece, Stuck, aligned, positions


def part(made: Piece, port: Port, gpu: int) -> Piece:
    return Piece(made.data[np.ix_(*positions(port, gpu))])


def sliced(before: Port, out: Port, piece: Piece, gpu: int) -> Piece:
    """The part of what the GPU holds that the output's port says; of routed rows as great a part."""
    data, tokens = piece.data, piece.tokens
    parts = zip(before.names, positions(before, gpu), positions(out, gpu), strict=True)
    for axis, (name, have, want) in enumerate(parts):
        if not np.isin(want, have).all():
            raise Stuck("slices what it does not hold")
        at = np.searchsorted(have, want)
        if name == ROUTED and tokens is not None:
            at = np.arange(*(edge * len(tokens) // len(have) for edge in (at[0], at[-1] + 1)))
            tokens = tokens[at]
        data = data.take(at, axis=axis)
    return Piece(data, tokens)


def computed(row: Row, op: Operator, read: list[Piece], gpu: int, beyond: dict[str, int]) -> Piece:
    """The operator on a GPU's operands, told which indices they are."""
    ports = dict(zip(row.operands, row.reads, strict=True)) if row.operands else {}
    operands = dict(zip(row.operands, read, strict=True))
    held, total = _indices(op, row, ports, operands, gpu)
    total |= beyond
    routed = [index for index in sorted(ports) if ROUTED in ports[index].names]
    order = _order(held, total, [operands[i].tokens for i in routed], ROUTED in row.outputs[0].names or bool(routed))
    for index in routed:
        names = list(op.operand_names(index).values())
        operands[index] = aligned(operands[index], names.index(ROUTED), order)
    data = [operands[index].data[None] for index in sorted(operands)]
    made = op.compute(data, Indices({name: own[None] for name, own in held.items()}, total))[0]
    return Piece(made, order if ROUTED in row.outputs[0].names else None)


def _indices(
    op: Operator, row: Row, ports: Mapping[int, Port], operands: Mapping[int, Piece], gpu: int
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """What the ports of a node say of its joint space; of two that tell of one name the first operand counts."""
    held: dict[str, np.ndarray] = {}
    total: dict[str, int] = {}
    for index, port in sorted(ports.items()):
        names = op.operand_names(index)
        if tuple(names) != port.names:
            raise Stuck(f"{row.op} reads {port.names}")
        for axis, (name, own) in enumerate(zip(names.values(), positions(port, gpu), strict=True)):
            if name != ROUTED and operands[index].data.shape[axis] != len(own):
                raise Stuck(f"{row.op} holds {operands[index].data.shape[axis]} of {name}, its port says {len(own)}")
            held.setdefault(name, own)
            total.setdefault(name, int(port.whole[axis]))
    out = row.outputs[0]
    for name, own, size in zip(out.names, positions(out, gpu), out.whole, strict=True):
        held.setdefault(name, own)
        total.setdefault(name, int(size))
    return held, total


def _order(
    held: Mapping[str, np.ndarray], total: Mapping[str, int], tokens: list[np.ndarray | None], routed: bool
) -> np.ndarray | None:
    """The order of a node's routed rows: that of the tokens it knows, else of its first operand."""
    if not routed:
        return None
    if "batch_size" in held and "seq_len" in held:
        return np.add.outer(held["batch_size"] * total["seq_len"], held["seq_len"]).ravel()
    return tokens[0]
