"""Runs of a program drawn apart: chunks of tokens that find other caches, or are other tokens (F15, F34, F40)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from dagc.ir.deployment import Deployment, EdgeKind, Link, Port, Row

from .caches import appends
from .surgery import Mutants, changed, feeding, flowing, put, rerouted, where

EXCHANGED = {0: 1, 1: 0}


def chained(deployment: Deployment) -> Iterator[tuple[Row, Link]]:
    """Rows that write into the cache of the chunk before, and the links that bring it."""
    for row in appends(deployment):
        if len(row.inputs) > 1:
            yield row, feeding(deployment, row, 1)


def forgetful(deployment: Deployment) -> Mutants:
    """A chunk writes into an empty cache: of its own tokens alone, or with room for all."""
    for row, link in chained(deployment):
        lost = replace(deployment, links=tuple(each for each in deployment.links if each is not link))
        for text, like in (("of its tokens", appends(deployment)[0].weights[0]), ("with room", row.outputs[0])):
            empty = replace(row.outputs[0], local=like.local, whole=like.whole, cached=True, parameter=row.path)
            yield f"{where(row)}, {text}", changed(lost, row, inputs=row.inputs[:1], weights=(empty,))


def of_another_chunk(deployment: Deployment) -> Mutants:
    """A chunk finds what an earlier one left than the one before it; it says so, or not."""
    rows = {(row.path, row.run, row.places.tobytes()): row for row in deployment.rows}
    for row, link in chained(deployment):
        run = row.run
        if run is not None and run.chunk is not None and run.chunk > 1:
            other = rows[row.path, replace(run, chunk=run.chunk - 2), row.places.tobytes()]
            for label in (True, False):
                yield f"{where(row)}, label {label}", rerouted(deployment, link, other, label)


def of_another_cache(deployment: Deployment) -> Mutants:
    """A chunk finds in a cache what was left in another: values for keys."""
    for (row, link), (_, other) in pairwise(chained(deployment)):
        source = deployment.rows[other.source]
        if source.run == deployment.rows[link.source].run:
            yield where(row), rerouted(deployment, link, source)


def order_only(deployment: Deployment) -> Mutants:
    """The cache of the chunk before is waited for, but does not come."""
    for row, link in chained(deployment):
        waits = replace(link, kind=EdgeKind.ORDER)
        yield where(row), replace(deployment, links=tuple(waits if each is link else each for each in deployment.links))


def exchanged_parts(deployment: Deployment) -> Mutants:
    """Two runs get each other's tokens."""
    for row in _routes(deployment, "split"):
        links = (
            replace(k, output=EXCHANGED.get(k.output, k.output)) if k.source == row.index else k
            for k in deployment.links
        )
        yield where(row), replace(deployment, links=tuple(links))


def exchanged_results(deployment: Deployment) -> Mutants:
    """What two runs make is joined in each other's place."""
    for row in _routes(deployment, "concat"):
        links = (
            replace(k, input=EXCHANGED.get(k.input, k.input)) if k.target == row.index else k for k in deployment.links
        )
        yield where(row), replace(deployment, links=tuple(links))


def other_length(deployment: Deployment) -> Mutants:
    """A chunk's attention states that it sees as many tokens as that of another; its readers agree."""
    for row in deployment.rows:
        port = row.outputs[0]
        if row.run is not None and row.run.chunk and "kv_len" in port.names:
            fewer = _first(port, row.run.chunk)
            made = changed(deployment, row, outputs=(fewer,), state=(fewer,) if row.state else ())
            for use in (link for link in flowing(deployment) if link.source == row.index):
                user = made.rows[use.target]
                made = changed(made, user, inputs=put(user.inputs, use.input, fewer))
            yield where(row), made


def _first(port: Port, chunk: int) -> Port:
    """The port with as many tokens in the cache as the first chunk has."""
    axis, ports = port.names.index("kv_len"), (port.local, port.whole)
    local, whole = (tuple(int(n) // (chunk + 1) if i == axis else n for i, n in enumerate(sizes)) for sizes in ports)
    return replace(port, local=local, whole=whole)


def backwards(deployment: Deployment) -> Mutants:
    """A run waits for the one after it, not for the one before."""
    for at, link in enumerate(deployment.links):
        ends = [deployment.rows[end].run for end in (link.source, link.target)]
        if link.kind is EdgeKind.ORDER and None not in ends and ends[0] != ends[1]:
            turned = replace(link, source=link.target, target=link.source)
            links = (*deployment.links[:at], turned, *deployment.links[at + 1 :])
            yield where(deployment.rows[link.target]), replace(deployment, links=links)


def _routes(deployment: Deployment, op: str) -> list[Row]:
    return [row for row in deployment.rows if row.op == op and row.run is None and row.on_host]
