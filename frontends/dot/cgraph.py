"""Graphviz's own parser, in a process of its own: DOT bytes in, plain data out. Imports nothing of dagc.

cgraph writes its complaints to stderr, cannot go on after one (its scanner stays in the string where it was), and
`{a thousand nodes} -> {a thousand nodes}` is a million edges: so it runs where it may be stopped and begun anew.

A request is a length (8 bytes) and DOT text; an answer a length and JSON. Texts are sent once and named by number.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

MAX_EDGES = 20_000_000
MAX_MEMORY = 16 << 30

NODE_ATTRIBUTES = (
    "label", "xlabel", "shape", "sides", "skew", "style", "kind", "op", "gpu", "gpus", "device", "devices", "rank_id",
    "input", "inputs", "output", "outputs", "global_input", "global_output", "weight", "weights", "state", "collective",
    "group", "members", "from", "to", "bytes", "repeat", "repeat_id", "path", "steps",
)  # fmt: skip
EDGE_ATTRIBUTES = ("label", "xlabel", "taillabel", "headlabel", "style", "kind", "tensor", "dir")
GRAPH_ATTRIBUTES = ("label", "gpus", "view", "repeat", "charset", "cluster")


class Texts:
    """Numbers texts in the order in which they come; 0 is the empty one."""

    def __init__(self) -> None:
        self.found: dict[bytes, int] = {b"": 0}

    def __call__(self, text: bytes | None) -> int:
        return self.found.setdefault(text or b"", len(self.found))


def parsed(dot: bytes) -> Iterator[dict[str, Any]]:
    """The first graph of a DOT text; {"error": …} in its words when it is not one. What comes after tidies up."""
    import pygraphviz.graphviz as gv

    graph, said = _read(dot, gv)
    if said or graph is None:
        yield {"error": said or "there is no graph"}
    elif gv.agnedges(graph) > MAX_EDGES:
        yield {"error": f"more than {MAX_EDGES} edges"}
    else:
        yield _contents(graph, gv)
        gv.agclose(graph)


def _read(dot: bytes, gv: Any) -> tuple[Any, str]:
    """Parse from a file, with stderr into another."""
    graph = None
    with tempfile.TemporaryFile() as text, tempfile.TemporaryFile() as errors:
        text.write(dot)
        text.seek(0)
        before = os.dup(2)
        os.dup2(errors.fileno(), 2)
        try:
            graph = gv.agread(text, None)
        except ValueError:
            pass
        finally:
            os.dup2(before, 2)
            os.close(before)
        errors.seek(0)
        lines = errors.read(4000).decode(errors="replace").splitlines()
    complaints = [line for line in lines if not line.startswith("Warning")]
    return graph, complaints[0] if complaints else ""


def _contents(graph: Any, gv: Any) -> dict[str, Any]:
    texts = Texts()
    nodes = list(_nodes(graph, gv))
    names = [gv.agnameof(node) or b"" for node in nodes]
    place = {name: number for number, name in enumerate(names)}
    found = {
        "directed": bool(gv.agisdirected(graph)),
        "name": texts(gv.agnameof(graph)),
        "attributes": _about(graph, graph, texts, gv),
        "names": [texts(name) for name in names],
        "nodes": _columns(graph, nodes, 1, NODE_ATTRIBUTES, texts, gv),
    }
    edges = [edge for node in nodes for edge in _edges(graph, node, gv)]
    found["tails"] = [place[gv.agnameof(gv.agtail(edge))] for edge in edges]
    found["heads"] = [place[gv.agnameof(gv.aghead(edge))] for edge in edges]
    found["edges"] = _columns(graph, edges, 2, EDGE_ATTRIBUTES, texts, gv)
    found["clusters"] = list(_clusters(graph, place, texts, gv))
    found["texts"] = [text.decode("utf-8", "surrogateescape") for text in texts.found]
    return found


def _has(graph: Any, kind: int, name: str, gv: Any) -> Any:
    """Graphviz's symbol of an attribute that the file sets somewhere."""
    try:
        return gv.agattr(graph, kind, name.encode(), None)
    except KeyError:
        return None


def _about(root: Any, graph: Any, texts: Texts, gv: Any) -> dict[str, int]:
    """A graph's or subgraph's own attributes."""
    found = ((name, _has(root, 0, name, gv)) for name in GRAPH_ATTRIBUTES)
    return {name: texts(gv.agxget(graph, symbol)) for name, symbol in found if symbol}


def _is_marked(root: Any, graph: Any, gv: Any) -> bool:
    """`cluster=true`, the other way to ask for a border."""
    symbol = _has(root, 0, "cluster", gv)
    return bool(symbol) and (gv.agxget(graph, symbol) or b"").lower() in (b"true", b"yes", b"1")


def _columns(
    graph: Any, things: list[Any], kind: int, names: tuple[str, ...], texts: Texts, gv: Any
) -> dict[str, list[int]]:
    found = {}
    for name in names:
        if symbol := _has(graph, kind, name, gv):
            get = gv.agxget
            found[name] = [texts(get(thing, symbol)) for thing in things]
    return found


def _nodes(graph: Any, gv: Any) -> Iterator[Any]:
    node = gv.agfstnode(graph)
    while node:
        yield node
        node = gv.agnxtnode(graph, node)


def _edges(graph: Any, node: Any, gv: Any) -> Iterator[Any]:
    edge = gv.agfstout(graph, node)
    while edge:
        yield edge
        edge = gv.agnxtout(graph, edge)


def _clusters(graph: Any, place: dict[bytes, int], texts: Texts, gv: Any) -> Iterator[dict[str, Any]]:
    """Subgraphs whose name makes Graphviz draw a border, the outer before the inner."""
    todo, count = [(graph, -1)], 0
    while todo:
        above, parent = todo.pop(0)
        below = gv.agfstsubg(above)
        while below:
            name, inside = gv.agnameof(below) or b"", parent
            if name.startswith(b"cluster") or _is_marked(graph, below, gv):
                members = [place[gv.agnameof(node)] for node in _nodes(below, gv)]
                about = _about(graph, below, texts, gv)
                yield {"name": texts(name), "parent": parent, "attributes": about, "nodes": members}
                inside, count = count, count + 1
            todo.append((below, inside))
            below = gv.agnxtsubg(below)


def serve() -> None:
    """Answer requests until there are no more."""
    _limit()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(8)) == 8:
        for found in parsed(source.read(int.from_bytes(head, "big"))):
            answer = json.dumps(found).encode()
            sink.write(len(answer).to_bytes(8, "big") + answer)
            sink.flush()


def _limit() -> None:
    """A graph that would fill the machine ends this process, not another."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    serve()
