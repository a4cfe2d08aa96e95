"""`dagc grade DIR`: is an output folder, whoever wrote it, what the contract asks for (rules `OUT*`, and of every graph
in it all others)?

| file | judges |
| --- | --- |
| `files` | which files there are, and what must not be read |
| `listing` | the JSON that lists them: do its paths resolve, is every graph and picture listed |
| `graphs` | every DOT by the lint; which are views of one deployment; which two are the same graph |
| `pictures` | an SVG of every DOT, whole, with as many nodes |
| `wanted` | what the paper (or the listing) asks for: models, a baseline, proposals |
| `reports` | of a folder that dagc wrote: its reports, and everything made anew from its own files |

Everything is opened for reading only, and nothing outside of the folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..codes import RULES
from ..diagnostics import Diagnostic
from ..frontends.dot.graphviz import Graphviz
from ..job import Request
from ..judgement import Judgement, Standing, worst
from ..selfcheck import judge
from .files import Files, files_of
from .graphs import Graph, graphs_of, the_same
from .listing import Listing, listings_of, unlisted
from .pictures import pictures
from .reports import reported
from .wanted import Wanted, lacking, wanted_of


@dataclass
class Graded:
    """The verdict on a folder: its deployments, every rule, and what was found, each with its code and file."""

    folder: Path
    files: Files
    graphs: list[Graph] = field(default_factory=list)
    rules: list[Judgement] = field(default_factory=list)
    found: list[Diagnostic] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Nothing is missing, and no rule is broken."""
        return not any(each.severity == "error" for each in self.found)


def grade(folder: Path, paper: Request | None = None) -> Graded:
    """The verdict on a folder; `paper`: what its graphs should be of. Refused if it is no folder."""
    files = files_of(folder)
    listings = listings_of(files)
    with Graphviz() as graphviz:
        graphs = graphs_of(files, listings, graphviz)
    wanted, unplanned = wanted_of(paper, listings, graphs)
    found = [*files.found, *unplanned, *_written(files, listings, graphs, wanted)]
    reports, checked = reported(folder, files)
    linted = [diagnostic for graph in graphs for view in graph.views for diagnostic in view.found]
    found += [*linted, *checked]
    rules = [*_folder_rules(files, graphs, wanted, found), *_graph_rules(graphs), *reports]
    return Graded(folder, files, graphs, list(_by_code(rules)), list(dict.fromkeys(found)))


def _written(files: Files, listings: list[Listing], graphs: list[Graph], wanted: Wanted) -> Iterator[Diagnostic]:
    """What the rules OUT1 to OUT4 miss."""
    yield from lacking(wanted, graphs, files)
    yield from the_same(graphs)
    yield from pictures(files, graphs)
    yield from (diagnostic for listing in listings for diagnostic in listing.found)
    yield from unlisted(files, listings)


def _folder_rules(files: Files, graphs: list[Graph], wanted: Wanted, found: list[Diagnostic]) -> Iterator[Judgement]:
    """Verdicts on OUT1 to OUT5: what was counted, where nothing was found."""
    says = {
        "OUT1": wanted.models_said,
        "OUT2": f"{len(graphs)} deployments, {sum(graph.is_baseline for graph in graphs)} of the baseline",
        "OUT3": f"{len(files.dots)} DOT files, {len(files.svgs)} SVG files",
        "OUT4": f"{len(files.jsons)} JSON files; every path resolves, every graph and picture is listed",
        "OUT5": "no file is empty or cut off; whether inputs were changed, a folder does not show",
    }
    for code, text in says.items():
        mine = [each for each in found if each.code == code]
        if not mine and code == "OUT1" and not wanted.models:
            yield Judgement(code, Standing.UNJUDGED, "no model is named: grade with --paper")
        elif not mine:
            yield Judgement(code, Standing.HOLDS, text)
        else:
            error = any(each.severity == "error" for each in mine)
            says_it = "; ".join(f"{each.where}: {each.problem}" if each.where else each.problem for each in mine[:3])
            more = f" (and {len(mine) - 3} more)" if len(mine) > 3 else ""
            yield Judgement(code, Standing.BROKEN if error else Standing.WARNED, says_it + more)


def _graph_rules(graphs: list[Graph]) -> Iterator[Judgement]:
    """Every rule of a graph, of all graphs."""
    for graph in graphs:
        yield from judge(graph.views)


def _by_code(rules: Iterable[Judgement]) -> Iterator[Judgement]:
    """One verdict for every rule of the contract; of several the worst."""
    known: dict[str, list[Judgement]] = {}
    for each in rules:
        known.setdefault(each.code, []).append(each)
    for code in (*RULES, "unreadable"):
        if code in known:
            yield _few(worst(known[code]))
        else:
            yield Judgement(code, Standing.UNJUDGED, "nothing in the folder says so: only dagc's own reports do")


def _few(each: Judgement, most: int = 6) -> Judgement:
    return Judgement(each.code, each.standing, each.says, each.at[:most])
