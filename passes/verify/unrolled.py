"""Micro-batches drawn apart are the program, once each. Guarantees, against the graph of one of them, which all layers
look at:

* every micro-batch has every row of the program, in its order, with the same places, ports and operator, joined alike
* the total input is split into as many parts as there are micro-batches, part i going to micro-batch i, and the output
  joined of as many, in that order; all parts together are the whole batch
* micro-batches share nothing: between two of them there are only edges of order, from one to the next
* the laws of graphs (`graph`) hold of the whole
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import cast

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, EdgeKind, Experts, Kind, Link, Move, Port, Row, Share
from ...ir.op import Operator
from . import graph
from .identity import described
from .rows import about

ENDS = (Kind.INPUT, Kind.OUTPUT)
SAME = ("op", "title", "kind", "path", "places", "inputs", "outputs", "weights", "state", "move", "spread", "operator",
        "operands", "turns", "senders", "pairs")  # fmt: skip


def check(apart: Deployment, program: Deployment) -> list[Diagnostic]:
    """What is not the program, run after run."""
    found = graph.check(apart)
    return found or [*_rows(apart, program), *_links(apart, program), *_routes(apart, program)]


def _copies(apart: Deployment, runs: int) -> list[list[Row]]:
    """The rows of each micro-batch."""
    return [[row for row in apart.rows if row.run == run] for run in range(runs)]


def _rows(apart: Deployment, program: Deployment) -> Iterator[Diagnostic]:
    wanted = [row for row in program.rows if row.kind not in ENDS]
    for run, rows in enumerate(_copies(apart, program.micro_batches)):
        if len(rows) != len(wanted):
            problem = f"micro-batch {run} has {len(rows)} rows, the program {len(wanted)}"
            yield Diagnostic("micro-batches", problem, apart.model)
            return
        for row, model in zip(rows, wanted, strict=True):
            if odd := [name for name in SAME if not _same(getattr(row, name), getattr(model, name))]:
                yield about("micro-batches", row, f"in micro-batch {run} has other {odd[0]} than the program")


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
    """Are rows joined as the program's are, and micro-batches by order alone?"""
    inner = [row.index for row in program.rows if row.kind not in ENDS]
    wanted = Counter(_ends(link) for link in program.links if {link.source, link.target} <= set(inner))
    found: list[Counter[object]] = [Counter() for _ in range(program.micro_batches)]
    place = {row.index: inner[i] for rows in _copies(apart, program.micro_batches) for i, row in enumerate(rows)}
    for link in apart.links:
        source, target = (apart.rows[end].run for end in (link.source, link.target))
        if source is None or target is None:
            continue
        if source == target:
            found[source][(place[link.source], place[link.target], *_ends(link)[2:])] += 1
        elif link.kind is not EdgeKind.ORDER or target != source + 1:
            problem = f"joins micro-batches {source} and {target} by more than the order of neighbours"
            yield about("micro-batches", apart.rows[link.target], problem)
    for run, links in enumerate(found):
        if links != wanted:
            yield Diagnostic("micro-batches", f"micro-batch {run} is joined otherwise than the program", apart.model)


def _ends(link: Link) -> tuple[object, ...]:
    return link.source, link.target, link.output, link.input, link.kind


def _routes(apart: Deployment, program: Deployment) -> Iterator[Diagnostic]:
    """Does part i of the batch go to micro-batch i, and come from it?"""
    for row in (row for row in apart.rows if row.run is None and row.kind not in ENDS):
        out = [(link.output, apart.rows[link.target].run) for link in apart.links if link.source == row.index]
        into = [(link.input, apart.rows[link.source].run) for link in apart.links if link.target == row.index]
        splits = len(row.outputs) > len(row.inputs)
        parts, runs = (out, row.outputs) if splits else (into, row.inputs)
        if {part for part in parts if part[0] != part[1]} or len(runs) != program.micro_batches:
            yield about("micro-batches", row, "gives a micro-batch another part of the batch than its own")
        if not _adds_up(row):
            yield about("DIM2", row, "the micro-batches do not add up to the batch")


def _adds_up(row: Row) -> bool:
    """Do the parts' sequences make up those of the whole?"""
    splits = len(row.outputs) > len(row.inputs)
    whole, parts = (row.inputs, row.outputs) if splits else (row.outputs, row.inputs)
    at = whole[0].names.index("batch_size")
    sizes = [port.local[at] for port in parts]
    if all(isinstance(size, int) for size in sizes):
        return sum(size for size in sizes if isinstance(size, int)) == whole[0].local[at]
    return whole[0].local[at] == f"{len(sizes)}*({sizes[0]})" and len(set(sizes)) == 1
