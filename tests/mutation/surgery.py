"""Cuts and joins of an emitted graph. Every function returns a changed copy whose rows are numbered by position."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from dagc.ir.deployment import Deployment, EdgeKind, Link, Port, Row, Share

Mutants = Iterator[tuple[str, Deployment]]
"""Where, and the graph with a fault there."""
Suits = Callable[[Link], bool]


def where(row: Row) -> str:
    """`all_reduce 7 at layers.attention.o_proj`."""
    return f"{row.op} {row.index} at {row.path}"


def numbered(deployment: Deployment, rows: Sequence[Row], links: Sequence[Link]) -> Deployment:
    """Rows in this order, links by the rows' present numbers; links of rows that are gone go too."""
    number = {row.index: position for position, row in enumerate(rows)}
    kept = tuple(
        replace(link, source=number[link.source], target=number[link.target])
        for link in links
        if link.source in number and link.target in number
    )
    return replace(deployment, rows=tuple(replace(row, index=i) for i, row in enumerate(rows)), links=kept)


def changed(deployment: Deployment, row: Row, **changes: object) -> Deployment:
    """Another row in this one's place."""
    rows = [replace(each, **changes) if each.index == row.index else each for each in deployment.rows]
    return replace(deployment, rows=tuple(rows))


def feeding(deployment: Deployment, row: Row, slot: int = 0) -> Link:
    """The link that feeds an input."""
    return next(link for link in flowing(deployment) if (link.target, link.input) == (row.index, slot))


def users(deployment: Deployment, row: Row) -> list[Link]:
    return [link for link in flowing(deployment) if link.source == row.index]


def flowing(deployment: Deployment) -> Iterator[Link]:
    """Links that carry something."""
    return (link for link in deployment.links if link.kind is not EdgeKind.ORDER)


def rerouted(deployment: Deployment, old: Link, source: Row, label: bool = True, output: int = 0) -> Deployment:
    """The input that `old` feeds is fed by another row; with `label` it also states what it reads now."""
    port = source.outputs[output]
    new = replace(old, source=source.index, output=output, tensor=port.tensor)
    made = replace(deployment, links=tuple(new if link is old else link for link in deployment.links))
    return restated(made, deployment.rows[old.target], old.input, port) if label else made


def restated(deployment: Deployment, row: Row, slot: int, port: Port) -> Deployment:
    """An input that states this of what it reads."""
    inputs = tuple(port if i == slot else old for i, old in enumerate(row.inputs))
    return changed(deployment, row, inputs=inputs)


def agreed(deployment: Deployment, row: Row, port: Port) -> Deployment:
    """The row and all its readers say so."""
    made = changed(deployment, row, outputs=(port,))
    for use in users(deployment, row):
        user = made.rows[use.target]
        made = changed(made, user, inputs=put(user.inputs, use.input, port))
    return made


def without(deployment: Deployment, row: Row, slot: int = 0, label: bool = True) -> Deployment:
    """The row is gone; its users read what its input reads (or the weight that it reads), and with `label` say so.

    What waited for it waits for what it waited for.
    """
    fed = next(link for link in deployment.links if (link.target, link.input) == (row.index, slot))
    before = fed.source
    links = [
        replace(link, source=before) if (link.source, link.kind) == (row.index, EdgeKind.ORDER) else link
        for link in deployment.links
    ]
    made = replace(deployment, links=tuple(links))
    for use in users(deployment, row):
        if not row.inputs:
            made = owning(made, use, row.weights[0] if label else row.outputs[0], row.weights[0].parameter)
        else:
            labelled = label and bool(made.rows[use.target].operands)
            made = rerouted(made, use, deployment.rows[before], labelled, fed.output)
    return numbered(made, [each for each in made.rows if each.index != row.index], made.links)


def owning(deployment: Deployment, use: Link, port: Port, parameter: str) -> Deployment:
    """The input that a link feeds is a weight that the row itself holds, so."""
    row = deployment.rows[use.target]
    inputs = tuple(own for slot, own in enumerate(row.inputs) if slot != use.input)
    order = [slot for slot in range(len(row.operands)) if slot != use.input]
    operands = (*(row.operands[slot] for slot in order), row.operands[use.input]) if row.operands else ()
    weights = (*row.weights, replace(port, tensor=parameter, parameter=parameter))
    links = tuple(
        replace(link, input=link.input - 1) if link.target == row.index and link.input > use.input else link
        for link in deployment.links
        if link is not use
    )
    return changed(replace(deployment, links=links), row, inputs=inputs, weights=weights, operands=operands)


def inserted(deployment: Deployment, after: Row, new: Row, suits: Suits = lambda link: True) -> Deployment:
    """`new` reads what `after` makes, and the users of `after` that suit read `new`."""
    new = replace(new, index=len(deployment.rows))
    links = [
        replace(link, source=new.index) if link.source == after.index and suits(link) else link
        for link in deployment.links
    ]
    links.append(Link(after.index, new.index, 0, 0, EdgeKind.DATA, after.outputs[0].tensor))
    rows = list(deployment.rows)
    rows.insert(after.index + 1, new)
    return numbered(deployment, rows, links)


def apart(deployment: Deployment, row: Row, gpu: int, **changes: object) -> Deployment:
    """One GPU gets a row of its own, which differs; the row keeps the other GPUs."""
    alone = row.places[:, 0] == gpu
    own = replace(row, index=len(deployment.rows), places=row.places[alone], spread=(), **changes)
    rest = replace(row, places=row.places[~alone], spread=())
    rows = [rest if each is row else each for each in deployment.rows]
    rows.insert(row.index + 1, own)
    links = [*deployment.links]
    links += [replace(link, target=own.index) for link in deployment.links if link.target == row.index]
    links += [replace(link, source=own.index) for link in deployment.links if link.source == row.index]
    return numbered(deployment, rows, links)


def shared(port: Port, axis: int, share: Share | None) -> Port:
    """The port with another share along one dimension."""
    return replace(port, shares=tuple(share if i == axis else old for i, old in enumerate(port.shares)))


def put(items: Sequence[object], at: int, item: object) -> tuple[object, ...]:
    """The items with another one at a position."""
    return (*items[:at], item, *items[at + 1 :])


def rolled(share: Share) -> Share:
    """Every GPU has the next part."""
    return replace(share, of=np.where(share.of < 0, share.of, (share.of + 1) % share.parts))


def first_part(share: Share) -> Share:
    """Every GPU has the first part."""
    return replace(share, of=np.minimum(share.of, 0))


def other_on_one(share: Share) -> Share:
    """The last GPU that has a part has the next one."""
    of = share.of.copy()
    last = int(np.flatnonzero(of >= 0)[-1])
    of[last] = (of[last] + 1) % share.parts
    return replace(share, of=of)


def swapped(share: Share) -> Share:
    """The first two GPUs that have different parts have each other's; none where all have the same one."""
    of = share.of.copy()
    first = int(np.flatnonzero(of >= 0)[0])
    for other in np.flatnonzero((of >= 0) & (of != of[first]))[:1]:
        of[first], of[other] = of[other], of[first]
    return replace(share, of=of)


def reordered(share: Share) -> Share:
    """Parts are every so many indices, or runs where they lie in an order."""
    return replace(share, order=() if share.order else ((share.parts, "strided"),))


Misplacing = Callable[[Share], Share]
MISPLACED: dict[str, Misplacing] = {
    "all GPUs one off": rolled,
    "one GPU one off": other_on_one,
    "two GPUs swapped": swapped,
    "parts in another order": reordered,
}
