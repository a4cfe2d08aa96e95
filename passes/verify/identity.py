"""Which value of the model every row of a deployment makes: its layer and path, found by following the links.

q_proj of layers 8-15 drawn once      (8, layers.attention.q_proj), in later rounds (9, …), (10, …)
all_reduce of what o_proj makes       (8, layers.attention.o_proj): a move is what it moves
transfer after the body               (15, layers.ffn_residual): what the last round left
all_gather of a stored weight         (8, layers.attention.q_proj.weight)
"""

from __future__ import annotations

from ...ir.deployment import Deployment, EdgeKind, Link, Port, Row
from ...ir.module import offset_in, plain_path
from ...ir.op import Operator
from ...ir.ops.move import Mover
from .program import Identity


def is_moved(row: Row) -> bool:
    """Whether a row makes no value of its own, but moves, splits or joins one."""
    return row.operator is None or isinstance(row.operator, Mover)


def identities(deployment: Deployment) -> list[Identity | None]:
    """Per row the value it makes, in the first round where it is repeated; None for what moves nothing known."""
    into: dict[int, Link] = {}
    for link in deployment.links:
        if link.input == 0 and link.kind is not EdgeKind.ORDER:
            into.setdefault(link.target, link)
    means: list[Identity | None] = []
    for row in deployment.rows:
        source = into[row.index].source if row.index in into else -1
        means.append(_moved(deployment.rows, means, source, row) if is_moved(row) else own(row))
    return means


def resident(deployment: Deployment) -> dict[int, Port]:
    """Rows that hand on a weight that is stored otherwise than it is used, and that weight as it is stored."""
    found = {row.index: row.weights[0] for row in deployment.rows if is_moved(row) and row.weights}
    for link in deployment.links:
        if link.source in found and link.kind is not EdgeKind.ORDER and is_moved(deployment.rows[link.target]):
            found.setdefault(link.target, found[link.source])
    return found


def own(row: Row) -> Identity:
    """What a computation is in the model, in its first round."""
    return _at(row, row.path)


def _at(row: Row, path: str) -> Identity:
    return (None if row.repeat is None else row.repeat.first + offset_in(path)), plain_path(path)


def last(row: Row, which: Identity | None) -> Identity | None:
    """What a row leaves behind: in a repeated body the value of the last round."""
    if which is None or which[0] is None or row.repeat is None:
        return which
    return which[0] + (row.repeat.count - 1) * row.repeat.period, which[1]


def _moved(rows: tuple[Row, ...], means: list[Identity | None], source: int, row: Row) -> Identity | None:
    if row.weights:
        return _at(row, row.weights[0].tensor)
    if not 0 <= source < row.index:
        return None
    return means[source] if rows[source].repeat == row.repeat else last(rows[source], means[source])


def described(op: Operator) -> tuple[object, ...]:
    """An operator's kind and properties; where it stands is left out."""
    return op.name, *sorted((name, value) for name, value in op.properties.items() if name != "path")
