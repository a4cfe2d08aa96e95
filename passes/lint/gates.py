"""DAG6: the gate's choice is drawn dashed, from every gate to what obeys it: top-k, dispatch, combine, experts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from ...diagnostics import Diagnostic
from ...ir.drawing import Drawing, EdgeKind, Family, Node
from .crossing import crosses
from .finding import finding, listed
from .names import EXPERTS, size

_OBEY = (Family.TOP_K, Family.DISPATCH, Family.COMBINE)


class Reach(NamedTuple):
    """Families of the nodes, and numbers of the experts, that dashed edges lead to."""

    families: frozenset[Family]
    experts: frozenset[int]


_HINT = "draw it dashed (style=dashed): gate -> top-k -> dispatch, combine, and through routing counts to experts"


def check_gates(drawing: Drawing) -> Iterator[Diagnostic]:
    """From every gate, and to every expert."""
    gates = [node for node in drawing.nodes if node.family is Family.GATE]
    experts = _experts(drawing)
    if not gates and not experts:
        return
    dashed: dict[Node, list[Node]] = defaultdict(list)
    for edge in drawing.edges:
        if edge.kind is EdgeKind.SELECT:
            dashed[edge.source].append(edge.target)
            if crosses(edge):
                actual = f"{edge.source.devices} -> {edge.target.devices}"
                hint = "exchange routing counts through a communication node of its own, with dashed edges"
                yield finding("DAG6", drawing, edge, "a dashed edge joins two GPUs directly", "", actual, hint)
    reach = _reach(dashed, gates, {node: number for number, unit in enumerate(experts) for node in unit})
    yield from _obeyed(drawing, gates, reach)
    yield from _chosen(drawing, experts, gates, reach)


def _obeyed(drawing: Drawing, gates: list[Node], reach: dict[Node, Reach]) -> Iterator[Diagnostic]:
    """What the graph has of these, every gate reaches."""
    there = [family for family in _OBEY if any(node.family is family for node in drawing.nodes)]
    for gate in gates:
        missing = [family for family in there if family not in reach[gate].families]
        if missing:
            problem = f"dashed edges lead from the gate {gate.id} to no {' and no '.join(missing)}"
            yield finding("DAG6", drawing, gate, problem, listed(there), hint=_HINT)


def _chosen(
    drawing: Drawing, experts: list[list[Node]], gates: list[Node], reach: dict[Node, Reach]
) -> Iterator[Diagnostic]:
    """Every expert is chosen by some gate, and every gate chooses among all."""
    everything = frozenset[int]().union(*{reach[gate].experts for gate in gates})
    missed = [unit for number, unit in enumerate(experts) if number not in everything]
    for unit in missed:
        problem = f"no dashed edge leads from a gate to the expert `{unit[0].title}`"
        yield finding("DAG6", drawing, unit[0], problem, "dashed edges from every gate", hint=_HINT)
    if missed or drawing.partial:
        return
    counts = {found: _count([experts[number] for number in found]) for found in {reach[gate].experts for gate in gates}}
    together = _count([experts[number] for number in everything])
    for gate in gates if experts else ():
        outputs = gate.outputs if isinstance(gate.outputs, tuple) else ()
        wanted = next((found for tensor in outputs if (found := size(tensor, EXPERTS))), 0)
        count = counts[reach[gate].experts] if _decides_alone(gate) else together
        if count is not None and count < wanted:
            problem = f"the gate {gate.id} chooses among {wanted} experts, but dashed edges lead to {count} of them"
            yield finding("DAG6", drawing, gate, problem, f"{wanted} experts", str(count), _HINT)


def _decides_alone(gate: Node) -> bool:
    """Whether it sees tokens that no other gate sees: then it must reach every expert itself. Gates that see the same
    tokens may share the experts among them."""
    local, whole = gate.inputs, gate.whole_inputs
    if isinstance(local, tuple) and isinstance(whole, tuple):
        return [tensor.key for tensor in local] != [tensor.key for tensor in whole]
    return len(gate.gpus) > 1


def _reach(dashed: dict[Node, list[Node]], gates: list[Node], unit_of: dict[Node, int]) -> dict[Node, Reach]:
    """What dashed edges lead to, from each node behind a gate. Sets are shared: many gates reach the same experts."""
    found: dict[Node, Reach] = {}
    todo = [(gate, False) for gate in gates]
    while todo:
        node, is_ready = todo.pop()
        if is_ready:
            found[node] = _joined(node, [found[each] for each in dashed[node]], unit_of)
        elif node not in found:
            found[node] = Reach(frozenset(), frozenset())
            todo.append((node, True))
            todo += [(each, False) for each in dashed[node]]
    return found


def _joined(node: Node, parts: list[Reach], unit_of: dict[Node, int]) -> Reach:
    families = frozenset(node.families)
    experts = frozenset({unit_of[node]}) if node in unit_of else frozenset[int]()
    for part in parts:
        families = part.families if part.families >= families else families | part.families
        experts = part.experts if part.experts >= experts else experts | part.experts
    return Reach(families, experts)


def _count(units: list[list[Node]]) -> int | None:
    """How many experts they are: by their numbers, else by their `experts` dimension, else one each."""
    if all(any(node.experts for node in unit) for unit in units):
        return len(frozenset[int]().union(*(node.experts for unit in units for node in unit)))
    total = 0
    for unit in units:
        tensors = [tensor for node in unit if isinstance(node.inputs, tuple) for tensor in node.inputs]
        if any(tensor.dims.keys() & EXPERTS and size(tensor, EXPERTS) is None for tensor in tensors):
            return None
        several = max((found for tensor in tensors if (found := size(tensor, EXPERTS))), default=1)
        total += several * max(len(unit[0].gpus), 1)
    return total


def _experts(drawing: Drawing) -> list[list[Node]]:
    """Operators of experts, those that feed one another together, on one GPU also through communication."""
    nodes = [node for node in drawing.nodes if node.is_expert]
    beside: dict[Node, list[Node]] = {node: [] for node in nodes}
    for source, target in _fed(drawing):
        if source in beside and target in beside:
            beside[source].append(target)
            beside[target].append(source)
    seen, units = set[Node](), list[list[Node]]()
    for node in nodes:
        unit = [each for each in _reached(node, beside) if each not in seen]
        if node not in seen:
            units.append([node, *(each for each in unit if each is not node)])
        seen.update(unit)
    return units


def _fed(drawing: Drawing) -> Iterator[tuple[Node, Node]]:
    """Nodes that an edge joins, or a communication in which both of the same GPU take part."""
    yield from ((edge.source, edge.target) for edge in drawing.edges)
    for node in drawing.nodes:
        if node.is_comm:
            sources = [edge.source for edge in drawing.into[node] if edge.source.is_expert]
            readers: dict[int, list[Node]] = defaultdict(list)
            for edge in drawing.out_of[node] if sources else ():
                for gpu in edge.target.gpus:
                    readers[gpu].append(edge.target)
            yield from ((source, target) for source in sources for gpu in source.gpus for target in readers[gpu])


def _reached(start: Node, after: dict[Node, list[Node]]) -> set[Node]:
    seen, todo = {start}, [start]
    while todo:
        for each in after.get(todo.pop(), ()):
            if each not in seen:
                seen.add(each)
                todo.append(each)
    return seen
