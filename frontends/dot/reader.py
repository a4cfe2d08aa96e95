"""A DOT file → the graphs in it. Whether it is DOT, Graphviz decides; what is wrong is a diagnostic with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...diagnostics import Diagnostic, Refused
from ...ir.drawing import Cluster, Drawing, Edge, EdgeKind, Node
from .contents import Attributes, Contents
from .fields import repeat_of
from .graphviz import Graphviz
from .labels import label_lines
from .nodes import cluster_place, node_of
from .scanner import Scanned, scan
from .shapes import NOTES

MAX_BYTES = 1 << 30
LARGE = 1 << 20
"""Bytes of a text that Graphviz reads while it is still scanned."""
_BOM = b"\xef\xbb\xbf"
_LEGEND = re.compile(r"\b(legend|key|notes?|annotations?)\b", re.I)
_EDGE_KINDS = {"data": EdgeKind.DATA, "select": EdgeKind.SELECT, "gate": EdgeKind.SELECT, "order": EdgeKind.ORDER}


def read_dot(path: Path, graphviz: Graphviz) -> list[Drawing]:
    """Every graph of a file. Refused when it cannot be read or is not DOT."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Refused(Diagnostic("too-large", f"the file is larger than {MAX_BYTES >> 20} MiB", str(path)))
        text = path.read_bytes()
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise Refused(Diagnostic("file", f"cannot be read: {said}", str(path))) from error
    return parse_dot(text, str(path), graphviz)


def parse_dot(text: bytes, file: str, graphviz: Graphviz) -> list[Drawing]:
    """Every graph of a DOT text; `file` is what diagnostics call it."""
    text = text.removeprefix(_BOM)
    with graphviz.ahead(text if len(text) > LARGE and b"\0" not in text else b"") as ahead:
        found = scan(text.decode("latin-1"))
    if b"\0" in text or not found:
        raise Refused(Diagnostic("syntax", "this is not DOT: there is no graph in it", f"{file}:1"))
    whole = ahead() if len(found) == 1 else {}
    return [_drawing(text[graph.start : graph.stop], graph, file, graphviz, whole) for graph in found]


def _drawing(text: bytes, graph: Scanned, file: str, graphviz: Graphviz, answer: dict[str, Any]) -> Drawing:
    """`answer`: what Graphviz said already; empty when it was not asked."""
    answer = answer or graphviz.parse(b"\n" * (graph.line - 1) + text)
    if "error" in answer:
        raise Refused(_complaint(str(answer["error"]), graph, file))
    contents = Contents(answer)
    clusters, around = _clusters(contents, file, graph)
    nodes = list(_nodes(contents, graph, around))
    kept = set(_kept(contents, nodes))
    edges = list(_edges(contents, graph, nodes, kept))
    gpus = contents.attributes.get("gpus", "")
    return Drawing(
        file,
        graph.line,
        contents.name,
        contents.directed,
        [node for node in nodes if node in kept],
        edges,
        clusters,
        int(gpus) if re.fullmatch(r"\d{1,9}", gpus) else None,
        contents.attributes.get("view") == "representative" or any(node.elided for node in kept),
        " ".join(label_lines(contents.attributes.get("label", ""))),
    )


def _complaint(said: str, graph: Scanned, file: str) -> Diagnostic:
    """Graphviz's words, with the line in `where`."""
    match = re.search(r"^(?:Error: )?(?:<\w+>: )?(.*?) in line (\d+)\s*(.*)", said, re.DOTALL)
    line = int(match.group(2)) if match else graph.line
    line = graph.stuck if "scanning a" in said and graph.stuck else line
    problem = f"{match.group(1)} {match.group(3)}".strip() if match else said.removeprefix("Error: ")
    fence = (
        "remove the Markdown fence (```)" if "`" in problem else "Graphviz reads it so too: `dot -Tcanon` says the same"
    )
    return Diagnostic("syntax", problem[:200], f"{file}:{line}", hint=fence)


def _clusters(contents: Contents, file: str, graph: Scanned) -> tuple[list[Cluster], dict[int, Cluster]]:
    """The clusters, and the innermost of each node."""
    found, around = list[Cluster](), dict[int, Cluster]()
    for number, raw in enumerate(contents.clusters):
        name, attributes = contents.cluster(number)
        title = " ".join(label_lines(attributes.get("label", "")))
        above: int = raw["parent"]
        parent = found[above] if above >= 0 else None
        cluster = Cluster(name, title, graph.line, *cluster_place(title, name), repeat_of(title), parent)
        found.append(cluster)
        around.update(dict.fromkeys(raw["nodes"], cluster))
    return found, around


def _nodes(contents: Contents, graph: Scanned, around: dict[int, Cluster]) -> Iterator[Node]:
    circles = {cluster: cluster.around for cluster in set(around.values())}
    for number, attributes in enumerate(contents.nodes()):
        key = contents.keys[number]
        clusters = circles[around[number]] if number in around else ()
        line = graph.nodes.get(key, graph.line)
        declared = key in graph.declared or key not in graph.nodes
        yield node_of(contents.names[number], attributes, line, declared, clusters)


def _kept(contents: Contents, nodes: list[Node]) -> Iterator[Node]:
    """Nodes that are neither invisible, nor in a legend, nor notes that no edge touches."""
    joined = {end for ends in contents.ends for end in ends}
    for number, (node, attributes) in enumerate(zip(nodes, contents.nodes(), strict=True)):
        legend = any(_LEGEND.search(cluster.title or cluster.id) for cluster in node.clusters)
        note = node.shape in NOTES and number not in joined
        if not (legend or note or "invis" in attributes.get("style", "")):
            yield node


def _edges(contents: Contents, graph: Scanned, nodes: list[Node], kept: set[Node]) -> Iterator[Edge]:
    for (tail, head), attributes in zip(contents.ends, contents.edges(), strict=True):
        source, target = nodes[tail], nodes[head]
        if "invis" in attributes.get("style", "") or source not in kept or target not in kept:
            continue
        lines = graph.edges.get((contents.keys[tail], contents.keys[head])) or [target.line]
        line = lines.pop(0) if len(lines) > 1 else lines[0]
        yield from _drawn(source, target, attributes, line)


def _drawn(source: Node, target: Node, attributes: Attributes, line: int) -> Iterator[Edge]:
    """An edge points where its arrow does: backwards with `dir=back`, both ways with `dir=both`."""
    kind, tensor, way = _edge_kind(attributes), _tensor(attributes), attributes.get("dir", "forward")
    if way != "back":
        yield Edge(source, target, kind, tensor, line)
    if way in ("back", "both"):
        yield Edge(target, source, kind, tensor, line)


def _edge_kind(attributes: Attributes) -> EdgeKind:
    if told := _EDGE_KINDS.get(attributes.get("kind", "")):
        return told
    style = attributes.get("style", "")
    return EdgeKind.SELECT if "dashed" in style else EdgeKind.ORDER if "dotted" in style else EdgeKind.DATA


def _tensor(attributes: Attributes) -> str:
    keys = ("tensor", "label", "xlabel", "taillabel", "headlabel")
    return next((text for key in keys if (text := " ".join(label_lines(attributes.get(key, ""))))), "")
