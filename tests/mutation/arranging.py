"""What a GPU makes of what it holds where it only splits or joins: each output takes the indices that its port says.

Routed rows lie in the order of the parts that ports state, whichever tokens they stand for: the first rows of all that
come in are the first of all that are made.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagc.ir.deployment import Port, Row

from .pieces import ROUTED, Piece, Stuck, positions


def arranged(row: Row, gpu: int, pieces: Sequence[Piece]) -> list[Piece]:
    """The outputs of a row on one GPU, from its inputs."""
    return [_output(row, port, gpu, pieces) for port in row.outputs]


def _output(row: Row, port: Port, gpu: int, pieces: Sequence[Piece]) -> Piece:
    want, tokens = positions(port, gpu), None
    if ROUTED in port.names and pieces[0].tokens is not None:
        tokens = _tokens(row, port, gpu, pieces)
        want[port.names.index(ROUTED)] = tokens
    made = np.full([len(own) for own in want], np.nan)
    for read, piece in zip(row.inputs, pieces, strict=True):
        have = positions(read, gpu)
        if tokens is not None and piece.tokens is not None:
            have[read.names.index(ROUTED)] = piece.tokens
        to = [np.flatnonzero(np.isin(own, theirs)) for own, theirs in zip(want, have, strict=True)]
        where = [{int(i): at for at, i in enumerate(theirs)} for theirs in have]
        of = [[each[int(i)] for i in own[at]] for each, own, at in zip(where, want, to, strict=True)]
        made[np.ix_(*to)] = piece.data[np.ix_(*of)]
    if np.isnan(made).any():
        raise Stuck(f"{row.op} takes what is not there")
    return Piece(made, tokens)


def _tokens(row: Row, port: Port, gpu: int, pieces: Sequence[Piece]) -> np.ndarray:
    """The tokens that an output's routed rows stand for. An index that ports state may stand for several rows."""
    lies: dict[int, np.ndarray] = {}
    for read, piece in zip(row.inputs, pieces, strict=True):
        own = positions(read, gpu)[read.names.index(ROUTED)]
        assert piece.tokens is not None
        if len(piece.tokens) % len(own):
            raise Stuck("rows do not divide")
        for index, rows in zip(own.tolist(), piece.tokens.reshape(len(own), -1), strict=True):
            lies.setdefault(index, rows)
    made = sorted({i for each in row.outputs for i in positions(each, gpu)[each.names.index(ROUTED)].tolist()})
    if len(made) != len(lies):
        raise Stuck("makes other rows than it reads")
    standing = dict(zip(made, (lies[index] for index in sorted(lies)), strict=True))
    return np.concatenate([standing[i] for i in positions(port, gpu)[port.names.index(ROUTED)].tolist()])
