"""The hash of a part together with what it is to compute: parts with equal hashes are run once.

It covers all that a run reads: operators with their class, properties and undivided types, ports with sizes, dtypes and
the share of every GPU, places, links, and the model's own operators; layers are counted from the block's first, and the
one value that comes in from other layers is `carried`, whichever it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256

from ....ir.deployment import Port, Share
from ....ir.layout import Tensor
from ....ir.op import Operator, tensor_of
from ..identity import described
from ..parts import Part
from ..program import Identity, Step
from .blocks import Block


def signature(part: Part, block: Block, model: list[Step], runs: bytes = b"") -> bytes:
    """32 bytes: equal for parts that `runs` (at which sizes, in which numbers) cannot tell apart."""
    named = _Named(block.repeat.first if block.repeat else None, _carried(model) if block.repeat else None)
    made = sha256(runs)
    for text in (*_model(model, named), *(str(named.of(block.means[row])) for row in part.rows)):
        made.update(text.encode() + b"\0")
    together: dict[object, int] = {}
    for row in part.deployment.rows:
        first = together.setdefault((id(row.operator), row.run), row.index)  # whose addends are held together
        said = (row.op, row.kind, first, _operator(row.operator), row.operands, row.is_transfer, row.senders)
        made.update(repr((said, row.places.shape)).encode())
        made.update(row.places.tobytes() + (b"" if row.pairs is None else row.pairs.tobytes()))
        for port in (*row.inputs, *row.outputs, *row.weights):
            for piece in _port(port):
                made.update(piece)
    for link in part.deployment.links:
        made.update(repr((link.source, link.target, link.output, link.input, link.kind)).encode())
    return made.digest()


def _carried(model: list[Step]) -> Identity | None:
    """What the layers read from outside, if it is one value."""
    own = {step.identity for step in model}
    outside = {read for step in model for read in step.reads if read is not None and read not in own}
    return outside.pop() if len(outside) == 1 else None


class _Named:
    """Values of the model, their layers counted from the block's first."""

    def __init__(self, first: int | None, carried: Identity | None) -> None:
        self._first, self._carried = first, carried

    def of(self, which: Identity | None) -> object:
        if which is None or self._first is None:
            return which
        if which == self._carried:
            return "carried"
        return which if which[0] is None else (which[0] - self._first, which[1])


def _model(model: list[Step], named: _Named) -> Iterator[str]:
    for step in model:
        yield repr((named.of(step.identity), _operator(step.op), tuple(named.of(read) for read in step.reads)))


def _operator(op: Operator | None) -> object:
    types = [_undivided(tensor_of(value)) for value in (*op.operands, *op.results)] if op else []
    return op and (type(op).__module__, type(op).__qualname__, described(op), types)


@lru_cache(maxsize=4096)
def _undivided(tensor: Tensor) -> str:
    return f"{tensor.dtype} {', '.join(f'{dim.name}={dim.size}' for dim in tensor.dims)}"


def _port(port: Port) -> Iterator[bytes]:
    yield repr((port.names, port.local, port.whole, port.dtype, port.debt, port.parameter, port.slots)).encode()
    for share in (*port.shares, port.addend):
        yield from _share(share)


def _share(share: Share | None) -> Iterator[bytes]:
    if share is None:
        yield b"-"
        return
    yield share.parts.to_bytes(8, "big") + share.of.tobytes() + repr((share.order, share.steps)).encode()
    yield b"-" if share.merged is None else share.merged.tobytes()
