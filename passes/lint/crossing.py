"""DAG9: between GPUs data passes through communication nodes; the ends of the graph are on the host."""

from __future__ import annotations

from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ...ir.drawing import Devices, Drawing, Edge, Family, Kind, Node
from .finding import finding

_HINT = "draw a communication node (send/recv, all-gather …) between them"
_GATHERS = {Family.GATHER, Family.CONCAT, Family.COMBINE}
_BESIDE = {Family.SCATTER, Family.GATHER}


def check_crossing(drawing: Drawing) -> Iterator[Diagnostic]:
    """Data and gate edges."""
    for node in drawing.nodes:
        yield from _joined(drawing, node)
        yield from _on_host(drawing, node)


def crosses(edge: Edge) -> bool:
    """Whether an edge joins two GPUs directly, or one with a communication that it takes no part in."""
    sender, receiver = senders(edge.source), receivers(edge.target)
    return bool(sender) and bool(receiver) and not sender & receiver


def senders(node: Node) -> frozenset[int]:
    """The GPUs on which what a node gives is: of a transfer those that receive."""
    place = node.devices
    return place.receivers if isinstance(place, Devices) and place.known and place.receivers else node.gpus


def receivers(node: Node) -> frozenset[int]:
    """The GPUs on which a node takes its input: of a transfer those that send."""
    place = node.devices
    return place.senders if isinstance(place, Devices) and place.known and place.senders else node.gpus


def lane(node: Node) -> frozenset[int]:
    """The GPUs in whose boundary a node is drawn; none where it lies in none."""
    around = (each.devices.ids for each in node.clusters if each.devices and each.devices.known)
    return next(around, frozenset[int]())


def _joined(drawing: Drawing, node: Node) -> Iterator[Diagnostic]:
    edges = drawing.into[node]
    crossing = [edge for edge in edges if crosses(edge)]
    for edge in crossing:
        actual = f"{edge.source.devices} -> {edge.target.devices}"
        yield finding("DAG9", drawing, edge, f"data moves from {edge.source.id} to {edge.target.id} directly",
                      "both on one GPU, or a communication node", actual, _HINT)  # fmt: skip
    yield from _collected(drawing, node, edges)
    if crossing or node.is_comm or not node.gpus or not all(senders(edge.source) for edge in edges):
        return
    missing = node.gpus - frozenset[int]().union(*(senders(edge.source) for edge in edges))
    if missing and edges:
        reach = Devices(missing)
        yield finding("DAG9", drawing, node, f"{node.id} runs on {node.devices}, and no input is on {reach}",
                      f"inputs on {node.devices}", f"no input on {reach}", _HINT)  # fmt: skip


def _collected(drawing: Drawing, node: Node, edges: list[Edge]) -> Iterator[Diagnostic]:
    """A node on several GPUs that gathers what each of them holds a part of is a communication."""
    if node.is_comm or node.family not in _GATHERS or len(node.gpus) < 2 or _is_handed_out(node, edges):
        return
    parts = {senders(edge.source) & node.gpus for edge in edges} - {frozenset[int]()}
    if len(parts) > 1 and not frozenset.intersection(*parts):
        problem = f"{node.id} gathers parts from GPUs that none of them alone holds"
        yield finding("DAG9", drawing, node, problem, "a communication node before it", str(node.devices), _HINT)


def _is_handed_out(node: Node, edges: list[Edge]) -> bool:
    """Whether what a node reads is all of what it makes, and transfers bring it from the one GPU that had it."""
    read, made = node.inputs, node.outputs
    is_whole = isinstance(read, tuple) and isinstance(made, tuple) and {*map(str, read)} == {*map(str, made)}
    return is_whole and sum(not edge.source.is_comm for edge in edges) < 2


def _on_host(drawing: Drawing, node: Node) -> Iterator[Diagnostic]:
    """The total input and output, and the scatter and gather next to them."""
    is_end = _is_end(drawing, node)
    if not is_end and not _is_beside(drawing, node):
        return
    what = f"the total {node.kind}" if is_end else f"the {node.family} next to the total {_side(drawing, node)}"
    hint = "write `GPU: host`, and draw it outside the boundaries of GPUs"
    around = next((each for each in node.clusters if each.devices and not each.devices.host), None)
    if isinstance(node.devices, Devices) and not node.devices.host and (node.placed or around):
        yield finding("DAG9", drawing, node, f"{what} is on a GPU", "GPU: host", str(node.devices), hint)
    elif around:
        yield finding(
            "DAG9", drawing, node, f"{what} lies inside the boundary `{around.title or around.id}`", hint=hint
        )


def _is_end(drawing: Drawing, node: Node) -> bool:
    """An input that something feeds is not the total input."""
    edges = drawing.into if node.kind is Kind.INPUT else drawing.out_of
    return node.kind in (Kind.INPUT, Kind.OUTPUT) and not edges[node]


def _is_beside(drawing: Drawing, node: Node) -> bool:
    return node.family in _BESIDE and node.kind is Kind.ROUTE and bool(_side(drawing, node))


def _side(drawing: Drawing, node: Node) -> str:
    if node.family is Family.SCATTER:
        return "input" if any(_is_end(drawing, edge.source) for edge in drawing.into[node]) else ""
    return "output" if any(_is_end(drawing, edge.target) for edge in drawing.out_of[node]) else ""
