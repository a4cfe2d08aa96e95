"""What the laws rely on. Guarantees, of any deployment at all:

* rows are numbered in order; places and turns are arrays of integers of one shape, on GPUs that exist; pools too; a
  transfer has senders and receivers
* links join rows and ports that exist
* a port gives every dimension, named once, a local and a global size that can be read, and says of every GPU which of
  its parts it holds, or of none; and of addends, if it does, which are merged
* an operator has one operand for each of its inputs and weights, and makes one output; what moves a value in unequal
  parts has an input (or output) for each of their sizes, and every member one of them
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, EdgeKind, Link, Port, Row, Share, Size
from ...ir.dims import parse
from ...ir.ops.move import Mover
from ...ir.orders import portions, unequal
from ...ir.orders import problem as problem_of
from .rows import about, gpus_text


def sound(deployment: Deployment) -> list[Diagnostic]:
    """Every breach; a deployment with any is asked nothing else."""
    return [*_rows(deployment), *_pools(deployment), *_links(deployment), *_ports(deployment)]


def _rows(deployment: Deployment) -> Iterator[Diagnostic]:
    known: dict[tuple[object, ...], str] = {}
    for position, row in enumerate(deployment.rows):
        if row.index != position:
            yield about("ill-formed", row, f"is row {row.index}, but stands at {position}")
        shared = id(row.places), id(row.turns), id(row.pairs)  # rows have these in common
        key = *shared, row.move is None, row.is_transfer, row.senders
        if key not in known:
            known[key] = _places(row, deployment.gpus)
        for problem in (known[key], _operands(row), _volume(row), known[key] or _spoken(row)):
            if problem:
                yield about("ill-formed", row, problem)


def distinct(values: np.ndarray) -> int:
    """How many different values there are. Sorted: NumPy counts them by hashing, many times slower for a million."""
    ordered = np.sort(values, axis=None)
    return int(np.count_nonzero(np.diff(ordered))) + bool(ordered.size)


def _places(row: Row, gpus: int) -> str:
    """What is wrong with where and when a row runs, or nothing."""
    places, turns = row.places, row.turns
    if places.ndim != 2 or not len(places) or places.dtype.kind != "i":
        return f"has places of shape {places.shape} and type {places.dtype}, not whole numbers [nodes, members]"
    if not _exist(places, gpus):
        return f"runs on a GPU that is none of the {gpus}"
    if turns is not None and (turns.shape != places.shape or turns.dtype.kind != "i"):
        return f"has turns of shape {turns.shape} and type {turns.dtype} for places of {places.shape}"
    if row.on_host and len(places) > 1:
        return f"stands {len(places)} times on the host"
    if row.move is None and distinct(places) < places.size:
        return "stands twice on a GPU"
    return _ends(row, gpus)


def _ends(row: Row, gpus: int) -> str:
    """What is wrong with who sends and who receives, or nothing."""
    members, pairs = row.places.shape[1], row.pairs
    if not row.is_transfer:
        return "says who sends, and is no transfer" if row.senders or pairs is not None else ""
    if not 0 < row.senders < members:
        return f"a transfer that {row.senders} of {members} GPUs send"
    if pairs is None:
        return f"a transfer among {members} GPUs that does not say who sends to whom" if members > 2 else ""
    shaped = pairs.ndim == 2 and pairs.shape[1:] == (2,) and len(pairs) and pairs.dtype.kind == "i"
    if not shaped:
        return f"sends between pairs of shape {pairs.shape} and type {pairs.dtype}"
    return "" if _exist(pairs, gpus) else f"sends between GPUs that are none of the {gpus}"


def _exist(gpus: np.ndarray, count: int) -> bool:
    return not gpus.size or bool(gpus.min() >= 0 and gpus.max() < count)


def _operands(row: Row) -> str:
    """What is wrong with how an operator's operands are handed out, or nothing."""
    if row.operator is None:
        return ""
    apart = _is_ragged(row)
    if len(row.outputs) != 1 and not (apart and row.outputs):
        return f"has {len(row.outputs)} outputs, its operator makes 1"
    wanted, ports = len(row.operator.operands), 1 if apart else len(row.reads)
    if sorted(row.operands) != list(range(wanted)) or (wanted and ports != wanted):
        return f"has {ports} inputs and weights as operands {row.operands}, its operator takes {wanted}"
    return ""


def _is_ragged(row: Row) -> bool:
    """Does it move one value that has a port for each size of its parts?"""
    moves = isinstance(row.operator, Mover) and len(row.operator.operands) == 1
    return moves and len(row.reads) > 0 < len(row.outputs) and max(len(row.reads), len(row.outputs)) > 1


