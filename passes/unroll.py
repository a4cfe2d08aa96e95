"""unroll: draws every micro-batch of a program by itself (`--unroll-micro-batches`), with what it waits for.

    before   input → scatter → stage 0 → send/recv → stage 1 → gather → output                       × 2 micro-batches
    after    input → split → scatter → stage 0 → send/recv → stage 1 → gather → concat → output      (micro-batch 0)
                           → scatter → stage 0 → send/recv → stage 1 → gather ↗                      (micro-batch 1)
             and dotted: the end of micro-batch 0 on a pool of GPUs → the start of micro-batch 1 there

So with chunks of a prompt's tokens. Of these each also reads what the one before it left:

    before   append [batch_size=8, seq_len=256], State: [batch_size=8, kv_len=1024]                  × 4 chunks
    after    append [batch_size=8, seq_len=256], State: [batch_size=8, kv_len=256], all of it new    (chunk 0)
           → append [batch_size=8, seq_len=256], [batch_size=8, kv_len=256], State: [… kv_len=512]   (chunk 1) → …

Works on the deployment graph. An edge of order carries nothing: a pool's GPUs run one micro-batch after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..ir.deployment import Deployment, EdgeKind, Kind, Link, Port, Row, Run, Size

ENDS = (Kind.INPUT, Kind.OUTPUT)


def unroll(programs: Sequence[Deployment]) -> Deployment:
    """The same deployment with its runs apart; unchanged where there is one. `programs`: the graph of each chunk of a
    prompt's tokens, the last of which stands for all; or the only one.
    """
    program = programs[-1]
    if len(program.runs) == 1:
        return program
    maker = _Unroller(programs, program)
    maker.run()
    said = f"{_called(program, ' × ')} drawn apart; dotted edges carry nothing, they are order"
    return replace(
        program,
        rows=tuple(maker.rows),
        links=tuple(maker.links),
        facts=(*program.facts, said),
        micro_batches=1,
        token_chunks=1,
    )


def _called(program: Deployment, between: str, counted: bool = True) -> str:
    """What is drawn apart: `2 micro-batches × 4 chunks of tokens`."""
    counts = {"micro-batches": program.micro_batches, "chunks of tokens": program.token_chunks}
    return between.join(f"{count} {name}" if counted else name for name, count in counts.items() if count > 1)


@dataclass
class _Unroller:
    """Rows and links of the graph made, and of each run where the rows of the old one are."""

    programs: Sequence[Deployment]
    old: Deployment
    rows: list[Row] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    made: dict[Run, dict[int, int]] = field(default_factory=dict)

    def run(self) -> None:
        """Input and split, the runs in turn, concatenation and output."""
        first, last = (next(row for row in self.old.rows if row.kind is kind) for kind in ENDS)
        start = self._put(self._whole(first))
        parts = self._route(first, "split", f"Split into {_called(self.old, ' and ', False)}", splits=True)
        self._link(start, parts, 0, 0, self.rows[start].outputs[0].tensor)
        before = None
        for number, run in enumerate(self.old.runs):
            self._copy(run, self.programs[run.chunk or 0])
            self._join(run, parts, number, first, last)
            if before is not None:
                self._wait(before, run)
            before = run
        joined = self._route(last, "concat", f"Concatenate {_called(self.old, ' and ', False)}", splits=False)
        for link in (link for link in self.old.links if link.target == last.index):
            if link.kind is EdgeKind.DATA:
                for number, made in enumerate(self.made.values()):
                    source = self.rows[made[link.source]]
                    self._link(source.index, joined, link.output, number, source.outputs[link.output].tensor)
        end = self._put(self._whole(last))
        self._link(joined, end, 0, 0, self.rows[end].inputs[0].tensor)
        for link in self.old.links:
            if link.target == last.index and link.kind is EdgeKind.ORDER:
                self.links += [replace(link, source=made[link.source], target=end) for made in self.made.values()]

    def _copy(self, run: Run, program: Deployment) -> None:
        """The rows of one run; those that append to caches find there what the chunk before it left."""
        self.made[run] = {}
        for row in program.rows:
            if row.kind not in ENDS:
                found = self._chained(row, run, run.chunk) if run.chunk else row
                repeat = row.repeat and replace(row.repeat, run=run)
                self.made[run][row.index] = self._put(replace(found, run=run, repeat=repeat))

    def _chained(self, row: Row, run: Run, chunk: int) -> Row:
        """A row that writes into a cache, with the cache as the chunk before left it. Only such rows have one."""
        if not any(port.cached for port in row.weights):
            return row
        before = self.rows[self.made[replace(run, chunk=chunk - 1)][row.index]]
        self._link(before.index, len(self.rows), 0, len(row.inputs), before.outputs[0].tensor)
        return replace(row, inputs=(*row.inputs, before.outputs[0]), weights=())

    def _join(self, run: Run, parts: int, number: int, first: Row, last: Row) -> None:
        """The links of one run, which starts from its part."""
        made = self.made[run]
        for link in self.old.links:
            if link.source == first.index:
                self._link(parts, made[link.target], number, link.input, self.rows[parts].outputs[number].tensor)
            elif link.target != last.index:
                self.links.append(replace(link, source=made[link.source], target=made[link.target]))

    def _wait(self, before: Run, run: Run) -> None:
        """On each pool a run waits for the one before it."""
        for begin, end in self._turns():
            self.links.append(Link(self.made[before][end], self.made[run][begin], 0, 0, EdgeKind.ORDER, ""))

    def _turns(self) -> Iterator[tuple[int, int]]:
        """Of every pool the first and the last row that its GPUs compute."""
        for pool in self.old.pools:
            own = [row.index for row in self.old.rows if row.move is None and np.isin(pool.gpus, row.places).any()]
            if own:
                yield own[0], own[-1]

    def _route(self, like: Row, op: str, title: str, splits: bool) -> int:
        """A node on the host that splits the whole batch into the parts of all runs, or joins them."""
        port = (like.outputs if splits else like.inputs)[0]
        parts = tuple(replace(port, tensor=f"{port.tensor}[{i}]") for i in range(len(self.old.runs)))
        whole = (self._scaled(port),)
        inputs, outputs = (whole, parts) if splits else (parts, whole)
        return self._put(
            replace(like, op=op, title=title, kind=Kind.ROUTE, inputs=inputs, outputs=outputs, operator=None)
        )

    def _put(self, row: Row) -> int:
        self.rows.append(replace(row, index=len(self.rows)))
        return len(self.rows) - 1

    def _link(self, source: int, target: int, output: int, slot: int, tensor: str) -> None:
        self.links.append(Link(source, target, output, slot, EdgeKind.DATA, tensor))

    def _whole(self, row: Row) -> Row:
        """The total input or output, of the whole batch."""
        inputs, outputs = (tuple(map(self._scaled, ports)) for ports in (row.inputs, row.outputs))
        return replace(row, inputs=inputs, outputs=outputs)

    def _scaled(self, port: Port) -> Port:
        times = {"batch_size": self.old.micro_batches, "seq_len": self.old.token_chunks}
        local, whole = (
            tuple(_times(size, times.get(name, 1)) for name, size in zip(port.names, sizes, strict=True))
            for sizes in (port.local, port.whole)
        )
        return replace(port, local=local, whole=whole)


def _times(size: Size, runs: int) -> Size:
    return size * runs if isinstance(size, int) else f"{runs}*({size})" if runs > 1 else size
