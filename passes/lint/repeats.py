"""DAG7: a repeated module is drawn once, with its number, and gives what it takes; nothing else is left out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

from ...diagnostics import Diagnostic
from ...ir.drawing import Drawing, Edge, EdgeKind, Fact, Node, Tensor
from .dimensions import agree
from .finding import finding, listed

_LAYER = re.compile(r"\b(?:layer|block|l)[\s_#]*(\d+)\b", re.I)
_MEANT = "draw a repeated layer once, with `× n` on it; draw what differs for itself"


def check_repeats(drawing: Drawing) -> Iterator[Diagnostic]:
    """Bodies, copies and dots."""
    yield from _elided(drawing)
    yield from _copies(drawing)
    for body in _bodies(drawing):
        yield from _unlike(drawing, body)


def _elided(drawing: Drawing) -> Iterator[Diagnostic]:
    for node in drawing.nodes:
        if node.elided:
            problem = f"`{node.title}` stands for operators that are left out"
            yield finding("DAG7", drawing, node, problem, "every operator, or one body with `× n`", hint=_MEANT)


def _copies(drawing: Drawing) -> Iterator[Diagnostic]:
    """Layers that are drawn apart on the same GPUs although nothing tells them apart."""
    layers: dict[int, list[Node]] = defaultdict(list)
    for node in drawing.nodes:
        number = None if node.repeat else _layer(node)
        if number is not None:
            layers[number].append(node)
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for number, nodes in sorted(layers.items()):
        alike[tuple(sorted(map(_features, nodes)))].append(number)
    for numbers in alike.values():
        runs = [number for number in numbers if number + 1 in numbers or number - 1 in numbers]
        if len(runs) > 1:
            at = layers[runs[1]][0]
            problem = f"{len(runs)} equal layers are drawn apart: {listed(map(str, runs))}"
            yield finding("DAG7", drawing, at, problem, f"one layer, with `× {len(runs)}`", hint=_MEANT)


def _layer(node: Node) -> int | None:
    """The number of the layer that its title or a cluster around it names."""
    texts = (node.title, *(cluster.title for cluster in node.clusters))
    return next((number for text in texts if (number := _layer_of(text)) is not None), None)


@lru_cache(65536)
def _layer_of(text: str) -> int | None:
    found = _LAYER.search(text)
    return int(found.group(1)[:9]) if found else None


def _features(node: Node) -> str:
    """What must differ for a layer to be drawn for itself."""
    own = (_LAYER.sub("", node.title), str(node.devices), str(sorted(node.experts)))
    return "|".join([*own, *map(_said, (node.inputs, node.outputs, node.weights))])


def _said(fact: Fact) -> str:
    return ", ".join(map(str, fact)) if isinstance(fact, tuple) else str(fact)


def _bodies(drawing: Drawing) -> list[set[Node]]:
    """Nodes of one repetition that edges join."""
    nodes = {node: node.repeat for node in drawing.nodes if node.repeat}
    beside: dict[Node, list[Node]] = {node: [] for node in nodes}
    for edge in drawing.edges:
        if nodes.get(edge.source, "") == nodes.get(edge.target) and edge.kind is not EdgeKind.ORDER:
            beside[edge.source].append(edge.target)
            beside[edge.target].append(edge.source)
    seen, found = set[Node](), list[set[Node]]()
    for start in nodes:
        if start in seen:
            continue
        body, todo = {start}, [start]
        while todo:
            new = [each for each in beside[todo.pop()] if each not in body]
            body.update(new)
            todo += new
        seen |= body
        found.append(body)
    return found


def _unlike(drawing: Drawing, body: set[Node]) -> Iterator[Diagnostic]:
    """The next round begins with what the last one gave: what leaves a body must be like something that enters it.

    But for caches, which stay with their layer: whoever reads one does so round by round.
    """
    enters = [tensor for node in body for edge in drawing.into[node] if edge.source not in body
              for tensor in _handed(edge)]  # fmt: skip
    leaving = [edge for node in body for edge in drawing.out_of[node] if edge.target not in body]
    if not enters or not leaving:
        return
    told = set[str]()
    for edge in leaving:
        leaves = _handed(edge)
        if leaves and not any(agree(tensor, other) for tensor in leaves for other in enters):
            key = f"{edge.source.title} {listed(leaves)}"
            if key not in told:
                told.add(key)
                problem = f"the repeated body {edge.source.repeat} gives what its next round does not take"
                entered = listed(dict.fromkeys(map(str, enters)))
                yield finding("DAG7", drawing, edge, problem, f"one of {entered}", listed(leaves),
                              "the body's output dimensions equal its input's")  # fmt: skip


def _handed(edge: Edge) -> list[Tensor]:
    """What an edge carries that its source does not keep as its state."""
    kept = edge.source.state if isinstance(edge.source.state, tuple) else ()
    carried = _carried(edge.source.outputs, edge.target.inputs)
    return [tensor for tensor in carried if not any(agree(tensor, own) for own in kept)]


def _carried(outs: Fact, ins: Fact) -> list[Tensor]:
    """The tensors of a producer that a consumer takes; all of them, where none agrees."""
    given = list(outs) if isinstance(outs, tuple) else []
    taken = ins if isinstance(ins, tuple) else ()
    if not all(tensor.plain for tensor in given):
        return []
    return [each for each in given if any(agree(each, other) for other in taken)] or given
