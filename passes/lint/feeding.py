"""DIM5: every declared input is fed by an edge of its own, and every edge feeds a declared input."""

from __future__ import annotations

from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ...ir.drawing import Drawing, Edge, Family, Kind, Node, Tensor
from .crossing import lane, receivers, senders
from .dimensions import agree
from .finding import finding, listed

MOST = 256
"""Inputs of one node past which its edges are not matched with them."""
_COLLECT = {Family.GATHER, Family.CONCAT}


def check_fed(drawing: Drawing) -> Iterator[Diagnostic]:
    """Node by node; what gathers takes one declared input from many GPUs."""
    fine = set[tuple[object, ...]]()
    for node in drawing.nodes:
        edges, inputs = drawing.into[node], node.inputs
        if not isinstance(inputs, tuple) or not edges or len(inputs) > MOST:
            continue
        if node.is_comm or _collects(node, edges):
            yield from _members(drawing, node, edges)
            continue
        key = (node.alike, *(edge.source.alike for edge in edges))
        if key in fine:
            continue
        found = list(_one_by_one(drawing, node, edges, inputs))
        if not found and None not in key:
            fine.add(key)
        yield from found


def _collects(node: Node, edges: list[Edge]) -> bool:
    """A gather or concat of what several nodes hold."""
    return node.family in _COLLECT and len({edge.source for edge in edges}) > 1


def _one_by_one(drawing: Drawing, node: Node, edges: list[Edge], inputs: tuple[Tensor, ...]) -> Iterator[Diagnostic]:
    fed = _matched(edges, inputs)
    unfed = [tensor for number, tensor in enumerate(inputs) if number not in fed.values()]
    extra = [edge for number, edge in enumerate(edges) if number not in fed]
    if len(edges) < len(inputs):
        problem = f"`{node.title}` declares {len(inputs)} inputs, and {len(edges)} feed it"
        yield finding("DIM5", drawing, node, problem, f"an edge for {listed(unfed)}", f"{len(edges)} edges",
                      "draw the missing edge, or remove the input")  # fmt: skip
    for edge in extra if len(edges) > len(inputs) else ():
        problem = (
            f"this edge feeds no declared input: {node.id} declares {len(inputs)}, and {len(edges)} edges end in it"
        )
        yield finding("DIM5", drawing, edge, problem, listed(inputs), listed(_given(edge)),
                      "declare the input as a bracket group of its own, or remove the edge")  # fmt: skip
    for tensor in unfed if len(edges) == len(inputs) and not _wild(edges, inputs) else ():
        problem = f"`{node.title}` declares the input {tensor}, which no edge brings"
        yield finding(
            "DIM5", drawing, node, problem, str(tensor), listed(_given(edges[-1])), "draw the edge that brings it"
        )


def _given(edge: Edge) -> tuple[Tensor, ...]:
    return edge.source.outputs if isinstance(edge.source.outputs, tuple) else ()


def _wild(edges: list[Edge], inputs: tuple[Tensor, ...]) -> bool:
    """Whether some edge brings nothing declared, which DIM1 reports, or nothing that can be compared."""
    return any(not any(_brings(edge, tensor) for tensor in inputs) for edge in edges)


def _brings(edge: Edge, tensor: Tensor) -> bool:
    return any(agree(given, tensor) for given in _given(edge))


def _matched(edges: list[Edge], inputs: tuple[Tensor, ...]) -> dict[int, int]:
    """As many edges as possible with an input each (augmenting paths): edge → input, by number."""
    holder: dict[int, int] = {}
    choices = [_choices(edge, inputs) for edge in edges]

    def place(edge: int, tried: set[int]) -> bool:
        for number in choices[edge]:
            if number not in tried:
                tried.add(number)
                if number not in holder or place(holder[number], tried):
                    holder[number] = edge
                    return True
        return False

    for edge in range(len(edges)):
        place(edge, set())
    return {edge: number for number, edge in holder.items()}


def _choices(edge: Edge, inputs: tuple[Tensor, ...]) -> list[int]:
    """Inputs an edge may feed; any, where it brings none of them."""
    return [number for number, tensor in enumerate(inputs) if _brings(edge, tensor)] or list(range(len(inputs)))


def _members(drawing: Drawing, node: Node, edges: list[Edge]) -> Iterator[Diagnostic]:
    """Every member of a collective puts its part in; where each draws its own node of it, only that one."""
    wanted = receivers(node)
    if (
        drawing.partial
        or not wanted
        or _is_piece(node, wanted)
        or not all(senders(edge.source) for edge in edges)
        or node.kind is not Kind.COMM
    ):
        return
    missing = wanted - frozenset[int]().union(*(senders(edge.source) for edge in edges))
    if missing and not _is_rooted(node):
        problem = f"`{node.title}` has {len(wanted)} members, but {len(missing)} of them put nothing in"
        gpus = f"GPU {listed(map(str, sorted(missing)))}"
        yield finding("DIM5", drawing, node, problem, f"an edge from {gpus}", hint="draw an edge from every member")


def _is_piece(node: Node, wanted: frozenset[int]) -> bool:
    here = lane(node)
    return bool(here) and here < wanted


def _is_rooted(node: Node) -> bool:
    """Whether one member gives to all others."""
    return node.family in (Family.BROADCAST, Family.SCATTER, Family.TRANSFER, Family.EXCHANGE) or node.family is None
