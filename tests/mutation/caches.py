"""KV caches that a step does not find or leave as it should, and latents that are cut (F13, F28, F30, F36)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dagc.ir.deployment import Deployment, Port, Row, Share
from dagc.ir.op import Operator, tensor_of
from dagc.ir.ops.attention import AppendOp, ReadOp, RopeOp

from .operators import made
from .surgery import MISPLACED, Mutants, agreed, apart, changed, put, shared, where


def appends(deployment: Deployment) -> list[Row]:
    return [row for row in deployment.rows if isinstance(row.operator, AppendOp)]


def _finding(deployment: Deployment) -> list[Row]:
    """Those whose cache is resident, not what another run left."""
    return [row for row in appends(deployment) if row.weights]


def stale(deployment: Deployment) -> Mutants:
    """Attention reads the cache as the step found it: on all GPUs, or on one that forgets to append."""
    for row in appends(deployment):
        assert row.operator is not None
        cache = tensor_of(row.operator.operands[1])
        kept = made(ReadOp, [cache], cache, {"path": row.path})
        forgetful = {"operator": kept, "inputs": (), "operands": (0,)}
        yield f"{where(row)}", _unread(deployment, row, changed(deployment, row, **forgetful))
        if len(row.places) > 1:
            gpu = int(row.places[-1, 0])
            one = apart(deployment, row, gpu, **forgetful)
            yield f"{where(row)} on GPU {gpu}", _unread(deployment, one.rows[row.index + 1], one)


def _unread(deployment: Deployment, row: Row, mutant: Deployment) -> Deployment:
    """What the row read is not read by it."""
    return replace(mutant, links=tuple(link for link in mutant.links if link.target != row.index))


def owners(deployment: Deployment) -> Mutants:
    """A GPU keeps, and appends to, other positions than it reads; the node that reads them agrees, or not."""
    for row in _finding(deployment):
        moves = zip(_moved(row.outputs[0], "kv_len"), _moved(row.weights[0], "kv_len"), strict=True)
        for (how, port), (_, found) in moves:
            mutant = changed(deployment, row, outputs=(port,), state=(port,), weights=(found,))
            yield f"{where(row)}, {how}", mutant
            yield f"{where(row)}, {how}, agreed", agreed(mutant, mutant.rows[row.index], port)


def _moved(port: Port, *names: str) -> Iterator[tuple[str, Port]]:
    for axis, (name, share) in enumerate(zip(port.names, port.shares, strict=True)):
        if share is not None and (name in names or not names):
            for how, misplaced in MISPLACED.items():
                yield f"{name}, {how}", shared(port, axis, misplaced(share))


def early(deployment: Deployment) -> Mutants:
    """Positions of the new tokens are counted from the start of the cache, not to its end."""
    for row in deployment.rows:
        if isinstance(row.operator, RopeOp) and row.operator.kv_len is not None:
            properties = {name: value for name, value in row.operator.properties.items() if name != "kv_len"}
            yield where(row), changed(deployment, row, operator=_with(row.operator, properties))


def _with(op: Operator, properties: dict[str, object]) -> Operator:
    return made(type(op), [tensor_of(value) for value in op.operands], tensor_of(op.out), properties)


def parts(deployment: Deployment) -> Mutants:
    """The cache that a GPU finds is that of other heads or positions than it computes."""
    for row in _finding(deployment):
        for how, port in _moved(row.weights[0]):
            yield f"{where(row)}, {how}", changed(deployment, row, weights=put(row.weights, 0, port))


def latent_cut(deployment: Deployment) -> Mutants:
    """Every GPU keeps a part of the latent, as if it were heads; nobody adds up what it makes of its part."""
    shares = [share for row in deployment.rows for port in row.weights for share in _of(port, "heads")]
    for share in shares[:1]:
        rows = [
            replace(row, **{key: tuple(_cut(port, share) for port in getattr(row, key)) for key in PORTS})
            for row in deployment.rows
        ]
        yield f"in {share.parts} parts", replace(deployment, rows=tuple(rows))


PORTS = ("inputs", "outputs", "weights", "state")


def _of(port: Port, name: str) -> Iterator[Share]:
    yield from (share for own, share in zip(port.names, port.shares, strict=True) if own == name and share is not None)


def _cut(port: Port, share: Share) -> Port:
    if "kv_rank" not in port.names:
        return port
    axis = port.names.index("kv_rank")
    return replace(shared(port, axis, share), local=put(port.local, axis, int(port.local[axis]) // share.parts))


def others(deployment: Deployment) -> Mutants:
    """Keys for values, or the other way round."""
    rows = _finding(deployment)
    for row in rows:
        for other in rows:
            port = replace(row.weights[0], parameter=other.weights[0].parameter)
            if other is not row and port != row.weights[0]:
                yield f"{where(row)} finds {other.op}", changed(deployment, row, weights=put(row.weights, 0, port))
