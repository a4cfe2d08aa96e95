"""The rules of the drawn graph: a verdict on each, of one or more DOT files of one deployment.

ep.dot, ep.spmd.dot  →  DAG2 holds (1 total input, 1 total output), DIM1 broken (2 findings: …), …
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from ..backends.annotations.place import place_of
from ..diagnostics import Diagnostic, Refused
from ..frontends.dot.graphviz import Graphviz
from ..frontends.dot.reader import parse_dot
from ..ir.drawing import Drawing
from ..judgement import Judgement, Standing
from ..passes.lint import RULES, lint
from ..passes.lint.evidence import evidence

CYCLE, ORDER = "DAG1", "DEP4"
NODES = 3
"""Nodes that a verdict names."""


@dataclass
class Drawn:
    """One DOT file: its graphs, and what is wrong with them; no graph where it cannot be read."""

    file: str
    drawings: list[Drawing] = field(default_factory=list)
    found: list[Diagnostic] = field(default_factory=list)

    @property
    def nodes(self) -> int:
        return sum(len(drawing.nodes) for drawing in self.drawings)

    @property
    def edges(self) -> int:
        return sum(len(drawing.edges) for drawing in self.drawings)


def drawn(text: bytes, file: str, graphviz: Graphviz) -> Drawn:
    """A DOT text, read and linted; `file` is what findings call it."""
    try:
        drawings = parse_dot(text, file, graphviz)
    except Refused as refused:
        return Drawn(file, [], list(refused.diagnostics))
    return Drawn(file, drawings, [found for drawing in drawings for found in lint(drawing)])


def judge(views: Sequence[Drawn]) -> Iterator[Judgement]:
    """A verdict on every rule; what it was judged by is of the first view, what breaks it of any."""
    broken: dict[str, list[Diagnostic]] = defaultdict(list)
    for found in (found for view in views for found in view.found):
        broken[found.code].append(found)
    main = next((drawing for view in views for drawing in view.drawings), None)
    for code in RULES:
        if broken[code]:
            yield _broken(code, broken[code])
        elif main is None:
            yield Judgement(code, Standing.UNJUDGED, "no graph was read")
        elif code == ORDER and broken[CYCLE]:
            yield Judgement(code, Standing.UNJUDGED, "there is no order in a graph with a cycle")
        else:
            yield _holds(code, main)


def _broken(code: str, found: list[Diagnostic]) -> Judgement:
    error = any(each.severity == "error" for each in found)
    more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
    place = place_of(found[0])
    sides = "".join(
        f"; {name} {text}" for name, text in (("expected", found[0].expected), ("is", found[0].actual)) if text
    )
    line = f"{place.file}:{place.line}: " if place.line else ""
    nodes = dict.fromkeys(place_of(each).node for each in found)
    says = f"{line}{found[0].problem}{sides}{more}"
    standing = Standing.BROKEN if error else Standing.WARNED
    return Judgement(code, standing, says, tuple(islice(filter(None, nodes), NODES)))


def _holds(code: str, drawing: Drawing) -> Judgement:
    shown = evidence(code, drawing)
    if not shown.counted:
        return Judgement(code, Standing.HOLDS, "nothing in the graph that it speaks of")
    return Judgement(code, Standing.HOLDS, shown.says, tuple(node.id for node in islice(shown.nodes, NODES)))
