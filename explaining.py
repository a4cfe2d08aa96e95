"""What `dagc explain FOLDER --value NAME` says: the value found in every deployment of an output folder, explained.

NAME is a path (layers.attention.o_proj, or its end), a tensor (all_reduce.12), or a node of the DOT
(all_reduce_12_gpu0).
Only the folder's own files are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .backends.quoting import identifier
from .diagnostics import Diagnostic, Refused, nearest
from .ir.deployment import Deployment, Row
from .ir.dialect import parse_module
from .ir.module import operators, plain_path
from .ir.op import Operator
from .ir.ops.move import Mover
from .job import Drawn
from .passes.explain import Explainer
from .pipeline import emitted
from .recheck import deployments, read_json, read_text, within

_NODE = re.compile(r"(?P<op>\w+?)_(?P<row>\d+)(?:_gpu\d+(?:_to\d+)?|_\d+)?")


def explain(folder: Path, name: str) -> list[dict[str, Any]]:
    """What the name means in each deployment that has it. Refused where none does, with names that are near."""
    found: list[dict[str, Any]] = []
    known: set[str] = set()
    for entry in deployments(folder):
        try:
            found += _explained(folder, entry, name, known)
        except (KeyError, TypeError, AttributeError) as error:
            problem = f"the manifest or the report lacks {error}"
            raise Refused(Diagnostic("certificate", problem, str(folder))) from error
    if not found:
        problem, hint = f"no operator, tensor or node is called {name}", nearest(name, known)
        raise Refused(Diagnostic("unknown-value", problem, str(folder), hint=hint), usage=True)
    return found


def _explained(folder: Path, entry: dict[str, Any], name: str, known: set[str]) -> Iterator[dict[str, Any]]:
    file = within(folder, entry["ir"])
    module = parse_module(read_text(file), str(file))
    how = read_json(within(folder, entry["report"]))["certificate"]["of"]["graph"]
    graph = emitted(module, entry["model"], Drawn.read(how))
    ops = [op for op, _ in operators(module)]
    known |= {op.path.data for op in ops} | {port.tensor for row in graph.rows for port in row.outputs}
    explainer = Explainer(module)
    for op, row in _meant(name, graph, ops).items():
        drawn = {"drawn_as": row.title} if row else {}
        yield {"model": entry["model"], "strategy": entry["strategy"], **explainer.explained(op), **drawn}


def _meant(name: str, graph: Deployment, ops: list[Operator]) -> dict[Operator, Row | None]:
    """The operators that a name means, and, where it is a step of drawing one, the row that is."""
    rows = [*_nodes(name, graph), *(row for row in graph.rows if any(p.tensor == name for p in row.outputs))]
    if rows:
        return dict(_of(row, ops) for row in rows)
    at = [op for op in ops if plain_path(op.path.data) == plain_path(name)]
    at = at or [op for op in ops if f".{plain_path(op.path.data)}".endswith(f".{plain_path(name)}")]
    return dict.fromkeys([op for op in at if not isinstance(op, Mover)] or at)


def _nodes(name: str, graph: Deployment) -> Iterator[Row]:
    match = _NODE.fullmatch(name)
    if match and int(match["row"]) < len(graph.rows):
        row = graph.rows[int(match["row"])]
        if identifier(row.op) == match["op"]:
            yield row


def _of(row: Row, ops: list[Operator]) -> tuple[Operator, Row | None]:
    """The operator of a module that a row draws, or draws a step of."""
    if row.operator is not None and row.operator in ops:
        return row.operator, None
    at = [op for op in ops if op.path.data == row.path]
    return next((op for op in at if isinstance(op, Mover)), at[0]), row
