"""DAG1: no cycle. DEP4: every GPU meets its collectives in one order, which is the same question asked of meetings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

from ...diagnostics import Diagnostic
from ...ir.drawing import Drawing, Node
from .crossing import lane
from .finding import finding, listed

T = TypeVar("T", bound=Hashable)
Meeting = tuple[str, frozenset[int], int]


def check_cycles(drawing: Drawing) -> Iterator[Diagnostic]:
    """No cycle, by whatever edges; an undirected graph has no order at all."""
    if not drawing.directed and drawing.edges:
        hint = "write `digraph` and `->`; rules read its edges as written, left to right"
        yield finding("DAG1", drawing, None, "the graph is undirected: its edges have no direction", hint=hint)
    for cycle in _cycles(_after(drawing)):
        path = " -> ".join(node.id for node in [*cycle[:12], cycle[0]])
        yield finding(
            "DAG1",
            drawing,
            cycle[0],
            f"{len(cycle)} node{'s form' if len(cycle) > 1 else ' forms'} a cycle",
            "no path from a node to itself",
            path if len(cycle) <= 12 else f"{path} (through {len(cycle) - 12} more)",
            "remove the back edge; a loop over layers is drawn once, with `× n`",
        )


def check_order(drawing: Drawing) -> Iterator[Diagnostic]:
    """Where each GPU draws its own node of a collective, all are one meeting: contracted, they make no cycle."""
    met = _meetings(drawing)
    if not met or next(_cycles(_after(drawing)), None):
        return
    after: dict[Node | Meeting, list[Node | Meeting]] = defaultdict(list)
    for edge in drawing.edges:
        after[met.get(edge.source, edge.source)].append(met.get(edge.target, edge.target))
    for cycle in _cycles(after):
        names = list(dict.fromkeys(_said(stop) for stop in cycle if isinstance(stop, tuple)))
        first = next(node for node, meeting in met.items() if meeting in cycle)
        yield finding(
            "DEP4",
            drawing,
            first,
            "the GPUs of a group meet their collectives in different orders: each waits for the other",
            "one order on every GPU",
            listed(names),
            "draw the collectives in the same order on every GPU",
        )
    yield from _missing(drawing, met)


def _missing(drawing: Drawing, met: Mapping[Node, Meeting]) -> Iterator[Diagnostic]:
    here: dict[Meeting, list[Node]] = defaultdict(list)
    for node, meeting in met.items():
        here[meeting].append(node)
    for meeting, nodes in here.items():
        absent = meeting[1] - frozenset[int]().union(*map(lane, nodes))
        if absent and not drawing.partial:
            problem = f"{len(absent)} of {len(meeting[1])} members never meet this collective: the others wait for ever"
            yield finding(
                "DEP4", drawing, nodes[0], problem, _said(meeting), f"not on GPU {listed(map(str, sorted(absent)))}"
            )


def _said(meeting: Meeting) -> str:
    return f"{meeting[0]} (GPUs {listed(map(str, sorted(meeting[1])))})"


def _meetings(drawing: Drawing) -> dict[Node, Meeting]:
    """Communication nodes that stand for one member of a group, by what they are a part of: title, members, and the
    how-many-th of that name on this GPU."""
    found: dict[Node, Meeting] = {}
    seen: dict[tuple[str, frozenset[int], frozenset[int]], int] = defaultdict(int)
    for node in drawing.nodes:
        here = lane(node)
        if node.is_comm and len(node.gpus) > 1 and len(here) == 1 and here < node.gpus:
            key = (node.title, node.gpus, here)
            found[node] = (node.title, node.gpus, seen[key])
            seen[key] += 1
    pieces: dict[Meeting, set[frozenset[int]]] = defaultdict(set)
    for node, meeting in found.items():
        pieces[meeting].add(lane(node))
    return {node: meeting for node, meeting in found.items() if len(pieces[meeting]) > 1}


def _after(drawing: Drawing) -> dict[Node, list[Node]]:
    after: dict[Node, list[Node]] = {node: [] for node in drawing.nodes}
    for edge in drawing.edges:
        after[edge.source].append(edge.target)
    return after


def _cycles(after: Mapping[T, list[T]]) -> Iterator[list[T]]:
    """One cycle of every knot (strongly connected component) of a graph."""
    left = _knotted(after)
    while left:
        cycle = _one_cycle(next(iter(left)), left, after)
        yield cycle
        knot = _reached(cycle[0], left, after) & _reached(cycle[0], left, _turned(after, left))
        left = {node: None for node in left if node not in knot}
        left = _knotted({node: [each for each in after.get(node, ()) if each in left] for node in left})


def _knotted(after: Mapping[T, list[T]]) -> dict[T, None]:
    """What is left when everything without a predecessor, then without a successor, is taken away, again and again."""
    nodes = dict.fromkeys(after)
    for ends in after.values():
        nodes.update(dict.fromkeys(ends))
    left = _trimmed(nodes, after)
    return _trimmed(left, _turned(after, left)) if left else left


def _trimmed(nodes: dict[T, None], after: Mapping[T, list[T]]) -> dict[T, None]:
    waits: dict[T, int] = dict.fromkeys(nodes, 0)
    for node in nodes:
        for each in after.get(node, ()):
            if each in waits:
                waits[each] += 1
    free = [node for node, count in waits.items() if not count]
    for node in free:
        for each in after.get(node, ()):
            if each in waits:
                waits[each] -= 1
                if not waits[each]:
                    free.append(each)
    done = set(free)
    return {node: None for node in nodes if node not in done}


def _turned(after: Mapping[T, list[T]], nodes: Iterable[T]) -> dict[T, list[T]]:
    before: dict[T, list[T]] = {node: [] for node in nodes}
    for node, ends in after.items():
        for each in ends:
            if each in before:
                before[each].append(node)
    return before


def _one_cycle(start: T, nodes: Mapping[T, None], after: Mapping[T, list[T]]) -> list[T]:
    """Every node left has a successor that is left: walking on comes back to where it was."""
    path, place = [start], {start: 0}
    while True:
        step = next(each for each in after[path[-1]] if each in nodes)
        if step in place:
            return path[place[step] :]
        place[step] = len(path)
        path.append(step)


def _reached(start: T, nodes: Mapping[T, None], after: Mapping[T, list[T]]) -> set[T]:
    seen, todo = {start}, [start]
    while todo:
        for each in after.get(todo.pop(), ()):
            if each in nodes and each not in seen:
                seen.add(each)
                todo.append(each)
    return seen
