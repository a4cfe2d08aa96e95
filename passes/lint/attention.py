"""DAG4 of attention: between the query projection and the output projection stand scores, softmax and context."""

from __future__ import annotations

from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ...ir.drawing import Drawing, Family, Kind, Node
from .finding import finding, listed
from .names import words

_QUERY = {"q", "query", "queries", "qkv", "wq", "wqkv"}
_HEADED = _QUERY | {"k", "v", "kv", "key", "value", "keys", "values", "wk", "wv"}
_WANTED = (Family.SCORES, Family.SOFTMAX, Family.CONTEXT)
_SILENT = {Kind.COMM, Kind.ROUTE}
_FARTHEST = 512
"""Nodes behind a query among which its output projection is looked for."""


def check_attention(drawing: Drawing) -> Iterator[Diagnostic]:
    """Once for every output projection that queries reach; nothing where a node between is not understood."""
    told = set[Node]()
    for node in drawing.nodes:
        if node.family is not Family.PROJECT or not words(node.title) & _QUERY:
            continue
        between, ends = _behind(drawing, node)
        missing = [family for family in _WANTED if not any(family in each.families for each in between)]
        if not missing or not all(map(_is_plain, between)):
            continue
        for end in ends:
            if end not in told:
                told.add(end)
                problem = f"attention leads from `{node.title}` to `{end.title}` without {' and '.join(missing)}"
                yield finding("DAG4", drawing, end, problem, listed(_WANTED), listed(each.title for each in between),
                              "draw one node per operator")  # fmt: skip


def _is_plain(node: Node) -> bool:
    """Whether it is understood, and not reported as a module of its own."""
    known = bool(node.families) or node.kind in _SILENT
    return known and not node.elided and Family.MODULE not in node.families


def _behind(drawing: Drawing, start: Node) -> tuple[list[Node], list[Node]]:
    """What follows up to the next projections, and those that are no part of queries, keys and values."""
    between, ends = list[Node](), list[Node]()
    seen, todo = {start}, [start]
    for node in todo:
        for edge in drawing.out_of[node]:
            step = edge.target
            if step in seen:
                continue
            seen.add(step)
            if step.family is Family.PROJECT and not words(step.title) & _HEADED:
                ends.append(step)
            else:
                between.append(step)
                todo.append(step)
        if len(seen) > _FARTHEST:
            return [], []
    return between, ends