def _spoken(row: Row) -> str:
    """Where a GPU of what moves unequal parts has not one input and one output to go by; else nothing."""
    if not _is_ragged(row) or row.on_host:
        return ""
    for what, ports, gpus in (("input", row.reads, row.reading), ("output", row.outputs, row.making)):
        count = np.sum([port.holds(gpus) for port in ports], axis=0)
        if (count != 1).any():
            return f"has {int(count[count != 1][0])} {what}s for {gpus_text(np.unique(gpus[count != 1]))}, not 1"
    return ""


def _volume(row: Row) -> str:
    sizes = (row.move.elements, row.move.bytes, row.move.least or 1, row.move.total or 1) if row.move else ()
    odd = next((size for size in sizes if isinstance(size, str) and not _is_size(size)), None)
    return "" if odd is None else f"sends {odd}, which is no size"


def _pools(deployment: Deployment) -> Iterator[Diagnostic]:
    for pool in deployment.pools:
        if not _exist(pool.gpus, deployment.gpus):
            yield Diagnostic("ill-formed", f"pool {pool.name} has a GPU that is none of the {deployment.gpus}")


def _links(deployment: Deployment) -> Iterator[Diagnostic]:
    count = len(deployment.rows)
    for link in deployment.links:
        if not (0 <= link.source < count and 0 <= link.target < count):
            yield Diagnostic("ill-formed", f"a link joins rows {link.source} and {link.target} of {count}")
        elif not _has_ports(link, deployment.rows):
            source, target = deployment.rows[link.source], deployment.rows[link.target]
            problem = f"output {link.output} of {source.op} feeds input {link.input}, which are not both declared"
            yield about("DIM5", target, problem)


def _has_ports(link: Link, rows: tuple[Row, ...]) -> bool:
    inside = 0 <= link.output < len(rows[link.source].outputs)
    return link.kind is EdgeKind.ORDER or (inside and 0 <= link.input < len(rows[link.target].inputs))


def _ports(deployment: Deployment) -> Iterator[Diagnostic]:
    """Every port, and every share once: ports have them in common."""
    known: dict[int, str] = {}
    for row in deployment.rows:
        for port in dict.fromkeys((*row.inputs, *row.outputs, *row.weights, *row.state)):
            problem = _dimensions(port)
            for share in (*port.shares, port.addend):
                if share is not None and id(share) not in known:
                    known[id(share)] = _share(share, deployment.gpus)
                problem = problem or (known[id(share)] if share is not None else "")
            if problem:
                yield about("ill-formed", row, f"{port.tensor}: {problem}")


def _dimensions(port: Port) -> str:
    count = len(port.names)
    if len(port.local) != count or len(port.whole) != count or len(port.shares) not in (0, count):
        return f"{count} names for {len(port.local)} local and {len(port.whole)} global sizes"
    if len(set(port.names)) < count:
        return f"a dimension is named twice: {', '.join(port.names)}"
    odd = next((size for size in (*port.local, *port.whole) if not _is_size(size)), None)
    return "" if odd is None else f"{odd} is no size"


def _is_size(size: Size) -> bool:
    if isinstance(size, int):
        return size > 0
    try:
        parse(size)
    except (ValueError, ArithmeticError):
        return False
    return True


def _share(share: Share, gpus: int) -> str:
    of = share.of
    if share.parts < 1 or of.shape != (gpus,) or of.dtype.kind != "i":
        return f"{share.parts} parts on {of.shape} GPUs as {of.dtype}, of {gpus} GPUs"
    if not (of.min(initial=0) >= -1 and of.max(initial=0) < share.parts):
        return f"a part that is none of {share.parts}"
    if share.steps < 1 or share.parts % share.steps:
        return f"{share.steps} of {share.parts} parts pass by"
    merged = share.merged
    if merged is not None and (merged.shape != (gpus, share.parts) or merged.dtype.kind != "b"):
        return f"merged addends as {merged.dtype} {merged.shape}, of {share.parts} on {gpus} GPUs"
    return _order(share)


def _order(share: Share) -> str:
    """What is wrong with an order of unequal parts, or nothing."""
    if not unequal(share.order):
        return ""
    if share.steps > 1:
        return "parts that are not equal pass by"
    odd = next((f"order {order} {wrong}" for n, order in share.order if (wrong := problem_of(order, n))), "")
    if odd or prod(count for count, _ in share.order) != share.parts:
        return odd or f"an order of other than {share.parts} parts"
    try:
        portions(share.order)
    except ValueError as error:
        return str(error)
    return ""
