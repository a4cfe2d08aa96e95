"""unroll: draws every micro-batch of a program by itself (`--unroll-micro-batches`), with what it waits for.

    before   input → scatter → stage 0 → send/recv → stage 1 → gather → output                       × 2 micro-batches
    after    input → split → scatter → stage 0 → send/recv → stage 1 → gather → concat → output      (micro-batch 0)
                           → scatter → stage 0 → send/recv → stage 1 → gather ↗                      (micro-batch 1)
             and dotted: the end of micro-batch 0 on a pool of GPUs → the start of micro-batch 1 there

Works on the deployment graph. An edge of order carries nothing: a pool's GPUs run one micro-batch after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from ..ir.deployment import Deployment, EdgeKind, Kind, Link, Port, Row, Size

BATCH = "batch_size"
ENDS = (Kind.INPUT, Kind.OUTPUT)


def unroll(deployment: Deployment) -> Deployment:
    """The same deployment with its micro-batches apart; unchanged where there is one."""
    if deployment.micro_batches == 1:
        return deployment
    maker = _Unroller(deployment)
    maker.run()
    said = f"{deployment.micro_batches} micro-batches drawn apart; dotted edges carry nothing, they are order"
    return replace(
        deployment, rows=tuple(maker.rows), links=tuple(maker.links), facts=(*deployment.facts, said), micro_batches=1
    )


@dataclass
class _Unroller:
    """Rows and links of the graph made, and of each micro-batch where the rows of the old one are."""

    old: Deployment
    rows: list[Row] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    made: list[dict[int, int]] = field(default_factory=list)

    def run(self) -> None:
        """Input and split, the micro-batches in turn, concatenation and output."""
        runs = range(self.old.micro_batches)
        first, last = (next(row for row in self.old.rows if row.kind is kind) for kind in ENDS)
        start = self._put(_whole(first, len(runs)))
        parts = self._route(first, "split", "Split into micro-batches", splits=True)
        self._link(start, parts, 0, 0, self.rows[start].outputs[0].tensor)
        for run in runs:
            self._copy(run, first, last, parts)
        joined = self._route(last, "concat", "Concatenate micro-batches", splits=False)
        for link in (link for link in self.old.links if link.target == last.index):
            if link.kind is EdgeKind.DATA:
                for run in runs:
                    source = self.rows[self.made[run][link.source]]
                    self._link(source.index, joined, link.output, run, source.outputs[link.output].tensor)
        end = self._put(_whole(last, len(runs)))
        self._link(joined, end, 0, 0, self.rows[end].inputs[0].tensor)
        for link in self.old.links:
            if link.target == last.index and link.kind is EdgeKind.ORDER:
                self.links += [replace(link, source=made[link.source], target=end) for made in self.made]

    def _copy(self, run: int, first: Row, last: Row, parts: int) -> None:
        """One micro-batch, which starts from its part, and on each pool after the one before it."""
        self.made.append({})
        for row in self.old.rows:
            if row.kind not in ENDS:
                repeat = row.repeat and replace(row.repeat, run=run)
                self.made[run][row.index] = self._put(replace(row, run=run, repeat=repeat))
        for link in self.old.links:
            if link.source == first.index:
                target = self.made[run][link.target]
                self._link(parts, target, run, link.input, self.rows[parts].outputs[run].tensor)
            elif link.target != last.index:
                source, target = (self.made[run][end] for end in (link.source, link.target))
                self.links.append(replace(link, source=source, target=target))
        if run:
            for begin, end in self._turns():
                waited, waiting = self.made[run - 1][end], self.made[run][begin]
                self.links.append(Link(waited, waiting, 0, 0, EdgeKind.ORDER, ""))

    def _turns(self) -> Iterator[tuple[int, int]]:
        """Of every pool the first and the last row that its GPUs compute."""
        for pool in self.old.pools:
            own = [row.index for row in self.old.rows if row.move is None and np.isin(pool.gpus, row.places).any()]
            if own:
                yield own[0], own[-1]

    def _route(self, like: Row, op: str, title: str, splits: bool) -> int:
        """A node on the host that splits the whole batch into micro-batches, or joins them."""
        ports = like.outputs if splits else like.inputs
        parts = tuple(replace(ports[0], tensor=f"{ports[0].tensor}[{i}]") for i in range(self.old.micro_batches))
        whole = (_scaled(ports[0], self.old.micro_batches),)
        inputs, outputs = (whole, parts) if splits else (parts, whole)
        return self._put(
            replace(like, op=op, title=title, kind=Kind.ROUTE, inputs=inputs, outputs=outputs, operator=None)
        )

    def _put(self, row: Row) -> int:
        self.rows.append(replace(row, index=len(self.rows)))
        return len(self.rows) - 1

    def _link(self, source: int, target: int, output: int, slot: int, tensor: str) -> None:
        self.links.append(Link(source, target, output, slot, EdgeKind.DATA, tensor))


def _whole(row: Row, runs: int) -> Row:
    """The total input or output, of the whole batch."""
    inputs, outputs = (tuple(_scaled(port, runs) for port in ports) for ports in (row.inputs, row.outputs))
    return replace(row, inputs=inputs, outputs=outputs)


def _scaled(port: Port, runs: int) -> Port:
    local, whole = (
        tuple(_times(size, runs) if name == BATCH else size for name, size in zip(port.names, sizes, strict=True))
        for sizes in (port.local, port.whole)
    )
    return replace(port, local=local, whole=whole)


def _times(size: Size, runs: int) -> Size:
    return size * runs if isinstance(size, int) else f"{runs}*({size})"
