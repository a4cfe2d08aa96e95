"""What a row of a program is in the run over one chunk of tokens, where runs are drawn apart. Guarantees of it:

* of tokens in caches there are those up to the chunk's last, in every port and in what is sent
* what the row finds of a cache is an input, with the tokens before the chunk; in the first chunk it is resident, for
  all that it then holds is new

The program is that of the last chunk, so that of m chunks run c has (c + 1)/m of its kv_len.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from ...ir.deployment import Move, Port, Row, Size
from ...ir.dims import as_number, number, parse, text

CACHED = "kv_len"


def chained(row: Row, chunk: int | None, chunks: int) -> Row:
    """The row in a run over one of so many chunks; itself where prompts are whole."""
    if chunk is None:
        return row
    part = Fraction(chunk + 1, chunks)
    inputs, outputs, weights, state = (
        tuple(_scaled(port, part) for port in ports) for ports in (row.inputs, row.outputs, row.weights, row.state)
    )
    sent = any(CACHED in port.names for port in (*row.inputs, *row.outputs))
    made = replace(
        row, inputs=inputs, outputs=outputs, weights=weights, state=state, move=_sent(row.move, part if sent else None)
    )
    if chunk and any(port.cached for port in weights):
        found = tuple(_scaled(port, Fraction(chunk, chunk + 1)) for port in outputs)
        made = replace(made, inputs=(*inputs, *found), weights=())
    return made


def _scaled(port: Port, part: Fraction) -> Port:
    local, whole = (
        tuple(_times(size, part) if name == CACHED else size for name, size in zip(port.names, sizes, strict=True))
        for sizes in (port.local, port.whole)
    )
    return replace(port, local=local, whole=whole)


def _sent(move: Move | None, part: Fraction | None) -> Move | None:
    if move is None or part is None:
        return move
    received = move.received and (_times(move.received[0], part), _times(move.received[1], part))
    return replace(move, elements=_times(move.elements, part), bytes=_times(move.bytes, part), received=received)


def _times(size: Size, part: Fraction) -> Size:
    """So much of a size, as ports state it."""
    made = parse(str(size)) * number(part)
    value = as_number(made)
    return text(made) if value is None else int(value)
