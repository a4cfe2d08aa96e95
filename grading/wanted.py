"""What a folder should hold: every model with its baseline and its proposals, by the paper or by its own listing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..backends.names import safe
from ..diagnostics import Diagnostic, Refused
from ..frontends.paper.writing import yaml_of
from ..job import Job, Request
from ..papers import Asked, experiments_of, is_paper, read
from ..planning import plan, planned
from .files import Files
from .graphs import Graph
from .listing import Listing

_LETTERS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Wanted:
    """Models by name; per model the strategies of each role, where a paper says them. `baseline`: is one asked for?"""

    models: tuple[str, ...] = ()
    strategies: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    baseline: bool = True

    @property
    def models_said(self) -> str:
        return f"a graph of each of {len(self.models)} models: {', '.join(self.models)}"


def wanted_of(paper: Request | None, listings: list[Listing], graphs: list[Graph]) -> tuple[Wanted, list[Diagnostic]]:
    """By the paper if there is one, with what hinders planning it; else the models that the listings name."""
    if paper is None:
        named = [path.model for listing in listings for path in listing.paths if path.model]
        return Wanted(tuple(dict.fromkeys(named or [graph.model for graph in graphs if graph.model]))), []
    try:
        jobs = _jobs(paper)
    except Refused as refused:
        return Wanted(), list(refused.diagnostics)
    return _planned(jobs), []


def _jobs(paper: Request) -> list[Job]:
    """The deployments of a paper, or of a description. Refused where there are none."""
    if paper.source is None or not is_paper(paper.source):
        return plan(paper)
    path = Path(paper.source)
    return planned(experiments_of(yaml_of(read(path, Asked())), path.parent), paper)


def _planned(jobs: list[Job]) -> Wanted:
    strategies: dict[str, list[tuple[str, str]]] = {}
    for job in jobs:
        strategies.setdefault(job.model.name, []).append((job.name, job.role))
    return Wanted(tuple(strategies), strategies, any(job.role == "baseline" for job in jobs))


def lacking(wanted: Wanted, graphs: list[Graph], files: Files) -> Iterator[Diagnostic]:
    """Models without a graph of their own, and models without a baseline or a proposal."""
    where = str(files.folder)
    several = len(wanted.models) > 1
    for model in wanted.models or ("",):
        mine = [graph for graph in graphs if _is_of(graph, model)] if several else graphs
        if model and not mine:
            yield Diagnostic("OUT1", f"no graph is of the model {model}", where, hint="write its graphs")
        elif graphs:
            yield from _roles(wanted, model, mine, where)
    yield from _merged(graphs, wanted.models)


def _merged(graphs: list[Graph], models: tuple[str, ...]) -> Iterator[Diagnostic]:
    """One DOT for several models."""
    for graph in graphs:
        own = [model for model in models if _is_of(graph, model)]
        longest = [model for model in own if not any(model != other and model in other for other in own)]
        if len(longest) > 1 and _plain(graph.model) not in map(_plain, longest):
            problem = f"is one graph of several models: {', '.join(longest)}"
            yield Diagnostic("OUT1", problem, graph.file, "a graph for each model", hint="draw each by itself")


def _roles(wanted: Wanted, model: str, mine: list[Graph], where: str) -> Iterator[Diagnostic]:
    of = f" of {model}" if model else ""
    roles = dict(wanted.strategies.get(model, ()))
    baselines = [graph for graph in mine if graph.is_baseline or _role(graph, roles) == "baseline"]
    if not wanted.baseline:
        return
    if not baselines:
        names = " or ".join(name for name, role in roles.items() if role == "baseline")
        expected = f"a graph called baseline{f' (or {names})' if names else ''}, or listed as one"
        hint = "deploy the baseline as well: dagc lower --baseline tp=8,pp=2"
        yield Diagnostic("OUT2", f"no graph{of} is the baseline", where, expected, hint=hint)
    if len(mine) <= len(baselines):
        problem = f"no graph{of} is a proposal: {len(mine)} in all"
        yield Diagnostic("OUT2", problem, where, "the baseline and at least one proposal")


def _role(graph: Graph, roles: dict[str, str]) -> str:
    """What a paper calls the strategy after which the file is named."""
    name = graph.name.rpartition("/")[2]
    return next((role for strategy, role in roles.items() if name == safe(strategy)), "")


def _is_of(graph: Graph, model: str) -> bool:
    return _plain(graph.model) == _plain(model) or (not graph.model and _plain(model) in _plain(graph.words))


def _plain(text: str) -> str:
    return _LETTERS.sub("", text.lower())
