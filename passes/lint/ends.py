"""DAG2: one total input, one total output. DAG3: nothing dangles, everything is connected."""

from __future__ import annotations

from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ...ir.drawing import Drawing, EdgeKind, Kind, Node
from .finding import finding, listed

_SIDES = {
    Kind.INPUT: ("input", "predecessor", "another node must feed it: draw the edge, or remove the node"),
    Kind.OUTPUT: ("output", "successor", "another node must use it: draw the edge, or remove the node"),
}


def check_ends(drawing: Drawing) -> Iterator[Diagnostic]:
    """One total input, one total output."""
    if not drawing.nodes:
        yield finding("DAG2", drawing, None, "the graph is empty", "one total input and one total output", "no node")
        return
    for kind, (name, _, _) in _SIDES.items():
        ends = _ends(drawing, kind)
        if len(ends) != 1:
            yield finding(
                "DAG2",
                drawing,
                ends[1] if ends else None,
                f"there are {len(ends)} total {name}s",
                f"one node titled `Total {name}`",
                listed(f"{node.id} (line {node.line})" for node in ends),
                f"join them: one total {name} on the host, next to a {'split' if kind is Kind.INPUT else 'gather'}",
            )


def check_dangling(drawing: Drawing) -> Iterator[Diagnostic]:
    """All but the input have a predecessor, all but the output a successor, and all are connected."""
    ordered = {edge.target for edge in drawing.edges if edge.kind is EdgeKind.ORDER}
    waited = {edge.source for edge in drawing.edges if edge.kind is EdgeKind.ORDER}
    hung = set[Node]()
    for kind, hangs in ((Kind.INPUT, ordered), (Kind.OUTPUT, waited)):
        _, wanted, hint = _SIDES[kind]
        fine = set(_ends(drawing, kind))
        for node in _loose(drawing, kind):
            resident = node in hangs and (node.weights or node.state)
            alone = kind is Kind.OUTPUT and not drawing.into[node]
            if not (node in fine or resident or (alone and node in hung)):
                hung.add(node)
                yield finding("DAG3", drawing, node, f"`{node.title}` dangles: it has no {wanted}", hint=hint)
    yield from _islands(drawing)


def _islands(drawing: Drawing) -> Iterator[Diagnostic]:
    """Parts of the graph that no edge joins to the first one."""
    parts = _parts(drawing)
    for part in parts[1:]:
        if len(part) > 1:
            problem = f"{len(part)} nodes are not connected with the other {len(drawing.nodes) - len(part)}"
            names = listed(node.id for node in part)
            yield finding(
                "DAG3", drawing, part[0], problem, "one connected graph", names, "join the parts, or draw two graphs"
            )


def _loose(drawing: Drawing, kind: Kind) -> list[Node]:
    """Nodes that no data enters, or that none leaves."""
    sides = drawing.into if kind is Kind.INPUT else drawing.out_of
    return [node for node in drawing.nodes if not sides[node]]


def _ends(drawing: Drawing, kind: Kind) -> list[Node]:
    """The loose nodes that say that they are the total input (or output); all loose ones, where none says so."""
    other = Kind.OUTPUT if kind is Kind.INPUT else Kind.INPUT
    loose = _loose(drawing, kind)
    named = [node for node in loose if node.kind is kind]
    if named or len(drawing.nodes) == 1:
        return named or loose
    joined = {node for node in loose if drawing.into[node] or drawing.out_of[node]}
    return [node for node in loose if node in joined and node.kind is not other]


def _parts(drawing: Drawing) -> list[list[Node]]:
    """Connected components, the largest first."""
    beside: dict[Node, list[Node]] = {node: [] for node in drawing.nodes}
    for edge in drawing.edges:
        beside[edge.source].append(edge.target)
        beside[edge.target].append(edge.source)
    seen, found = set[Node](), list[list[Node]]()
    for start in drawing.nodes:
        if start in seen:
            continue
        seen.add(start)
        part = [start]
        for node in part:
            new = [each for each in dict.fromkeys(beside[node]) if each not in seen]
            seen.update(new)
            part += new
        found.append(part)
    return sorted(found, key=len, reverse=True)
