"""paths: draws every collective as the transfers of an algorithm (`--collectives paths`), not as one node per group.

    before   all_reduce [8 GPUs]
    after    split → send 0→1 … 7→0 → add → send … → send → concat

Works on the deployment graph. What a GPU does between transfers are nodes too: splits and concats of what it holds,
and additions of addends that meet. Which algorithm carries out a collective is data: the first of the table below that
suits it, unless one is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...diagnostics import Diagnostic, Refused, nearest
from ...ir.deployment import Deployment, EdgeKind, Link, Row
from ...ir.ops.move import Collective
from .algorithm import Algorithm, Hub
from .hops import TwoHopsAllToAll
from .pairwise import PairwiseAllToAll
from .pen import Pen, Sources
from .ring import RingAllGather, RingAllReduce, RingReduceScatter
from .tree import TreeAllReduce

ALGORITHMS: dict[str, dict[str, Algorithm]] = {
    "all-reduce": {"ring": RingAllReduce(), "tree": TreeAllReduce()},
    "all-gather": {"ring": RingAllGather()},
    "reduce-scatter": {"ring": RingReduceScatter()},
    "all-to-all": {"two-hops": TwoHopsAllToAll(), "pairwise": PairwiseAllToAll()},
}
"""By collective, the preferred one first."""

Chosen = Mapping[str, str]
"""Collective → the algorithm asked for."""


def hubs(deployment: Deployment, per_node: int) -> Iterator[Hub]:
    """The collectives that algorithms are known for, where so many GPUs in turn fill a node.

    Those of unequal parts are none: algorithms send equal ones.
    """
    for row in deployment.rows:
        ragged = max(len(row.reads), len(row.outputs)) > 1
        if (
            not ragged
            and isinstance(row.operator, Collective)
            and row.operator.collective in ALGORITHMS
            and row.places.shape[1] > 1
        ):
            yield Hub(row, deployment.gpus, per_node)


def algorithm_of(hub: Hub, chosen: Chosen) -> tuple[str, Algorithm]:
    """The name and the algorithm that carries out a collective. Refused where the one asked for does not suit it."""
    known, asked = ALGORITHMS[hub.op.collective], chosen.get(hub.op.collective)
    if asked is None:
        return next((name, each) for name, each in known.items() if not each.unfit(hub))
    if reason := known[asked].unfit(hub):
        others = ", ".join(name for name, each in known.items() if not each.unfit(hub))
        where = f"{hub.row.where} at {hub.row.path}"
        raise Refused(Diagnostic("paths", f"{asked} does not suit this {hub.op.collective}: {reason}", where,
                                 hint=f"{others} would"))  # fmt: skip
    return asked, known[asked]


def chosen_of(texts: Sequence[str]) -> dict[str, str]:
    """What `all-to-all=two-hops` and the like ask for. Refused where there is no such collective or algorithm."""
    chosen: dict[str, str] = {}
    for text in texts:
        collective, _, name = text.partition("=")
        if name not in ALGORITHMS.get(collective, ()):
            known = [f"{each}={by}" for each, algorithms in ALGORITHMS.items() for by in algorithms]
            problem, hint = f"no algorithm of a collective is called {text}", nearest(text, known)
            raise Refused(Diagnostic("paths", problem, "--algorithm", expected=", ".join(known), hint=hint))
        chosen[collective] = name
    return chosen


def nodes_of(deployment: Deployment, per_node: int, chosen: Chosen) -> int:
    """About how many nodes the graph has when it is drawn so."""
    count = deployment.nodes
    for hub in hubs(deployment, per_node):
        sends = algorithm_of(hub, chosen)[1].sends(hub)
        count += len(hub.places) * sum(2 * len(send.senders) * send.times for send in sends)
    return count


def paths(deployment: Deployment, per_node: int, chosen: Chosen) -> Deployment:
    """The deployment with its collectives drawn as transfers. Refused where an algorithm asked for suits one not."""
    maker = _Paths(deployment, per_node, chosen)
    for row in deployment.rows:
        maker.add(row)
    return replace(deployment, rows=tuple(maker.rows), links=tuple(maker.links))


@dataclass
class _Paths:
    deployment: Deployment
    per_node: int
    chosen: Chosen
    rows: list[Row] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    made: dict[tuple[int, int], Sources] = field(default_factory=dict)
    """Old row and output → what holds its value now."""

    def __post_init__(self) -> None:
        self.hubs = {hub.row.index: hub for hub in hubs(self.deployment, self.per_node)}
        self.entering: dict[int, list[Link]] = {row.index: [] for row in self.deployment.rows}
        self.kind: dict[int, EdgeKind] = {}
        for link in self.deployment.links:
            self.entering[link.target].append(link)
            if link.kind is not EdgeKind.ORDER:
                self.kind[link.source] = link.kind

    def add(self, row: Row) -> None:
        """A row as it was, or in its place the transfers that carry it out."""
        if row.index in self.hubs:
            self.made[row.index, 0] = self._drawn(self.hubs[row.index])
            return
        index = len(self.rows)
        for link in self.entering[row.index]:
            for source, output in self.made[link.source, link.output]:
                self.links.append(replace(link, source=source, target=index, output=output))
        self.rows.append(replace(row, index=index))
        self.made |= {(row.index, output): ((index, output),) for output in range(len(row.outputs))}

    def _drawn(self, hub: Hub) -> Sources:
        """Links inside are of the kind that the value's users read it by; those that come in stay what they are."""
        entering = self.entering[hub.row.index]
        value = tuple(source for link in entering for source in self.made[link.source, link.output])
        begin = len(self.links)
        pen = Pen(self.rows, self.links, hub.row, self.kind[hub.row.index])
        held = pen.read(value) if hub.row.weights else value
        made = algorithm_of(hub, self.chosen)[1].draw(hub, pen, held)
        for at, link in enumerate(self.links[begin:], begin):
            if (link.source, link.output) in value:
                self.links[at] = replace(link, kind=entering[0].kind)
        return made
