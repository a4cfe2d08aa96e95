"""Faults of transfers between pools: who sends what to whom, and what the interpreter makes of what is sent."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from dagc.ir.deployment import Deployment, Row

from .pieces import ROUTED, Piece, Stuck
from .surgery import Mutants, changed, where


def hubs(deployment: Deployment) -> list[Row]:
    return [row for row in deployment.rows if row.pairs is not None]


def wrong_pairs(deployment: Deployment) -> Mutants:
    """A pair left out, one twice, receivers turned among senders, a sender that is none, all that one GPU sends."""
    for row in hubs(deployment):
        pairs = row.pairs
        assert pairs is not None
        made = {
            "one left out": pairs[:-1],
            "one twice": np.concatenate([pairs, pairs[:1]]),
            "from a receiver": np.concatenate([pairs[:-1], pairs[-1:, ::-1]]),
            "senders turned": np.stack([np.roll(pairs[:, 0], 1), pairs[:, 1]], axis=1),
            "receivers turned": np.stack([pairs[:, 0], np.roll(pairs[:, 1], 1)], axis=1),
            "one sender for all": np.stack([np.full_like(pairs[:, 0], pairs[0, 0]), pairs[:, 1]], axis=1),
            "one sends nothing": pairs[pairs[:, 0] != pairs[0, 0]],
        }
        for name, other in made.items():
            if len(other):
                yield f"{where(row)}, {name}", changed(deployment, row, pairs=other)


def wrong_ends(deployment: Deployment) -> Mutants:
    """Another number of senders, members turned, a group left out, or one node of all groups."""
    for row in hubs(deployment):
        yield f"{where(row)}, a sender less", changed(deployment, row, senders=row.senders - 1)
        yield f"{where(row)}, a sender more", changed(deployment, row, senders=row.senders + 1)
        yield f"{where(row)}, members turned", changed(deployment, row, places=np.roll(row.places, 1, axis=1))
        if len(row.places) > 1:
            yield f"{where(row)}, a group left out", changed(deployment, row, places=row.places[:-1])


def wrong_volumes(deployment: Deployment) -> Mutants:
    """Twice as much is said to be sent, or to be received."""
    for row in hubs(deployment):
        assert row.move is not None
        twice = tuple(2 * size for size in (row.move.elements, row.move.bytes) if isinstance(size, int))
        if len(twice) == 2 and not any(port.merges for port in (*row.inputs, *row.outputs)):
            sent = replace(row.move, elements=twice[0], bytes=twice[1])
            yield f"{where(row)}, sent", changed(deployment, row, move=sent)
            yield f"{where(row)}, received", changed(deployment, row, move=replace(row.move, received=(1, 2)))


def joined(sent: list[tuple[list[np.ndarray], Piece]], wanted: list[np.ndarray], names: tuple[str, ...]) -> Piece:
    """What a GPU is sent by several, put where it is wanted, index by index. Stuck where something is missing, or is
    sent by two.
    """
    if not sent:
        raise Stuck("is sent nothing")
    if sent[0][1].tokens is not None:
        return _joined_rows(sent, wanted, names.index(ROUTED))
    return _put(sent, wanted)


def _joined_rows(sent: list[tuple[list[np.ndarray], Piece]], wanted: list[np.ndarray], axis: int) -> Piece:
    """Ports count rows as labels do; here every token has one, so that there are so many times more."""
    times = Fraction(sent[0][1].data.shape[axis], len(sent[0][0][axis]))

    def rows(held: list[np.ndarray]) -> list[np.ndarray]:
        first, count = held[axis][0] * times, len(held[axis]) * times
        return [*held[:axis], np.arange(int(first), int(first + count)), *held[axis + 1 :]]

    sent, wanted = [(rows(held), piece) for held, piece in sent], rows(wanted)
    tokens = np.full(len(wanted[axis]), -1)
    for held, piece in sent:
        _, theirs, mine = np.intersect1d(held[axis], wanted[axis], return_indices=True)
        assert piece.tokens is not None
        if ((tokens[mine] >= 0) & (tokens[mine] != piece.tokens[theirs])).any():
            raise Stuck("is sent other rows by one than by another")
        tokens[mine] = piece.tokens[theirs]
    return replace(_put(sent, wanted), tokens=tokens)


def _put(sent: list[tuple[list[np.ndarray], Piece]], wanted: list[np.ndarray]) -> Piece:
    whole = np.zeros([len(own) for own in wanted], dtype=sent[0][1].data.dtype)
    times = np.zeros(whole.shape, dtype=np.int64)
    for held, piece in sent:
        both = [np.intersect1d(have, want, return_indices=True)[1:] for have, want in zip(held, wanted, strict=True)]
        mine = np.ix_(*(at for _, at in both))
        whole[mine] = piece.data[np.ix_(*(at for at, _ in both))]
        times[mine] += 1
    if (times != 1).any():
        raise Stuck("is not sent each of its elements once")
    return Piece(whole)
