"""What a rule that holds was judged by: what was counted in the graph, and nodes to look at.

    DAG5   "16 residual adds, each of 2 inputs"      attention_residual_14_gpu0, …

Only where a rule holds: what breaks it, the rule itself says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from graphlib import TopologicalSorter
from typing import NamedTuple

from ...ir.drawing import Drawing, EdgeKind, Family, Kind, Node
from .crossing import crosses


class Evidence(NamedTuple):
    """`counted` is how much the rule had to look at: of 0 it says nothing."""

    says: str
    nodes: Iterable[Node] = ()
    counted: int = 1


def evidence(code: str, drawing: Drawing) -> Evidence:
    """Why a rule holds of a graph that it finds nothing in."""
    return OF[code](drawing) if drawing.nodes else Evidence("the graph is empty", counted=0)


def _acyclic(drawing: Drawing) -> Evidence:
    before: dict[Node, set[Node]] = {node: set() for node in drawing.nodes}
    for edge in drawing.edges:
        before[edge.target].add(edge.source)
    depth: dict[Node, int] = {}
    for node in TopologicalSorter(before).static_order():  # the rule holds: there is an order
        depth[node] = 1 + max((depth[each] for each in before[node]), default=0)
    last = max(depth, key=lambda node: depth[node])
    return Evidence(f"{len(drawing.edges):,} edges lead forward; the longest path has {depth[last]} nodes", [last])


def _ends(drawing: Drawing) -> Evidence:
    ends = [node for node in drawing.nodes if not drawing.into[node] and node.kind is Kind.INPUT]
    ends += [node for node in drawing.nodes if not drawing.out_of[node] and node.kind is Kind.OUTPUT]
    return Evidence("1 total input, 1 total output", ends)


def _connected(drawing: Drawing) -> Evidence:
    return Evidence(f"{len(drawing.nodes):,} nodes, joined by {len(drawing.edges):,} edges; 0 dangle, 1 component")


def _broken_down(drawing: Drawing) -> Evidence:
    titles = Counter(node.title for node in drawing.nodes if node.family and not node.is_host)
    return Evidence(f"{len(titles)} operators, each a node of its own; 0 nodes that are modules")


def _residuals(drawing: Drawing) -> Evidence:
    adds = _of(drawing, Family.ADD)
    return Evidence(f"{len(adds):,} residual adds, each of 2 inputs or more", adds, len(adds))


def _gates(drawing: Drawing) -> Evidence:
    gates = _of(drawing, Family.GATE)
    dashed = sum(edge.kind is EdgeKind.SELECT for edge in drawing.edges)
    return Evidence(f"{len(gates):,} gates, {dashed:,} dashed edges to all that obey them", gates, len(gates))


def _repeats(drawing: Drawing) -> Evidence:
    bodies = Counter(node.repeat for node in drawing.nodes if node.repeat)
    said = "; ".join(f"{body} ({count:,} nodes)" for body, count in list(bodies.items())[:6])
    return Evidence(f"drawn once: {said}", counted=len(bodies))


def _split(drawing: Drawing) -> Evidence:
    moves = [node for node in drawing.nodes if node.kind is Kind.ROUTE]
    return Evidence(f"{len(moves):,} nodes that split, route or join", moves, len(moves))


def _crossing(drawing: Drawing) -> Evidence:
    comm = [node for node in drawing.nodes if node.is_comm]
    through = sum(edge.source.is_comm or edge.target.is_comm for edge in drawing.edges)
    direct = sum(map(crosses, drawing.edges))
    said = f"{len(comm):,} communication nodes carry {through:,} edges; {direct} edges join two GPUs directly"
    return Evidence(said, comm)


def _shapes(drawing: Drawing) -> Evidence:
    forms = Counter(str(node.form) for node in drawing.nodes)
    return Evidence(", ".join(f"{count:,} {form}s" for form, count in forms.items()))


def _stated(drawing: Drawing) -> Evidence:
    count = sum(isinstance(node.outputs, tuple) for node in drawing.nodes)
    return Evidence(f"{count:,} of {len(drawing.nodes):,} nodes state dimensions, every number named")


def _placed(drawing: Drawing) -> Evidence:
    host = sum(node.is_host for node in drawing.nodes)
    return Evidence(f"{len(drawing.nodes) - host:,} nodes name their GPUs ({len(drawing.all_gpus):,}), {host} the host")


def _boundaries(drawing: Drawing) -> Evidence:
    return Evidence(f"{len(drawing.clusters):,} boundaries, {len(drawing.all_gpus):,} GPUs")


def _communication(drawing: Drawing) -> Evidence:
    comm = [node for node in drawing.nodes if node.is_comm]
    kinds = Counter(str(node.family) for node in comm)
    said = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    return Evidence(f"{said}: kind, members, dimensions and bytes", comm, len(comm))


def _edges(drawing: Drawing) -> Evidence:
    data = [edge for edge in drawing.edges if edge.kind is not EdgeKind.ORDER]
    return Evidence(f"{len(data):,} data and gate edges name their tensor, and both ends agree", counted=len(data))


def _global(drawing: Drawing) -> Evidence:
    both = [node for node in drawing.nodes if isinstance(node.whole_outputs, tuple)]
    return Evidence(f"{len(both):,} nodes state local and global sizes", both, len(both))


def _operators(drawing: Drawing) -> Evidence:
    known = [node for node in drawing.nodes if node.family and isinstance(node.outputs, tuple)]
    return Evidence(f"{len(known):,} nodes, each by the rule of its operator", counted=len(known))


def _merged(drawing: Drawing) -> Evidence:
    merging = [node for node in drawing.nodes if node.merges]
    said = sorted({f"{name} = {text}" for node in merging for name, text in node.merges.items()})
    return Evidence("nothing merged" if not said else f"merged: {'; '.join(said[:3])}", merging)


def _fed(drawing: Drawing) -> Evidence:
    count = sum(len(node.inputs) for node in drawing.nodes if isinstance(node.inputs, tuple) and drawing.into[node])
    fed = sum(map(len, drawing.into.values()))
    return Evidence(
        f"{count:,} declared inputs, {fed:,} edges that feed them (collectives and gathers take several)", counted=count
    )


def _parts(drawing: Drawing) -> Evidence:
    computing = sum(node.kind is Kind.COMPUTE for node in drawing.nodes)
    return Evidence(f"{computing:,} operators on {len(drawing.all_gpus):,} GPUs: no part is missing or over")


def _order(drawing: Drawing) -> Evidence:
    comm = [node for node in drawing.nodes if node.is_comm]
    return Evidence(f"{len(comm):,} communication nodes, met in one order by every member", comm, len(comm))


def _readable(drawing: Drawing) -> Evidence:
    return Evidence("everything stated was read")


def _of(drawing: Drawing, family: Family) -> list[Node]:
    return [node for node in drawing.nodes if node.family is family]


OF: dict[str, Callable[[Drawing], Evidence]] = {
    "DAG1": _acyclic,
    "DAG2": _ends,
    "DAG3": _connected,
    "DAG4": _broken_down,
    "DAG5": _residuals,
    "DAG6": _gates,
    "DAG7": _repeats,
    "DAG8": _split,
    "DAG9": _crossing,
    "NODE1": _shapes,
    "NODE2": _stated,
    "NODE3": _placed,
    "NODE4": _boundaries,
    "NODE5": _communication,
    "DIM1": _edges,
    "DIM2": _global,
    "DIM3": _operators,
    "DIM4": _merged,
    "DIM5": _fed,
    "DEP1": _parts,
    "DEP4": _order,
    "unreadable": _readable,
}
