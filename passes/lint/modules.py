"""DAG4: operators, not modules. DAG5: residuals. DAG8: splitting and aggregating are nodes of their own."""

from __future__ import annotations

from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ...ir.drawing import Drawing, Edge, Family, Kind, Tensor
from .attention import check_attention
from .dimensions import agree
from .finding import finding

PARTS = "norm, each projection, rotary embedding, scores, scale, mask, softmax, context, residual add, activation, …"
_MOVES = {Kind.COMM, Kind.ROUTE, Kind.INPUT, Kind.OUTPUT}


def check_broken_down(drawing: Drawing) -> Iterator[Diagnostic]:
    """A node is one operator, and none of attention's is missing."""
    for node in drawing.nodes:
        if node.elided:
            continue
        if Family.MODULE in node.families:
            problem = f"`{node.title}` is a module of several operators, drawn as one node"
            yield finding("DAG4", drawing, node, problem, f"its operators: {PARTS}", hint="draw one node per operator")
        elif len(node.families) > 1:
            names = " and ".join(node.families)
            yield finding("DAG4", drawing, node, f"`{node.title}` is several operators in one node: {names}",
                          "one operator per node", hint="draw one node per operator")  # fmt: skip
    yield from check_attention(drawing)


def check_residuals(drawing: Drawing) -> Iterator[Diagnostic]:
    """An add has at least two inputs, of which one is another value."""
    for node in drawing.nodes:
        edges = drawing.into[node]
        if node.family is not Family.ADD or not edges:
            continue
        values = {(edge.source, edge.tensor) for edge in edges}
        if len(values) < 2:
            problem = f"the residual add `{node.title}` has one input: the residual branch is missing"
            actual = f"from {edges[0].source.id}" + (f", {len(edges)} times" if len(edges) > 1 else "")
            hint = "draw the edge from what the branch began with (before the norm) to the add"
            yield finding("DAG5", drawing, node, problem, "two inputs or more", actual, hint)


def check_split_and_aggregation(drawing: Drawing) -> Iterator[Diagnostic]:
    """No edge divides or joins what flows along it: where only a factor differs, a node is missing."""
    fine = set[tuple[object, object]]()
    for node in drawing.nodes:
        for edge in drawing.into[node]:
            key = (edge.source.alike, edge.target.alike)
            if key in fine or _is_expected(edge):
                continue
            if not _change(edge) and None not in key:
                fine.add(key)
            if told := _change(edge):
                verb, name, before, after = told
                problem = f"the edge {verb} `{name}`: {before} arrives as {after}, and no node does that"
                missing = "split (slice)" if verb == "splits" else "gather (concat)"
                hint = f"draw a {missing} node between, as a parallelogram"
                yield finding(
                    "DAG8", drawing, edge, problem, f"a {missing} node", f"{name}={before} → {name}={after}", hint
                )


def _is_expected(edge: Edge) -> bool:
    """Communication and routing may split and join: their own rules judge them."""
    return edge.source.kind in _MOVES and edge.target.kind in _MOVES


def _change(edge: Edge) -> tuple[str, str, int, int] | None:
    """(verb, name, size before, size after) where producer and consumer differ in one size only, by a factor."""
    outs, ins = edge.source.outputs, edge.target.inputs
    if not isinstance(outs, tuple) or not isinstance(ins, tuple):
        return None
    pairs = [(out, into) for out in outs for into in ins]
    if not pairs or not all(out.plain and into.plain for out, into in pairs) or any(agree(*pair) for pair in pairs):
        return None
    return next((found for out, into in pairs if (found := _factor(out, into))), None)


def _factor(out: Tensor, into: Tensor) -> tuple[str, str, int, int] | None:
    if out.dims.keys() != into.dims.keys():
        return None
    differing = [(name, out.dims[name], into.dims[name]) for name in out.dims if out.dims[name] != into.dims[name]]
    if len(differing) != 1:
        return None
    name, before, after = differing[0]
    if not (isinstance(before, int) and isinstance(after, int)) or not before or not after:
        return None
    if before % after == 0:
        return "splits", name, before, after
    return ("aggregates", name, before, after) if after % before == 0 else None
