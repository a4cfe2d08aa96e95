"""The graphs of a folder: every DOT by the lint, views of one deployment together, two that are the same told."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from ..diagnostics import Diagnostic
from ..frontends.dot.graphviz import Graphviz
from ..ir.drawing import Drawing, Node
from ..selfcheck import Drawn, drawn
from .files import Files
from .listing import Listing

VIEWS = (".spmd", ".representative")
"""Endings of names of the further views of a deployment."""
BASELINE = re.compile(r"(?<![a-z])base[ _-]?line", re.I)
OTHER = re.compile(r"propos|\bvs?\b|versus|against|compar|over the", re.I)
"""What speaks of a baseline and is none."""


@dataclass
class Graph:
    """One deployment: its DOT files, the main one first. `said`: names, titles and texts that tell which one it is;
    `model`: what a JSON says of it.
    """

    name: str
    views: list[Drawn]
    said: tuple[str, ...]
    model: str = ""

    @property
    def file(self) -> str:
        return self.views[0].file

    @property
    def is_baseline(self) -> bool:
        return any(BASELINE.search(text) and not OTHER.search(text) for text in self.said)

    @property
    def role(self) -> str:
        return "baseline" if self.is_baseline else "proposed"

    @property
    def size(self) -> tuple[int, int, int]:
        """Nodes, edges, and how many of these name what they carry, of the main view."""
        edges = [edge for drawing in self.views[0].drawings for edge in drawing.edges]
        return self.views[0].nodes, len(edges), sum(bool(edge.tensor) for edge in edges)

    @property
    def errors(self) -> int:
        return sum(found.severity == "error" for view in self.views for found in view.found)

    @property
    def words(self) -> str:
        return " ".join(self.said)

    @property
    def drawing(self) -> Drawing | None:
        """The main view's graph."""
        return next(iter(self.views[0].drawings), None)


def graphs_of(files: Files, listings: list[Listing], graphviz: Graphviz) -> list[Graph]:
    """Every deployment of the folder."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(files.dots, key=lambda name: (_stem(name) != _bare(name), name)):
        groups[_stem(name)].append(name)
    if not files.dots:
        hint = "save every graph as DOT and as SVG"
        files.found.append(Diagnostic("OUT3", "there is no DOT file", str(files.folder), hint=hint))
    return [_graph(stem, names, files, listings, graphviz) for stem, names in groups.items()]


def _bare(name: str) -> str:
    return name.rpartition(".")[0]


def _stem(name: str) -> str:
    """The name without its ending and without that of a view."""
    bare = _bare(name)
    return next((bare.removesuffix(view) for view in VIEWS if bare.endswith(view)), bare)


def _graph(stem: str, names: list[str], files: Files, listings: list[Listing], graphviz: Graphviz) -> Graph:
    views = [_linted(name, files, graphviz) for name in names]
    listed = [path for listing in listings for path in listing.paths if path.name in names]
    titles = [text for view in views for drawing in view.drawings for text in (drawing.name, drawing.title)]
    said = (stem, *titles, *(word for path in listed for word in path.words))
    return Graph(stem, views, said, next((path.model for path in listed if path.model), ""))


def _linted(name: str, files: Files, graphviz: Graphviz) -> Drawn:
    where = files.at(name)
    text = files.read(name, "dot")
    return drawn(text, where, graphviz) if text is not None else Drawn(where)


def the_same(graphs: list[Graph]) -> Iterator[Diagnostic]:
    """Deployments whose graphs do not differ in any operator, dimension, GPU or edge."""
    known: dict[str, list[Graph]] = defaultdict(list)
    for graph in graphs:
        if graph.drawing is not None and graph.drawing.nodes:
            known[_print(graph.drawing)].append(graph)
    for first, *others in known.values():
        for graph in others:
            grave = len(known) < 2 or graph.role != first.role
            hint = "baseline and proposal differ in where operators are, what they hold or what is sent"
            problem = f"is the same graph as {first.file}"
            severity = "error" if grave else "warning"
            yield Diagnostic("OUT2", problem, graph.file, "two different graphs", hint=hint, severity=severity)


def _print(drawing: Drawing) -> str:
    """Equal for graphs of the same nodes and edges, whatever they are called and in which order they stand."""
    said = {node: _said(node) for node in drawing.nodes}
    edges = Counter(f"{said[edge.source]}→{said[edge.target]}" for edge in drawing.edges)
    counted = [*sorted(Counter(said.values()).items()), *sorted(edges.items())]
    return sha256(repr(counted).encode()).hexdigest()


def _said(node: Node) -> str:
    tensors = (node.inputs, node.outputs, node.weights)
    facts = (", ".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in tensors)
    return "|".join((node.title, str(sorted(node.gpus)), *facts))
