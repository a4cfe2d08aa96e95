"""An SVG of every DOT: there, whole, and of as many nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ..diagnostics import Diagnostic
from .files import Files
from .graphs import Graph

_NODES = re.compile(rb'<g\b[^>]*class="node(?:["\s])')
_END = re.compile(rb"</(?:\w+:)?svg\s*>\s*(?:<!--.*?-->\s*)*$", re.DOTALL)
_START = re.compile(rb"<(?:\w+:)?svg\b")
TAIL = 4096


def pictures(files: Files, graphs: list[Graph]) -> Iterator[Diagnostic]:
    """What is missing, or not whole."""
    nodes = {view.file: view.nodes for graph in graphs for view in graph.views}
    for dot in files.dots:
        svg = _of(dot, files)
        if svg is None:
            hint = f"dot -Tsvg {dot} -o {dot.rpartition('.')[0]}.svg"
            yield Diagnostic("OUT3", "has no SVG beside it", files.at(dot), hint=hint)
        else:
            yield from _whole(svg, dot, nodes.get(files.at(dot), 0), files)


def _of(dot: str, files: Files) -> str | None:
    """The SVG of a DOT: beside it, or of the same name in another folder."""
    bare = dot.rpartition(".")[0]
    beside = next((name for name in (f"{bare}.svg", f"{dot}.svg") if name in files.svgs), None)
    stem = PurePosixPath(bare).name
    return beside or next((name for name in files.svgs if PurePosixPath(name).stem == stem), None)


def _whole(svg: str, dot: str, nodes: int, files: Files) -> Iterator[Diagnostic]:
    text = files.read(svg, "svg")
    if text is None:
        return
    if not _START.search(text):
        yield Diagnostic("OUT3", "is no SVG: there is no <svg> in it", files.at(svg), hint=f"render {dot} anew")
    elif not _END.search(text[-TAIL:]):
        yield Diagnostic("OUT5", "is cut off: it does not end in </svg>", files.at(svg), hint=f"render {dot} anew")
    elif (drawn := len(_NODES.findall(text))) and nodes and drawn < nodes:
        problem = f"shows {drawn:,} nodes, and {dot} has {nodes:,}"
        yield Diagnostic("OUT3", problem, files.at(svg), hint=f"render {dot} anew", severity="warning")
