"""Runs drawn apart (micro-batches, chunks of tokens) are the program, once each. Guarantees, against the graph of the
last of them, which all layers look at:

* every run has every row of the program, in its order, with the same places, ports and operator, joined alike; but that
  in a chunk of tokens kv_len counts those up to its last (`chained`)
* the total input is split into as many parts as there are runs, part i going to run i, and the output joined of as
  many, in that order; all parts together are the whole batch, and all tokens
* micro-batches share nothing: between two runs there are only edges of order, from one to the next, and caches: what a
  chunk appends to is what the same row left in the chunk before
* the laws of graphs (`graph`) hold of the whole
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import cast

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, EdgeKind, Experts, Kind, Link, Move, Port, Repeat, Row, Run, Share
from ...ir.dims import number, parse, same
from ...ir.op import Operator
from . import graph
from .chained import chained
from .identity import described
from .rows import about

ENDS = (Kind.INPUT, Kind.OUTPUT)
SAME = ("op", "title", "kind", "path", "places", "inputs", "outputs", "weights", "state", "repeat", "move", "spread",
        "operator", "operands", "turns", "senders", "pairs")  # fmt: skip


def check(apart: Deployment, program: Deployment) -> list[Diagnostic]:
    """What is not the program, run after run."""
    found = graph.check(apart) or [*_rows(apart, program)]
    return found or [*_links(apart, program), *_routes(apart, program)]


def _copies(apart: Deployment, program: Deployment) -> list[list[Row]]:
    """The rows of each run."""
    return [[row for row in apart.rows if row.run == run] for run in program.runs]


def _rows(apart: Deployment, program: Deployment) -> Iterator[Diagnostic]:
    wanted = [row for row in program.rows if row.kind not in ENDS]
    for run, rows in zip(program.runs, _copies(apart, program), strict=True):
        if len(rows) != len(wanted):
            yield Diagnostic("micro-batches", f"{run} has {len(rows)} rows, the program {len(wanted)}", apart.model)
            return
        for row, model in zip(rows, wanted, strict=True):
            expected = replace(chained(model, run.chunk, program.token_chunks), repeat=_in_run(model.repeat, run))
            if odd := [name for name in SAME if not _same(getattr(row, name), getattr(expected, name))]:
                yield about("micro-batches", row, f"in {run} has other {odd[0]} than the program")


def _in_run(repeat: Repeat | None, run: Run) -> Repeat | None:
    return repeat and replace(repeat, run=run)


def _same(one: object, other: object) -> bool:
    """Do two parts of rows say the same?"""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    match one:
        case np.ndarray():
            return np.array_equal(one, cast("np.ndarray", other))
        case Operator():
            return described(one) == described(cast("Operator", other))
        case tuple() | Experts():
            return len(one) == len(cast("tuple[object]", other)) and all(map(_same, one, cast("tuple[object]", other)))
        case Port() | Share() | Move():
            return all(_same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return one == other


def _links(apart: Deployment, program: Deployment) -> Iterator[Diagnostic]:
    """Are rows joined as the program's are, and runs by order and caches alone?"""
    inner = [row.index for row in program.rows if row.kind not in ENDS]
    wanted = Counter(_ends(link) for link in program.links if {link.source, link.target} <= set(inner))
    found: list[Counter[object]] = [Counter() for _ in program.runs]
    place = {row.index: (run, at) for run, rows in enumerate(_copies(apart, program))
             for at, row in zip(inner, rows, strict=True)}  # fmt: skip
    caches = _caches(program)
    for link in (link for link in apart.links if {link.source, link.target} <= place.keys()):
        (source, begin), (target, end) = place[link.source], place[link.target]
        if source == target:
            found[source][(begin, end, *_ends(link)[2:])] += 1
        elif link.kind is not EdgeKind.ORDER:
            caches[source, target, begin, *_ends(link)[2:]] -= 1
        elif target != source + 1:
            problem = f"waits for {program.runs[source]}, not for the run before it"
            yield about("micro-batches", apart.rows[link.target], problem)
    for run, links in zip(program.runs, found, strict=True):
        if links != wanted:
            yield Diagnostic("micro-batches", f"{run} is joined otherwise than the program", apart.model)
    for cache in (cache for cache, count in caches.items() if count):
        source, target, row, *_ = cache
        reads = "does not read" if caches[cache] > 0 else "reads"
        problem = f"in {program.runs[target]} {reads} what is left by {program.runs[source]}"
        yield about("micro-batches", program.rows[row], problem)


def _caches(program: Deployment) -> Counter[tuple[int, int, int, int, int, EdgeKind]]:
    """What joins runs besides order: (run, run after it, row whose result the same row reads, output, input, kind)."""
    chains = [row for row in program.rows if any(port.cached for port in row.weights)]
    later = [number for number, run in enumerate(program.runs) if run.chunk]
    return Counter(
        (number - 1, number, row.index, 0, len(row.inputs), EdgeKind.DATA) for number in later for row in chains
    )


def _ends(link: Link) -> tuple[int, int, int, int, EdgeKind]:
    return link.source, link.target, link.output, link.input, link.kind


def _routes(apart: Deployment, program: Deployment) -> Iterator[Diagnostic]:
    """Does part i of the batch go to run i, and come from it?"""
    for row in (row for row in apart.rows if row.run is None and row.kind not in ENDS):
        out = [(link.output, apart.rows[link.target].run) for link in apart.links if link.source == row.index]
        into = [(link.input, apart.rows[link.source].run) for link in apart.links if link.target == row.index]
        splits = len(row.outputs) > len(row.inputs)
        parts, ports = (out, row.outputs) if splits else (into, row.inputs)
        if set(parts) != {*enumerate(program.runs)} or len(ports) != len(program.runs):
            yield about("micro-batches", row, "gives a run another part of the batch than its own")
        counts = {"batch_size": program.micro_batches, "seq_len": program.token_chunks}
        for name in (name for name, count in counts.items() if not _adds_up(row, name, count)):
            yield about("DIM2", row, f"the {name} of all runs do not add up to the whole")


def _adds_up(row: Row, name: str, count: int) -> bool:
    """Are all parts alike, and so many of them the whole?"""
    splits = len(row.outputs) > len(row.inputs)
    whole, parts = (row.inputs, row.outputs) if splits else (row.outputs, row.inputs)
    at = whole[0].names.index(name)
    sizes, local = {port.local[at] for port in parts}, whole[0].local[at]
    (size,) = sizes if len(sizes) == 1 else (0,)
    return same(parse(str(local)), parse(str(size)) * number(count))
