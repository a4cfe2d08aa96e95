"""report.md and report.json of what a run writes: every deployment with the verdicts on its very files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from .backends.note import Deployed, Reading, data, note
from .frontends.dot.graphviz import Graphviz
from .ir.deployment import Deployment
from .job import HUB, Drawn, Job
from .pipeline import emitted
from .selfcheck import drawn, self_check, written

LINTED, GPUS = 5_000, 16_384
"""Nodes of the largest graph, and GPUs of the largest cluster, that is linted while it is written: a second or two."""


class Notes:
    """Gathers what is to be said, deployment by deployment, in a `with` block."""

    def __init__(self, source: str, reading: Reading | None = None) -> None:
        self.source, self.reading = source, reading
        self._deployed: list[Deployed] = []
        self._stack = ExitStack()

    def __enter__(self) -> Notes:
        self._graphviz = self._stack.enter_context(Graphviz())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, job: Job, report: Mapping[str, Any], dots: Mapping[str, tuple[int, str]]) -> None:
        """A deployment: its report with its entry of the manifest; by name the nodes and text of its DOT files."""
        few = job.graph is not None and job.graph.gpus <= GPUS
        small = {name: text for name, (nodes, text) in dots.items() if few and nodes <= LINTED}
        alone = {text: name for name, text in reversed(small.items())}
        views = [drawn(text.encode(), name, self._graphviz) for text, name in reversed(alone.items())]
        unread = tuple((name, nodes) for name, (nodes, _) in dots.items() if name not in small)
        self._deployed.append(Deployed(report, _hubs(job) if dots else None, self_check(views, report), unread))

    def texts(self, no_svg: bool) -> dict[str, Any]:
        """The note, and what it says as plain data."""
        entries = [each.report for each in self._deployed]
        judged = written(entries, no_svg)
        return {
            "md": note(self.source, self._deployed, judged, self.reading),
            "json": data(self._deployed, judged, self.reading),
        }


def _hubs(job: Job) -> Deployment | None:
    """The graph with collectives as one node a group, experts together and a micro-batch once: O(operators) rows."""
    plain = job.drawn.collectives == HUB and not job.drawn.per_expert and not job.drawn.unrolled
    if plain or job.module is None:
        return job.graph
    return emitted(job.module, job.model.name, Drawn())
