"""The judge: runs a small emitted graph in float64, node by node, round by round, and shares nothing with the verifier.

    run(deployment, {"input": ids}, random_weights(0))      the total output, or Stuck

Every GPU runs its own program: its nodes in the order of the rows (or of their `turns`), all rounds of repeated bodies
unfolded. A collective starts when all its members have come to it. A node computes from what its links bring to its
GPU, the weights that its ports name, and its operator; which indices it works on is what its ports say.
Rows of routed tokens carry their tokens' numbers, because a group may hold them in any order; every expert sees a row
of every token, so that counts of rows are computed and exchanged but decide nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from dagc.ir.deployment import Deployment, EdgeKind, Link, Port, Repeat, Row
from dagc.ir.op import Operator
from dagc.ir.ops.attention import AppendOp, KeepOp
from dagc.ir.ops.move import (
    AllGatherOp,
    AllReduceOp,
    AllToAllOp,
    GatherOp,
    MergeOp,
    ReduceScatterOp,
    RotateOp,
    ScatterOp,
    SliceOp,
    TransferOp,
    UnpaidOp,
)
from dagc.ir.ops.program import InputOp, OutputOp

from .arranging import arranged
from .chaining import appended, dealt_out
from .computing import computed, part, sliced
from .known import Known
from .pieces import HOST, ROUTED, Piece, Stuck, added, exchanged, positions, speaks
from .sending import joined

Weights = Callable[[tuple[str, int | None], tuple[int, ...]], np.ndarray]


@dataclass(frozen=True, eq=False)
class Event:
    """A node in one round of its body."""

    row: Row
    node: int
    round: int

    @property
    def members(self) -> list[int]:
        return self.row.places[self.node].tolist() or [HOST]


def run(deployment: Deployment, inputs: Mapping[str, np.ndarray], weights: Weights) -> np.ndarray:
    """The total output. Stuck where the graph cannot be run."""
    return outcome(deployment, inputs, weights)[0]


Kept = dict[tuple[str, int, int], np.ndarray]
"""What is left for another program after the last round, by path, first layer of the body, and GPU."""


def outcome(
    deployment: Deployment, inputs: Mapping[str, np.ndarray], weights: Weights, known: Known | None = None
) -> tuple[np.ndarray, Kept]:
    """The total output, and what is kept. Stuck where the graph cannot be run. `known`: of these inputs."""
    machine = Machine(deployment, inputs, weights, Known() if known is None else known)
    try:
        machine.run()
        (output,) = [row for row in deployment.rows if isinstance(row.operator, OutputOp)]
        kept = {
            (row.path, row.repeat.first, gpu): machine.values[row.index, 0, gpu][1].data
            for row in deployment.rows
            if isinstance(row.operator, KeepOp) and row.repeat
            for gpu in row.gpus.tolist()
        }
        return machine.values[output.index, 0, HOST][1].data, kept
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise Stuck(repr(error)) from error


@dataclass
class Machine:
    """All GPUs and the host, the values they hold by (row, output, GPU), and the round each was made in."""

    deployment: Deployment
    inputs: Mapping[str, np.ndarray]
    weights: Weights
    known: Known
    values: dict[tuple[int, int, int], tuple[int, Piece]] = field(default_factory=dict)
    left: dict[tuple[int, int, int], Piece] = field(default_factory=dict)
    """Caches, by (row, round, GPU): they stay with their layer for the run after."""
    into: dict[tuple[int, int], list[Link]] = field(default_factory=lambda: defaultdict(list))
    making: dict[tuple[int, int], frozenset[int]] = field(default_factory=dict)
    carried: dict[tuple[Repeat, tuple[int, int]], tuple[Row, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for link in self.deployment.links:
            if link.kind is not EdgeKind.ORDER:
                self.into[link.target, link.input].append(link)

    def run(self) -> None:
        """Every program to its end: a node runs when it is next for all its members and the host is ready for it."""
        programs = self._programs()
        at = dict.fromkeys(programs, 0)
        moved = True
        while moved:
            moved = False
            for gpu, program in programs.items():
                while (event := _next(program, at[gpu])) and self._may_start(event, programs, at):
                    self._run(event)
                    moved = True
                    for member in event.members:
                        at[member] += 1
        if any(at[gpu] < len(program) for gpu, program in programs.items()):
            raise Stuck("deadlock")

    def _may_start(self, event: Event, programs: Mapping[int, list[Event]], at: Mapping[int, int]) -> bool:
        """Have all members come to it, and is there what comes from the host or goes to it?"""
        if any(_next(programs[member], at[member]) is not event for member in event.members):
            return False
        links = [link for slot in range(len(event.row.inputs)) for link in self.into[event.row.index, slot]]
        sources = [self._source(event, link) for link in links]
        across = [source for source in sources if source[0].on_host != event.row.on_host]
        return all(self._is_made(*source) for source in across)

    def _is_made(self, source: Row, number: int, output: int) -> bool:
        if source.on_host:
            return self.values.get((source.index, 0, HOST), (-1, None))[0] == number
        gpus = self._gpus(source.index, output)
        return all(self.values.get((source.index, output, gpu), (-1, None))[0] == number for gpu in gpus)

    def _programs(self) -> dict[int, list[Event]]:
        """Per GPU what it runs, in its order."""
        programs: dict[int, list[tuple[tuple[int, int, int], Event]]] = defaultdict(list)
        for segment, (repeat, rows) in enumerate(groupby(self.deployment.rows, key=lambda row: row.repeat)):
            body = list(rows)
            for number in range(repeat.count if repeat else 1):
                for row in body:
                    for event in (Event(row, node, number) for node in range(len(row.places))):
                        for member, gpu in enumerate(event.members):
                            turn = row.index if row.turns is None else int(row.turns[event.node, member])
                            programs[gpu].append(((segment, number, turn), event))
        return {gpu: [event for _, event in sorted(p, key=lambda item: item[0])] for gpu, p in programs.items()}

    def _run(self, event: Event) -> None:
        for (output, gpu), piece in self._made(event).items():
            self.values[event.row.index, output, gpu] = event.round, piece
            if event.row.state:
                self.left[event.row.index, event.round, gpu] = piece

    def _made(self, event: Event) -> dict[tuple[int, int], Piece]:
        """Pieces by output and GPU."""
        row, op = event.row, event.row.operator
        if op is None and row.on_host and row.run is None:
            parts = [self._read(event, slot, HOST).data for slot in range(len(row.inputs))]
            return {(output, HOST): Piece(part) for output, part in enumerate(dealt_out(row, parts))}
        if op is None:
            (gpu,) = event.members
            read = [self._read(event, slot, gpu) for slot in range(len(row.inputs))]
            objects, said = (*row.inputs, *row.outputs, *read), ("arranged", len(read), gpu)
            pieces = self.known.of(objects, said, lambda: arranged(row, gpu, read))
            return {(output, gpu): piece for output, piece in enumerate(pieces)}
        return {(_speaking(row.outputs, gpu), gpu): piece for gpu, piece in self._first(event, op).items()}

    def _first(self, event: Event, op: Operator) -> dict[int, Piece]:
        """What an operator makes, by GPU."""
        row = event.row
        match op:
            case InputOp():
                made = {HOST: self.known.of((), ("input", row.path), lambda: Piece(self.inputs[row.path]))}
            case ScatterOp() | OutputOp():
                made = {HOST: self._read(event, 0, HOST)}
            case GatherOp():
                made = {HOST: self._gathered(event)}
            case TransferOp():
                made = self._sent(event)
            case AllReduceOp() | ReduceScatterOp() | AllGatherOp() | AllToAllOp() | RotateOp():
                group = [self._read(event, _speaking(row.reads, gpu), gpu) for gpu in event.members]
                names = row.reads[0].names
                pieces = self.known.of((op, *group), ("exchanged", names), lambda: exchanged(op, names, group))
                made = dict(zip(event.members, pieces, strict=True))
            case SliceOp() | UnpaidOp():
                (gpu,) = event.members
                before, out, piece = row.reads[0], row.outputs[0], self._read(event, 0, gpu)
                made = {gpu: self.known.of((before, out, piece), ("cut", gpu), lambda: sliced(before, out, piece, gpu))}
            case MergeOp():
                (gpu,) = event.members
                addends = [self._read(event, slot, gpu) for slot in range(len(row.inputs))]
                names = row.inputs[0].names
                axis = names.index(ROUTED) if ROUTED in names else None
                made = {gpu: self.known.of((op, *addends), ("merged", axis), lambda: added(addends, axis, op))}
            case AppendOp() if len(row.inputs) > 1:
                (gpu,) = event.members
                new, cache = (self._read(event, slot, gpu).data for slot in (0, 1))
                made = {gpu: Piece(appended(row, gpu, new, cache))}
            case _:
                (gpu,) = event.members
                made = {gpu: self._computed(event, op, gpu)}
        return made

    def _read(self, event: Event, slot: int, gpu: int) -> Piece:
        """What an input's links bring to a GPU, or to the host; or the GPU's part of a weight."""
        if slot >= len(event.row.inputs):
            return self._weight(event, event.row.reads[slot], gpu)
        found = []
        for link in self.into[event.row.index, slot]:
            source, number, output = self._source(event, link)
            if _passes_on(source, event.row):
                found.append(self.left[source.index, event.round, gpu])
            elif source.on_host and gpu != HOST:
                made, port = self._value(source, 0, HOST, number), source.outputs[output]
                found.append(self.known.of((made, port), ("scattered", gpu), lambda m=made, p=port: part(m, p, gpu)))
            elif source.on_host or gpu in self._gpus(source.index, output):
                found.append(self._value(source, output, gpu, number))
        if len(found) != 1:
            raise Stuck(f"{event.row.op}: {len(found)} links feed input {slot} on GPU {gpu}")
        return found[0]

    def _source(self, event: Event, link: Link) -> tuple[Row, int, int]:
        """The row a link reads in this round, the round of that row, and its output: what enters a body is later what
        left it.
        """
        source, repeat = self.deployment.rows[link.source], event.row.repeat
        if (repeat is not None and source.repeat == repeat) or _passes_on(source, event.row):
            return source, event.round, link.output
        if repeat is not None and event.round:
            entered = repeat, (link.source, link.output)
            if entered not in self.carried:
                self.carried[entered] = self._yielded(*entered)
            row, output = self.carried[entered]
            return row, event.round - 1, output
        return source, source.repeat.count - 1 if source.repeat else 0, link.output

    def _yielded(self, repeat: Repeat, entered: tuple[int, int]) -> tuple[Row, int]:
        """What leaves on the GPUs on which this came in; of unequal parts those of a size."""
        rows, links = self.deployment.rows, [k for k in self.deployment.links if _crosses(self.deployment.rows, k)]
        entering = {(k.source, k.output) for k in links if rows[k.target].repeat == repeat}
        leaving = {(k.source, k.output) for k in links if rows[k.source].repeat == repeat}
        alike = [key for key in leaving if self._gpus(*key) == self._gpus(*entered)]
        if len(entering) == len(leaving) == 1:
            alike = list(leaving)
        if len(entering) != len(leaving) or len(alike) != 1:
            raise Stuck("a repeated body carries one value")
        return rows[alike[0][0]], alike[0][1]

    def _gpus(self, row: int, output: int) -> frozenset[int]:
        """Those on which a row makes this output."""
        if (row, output) not in self.making:
            made = self.deployment.rows[row]
            found = frozenset(gpu for gpu in made.making.ravel().tolist() if speaks(made.outputs[output], gpu))
            self.making[row, output] = found
        return self.making[row, output]

    def _value(self, source: Row, output: int, gpu: int, number: int) -> Piece:
        made, piece = self.values.get((source.index, output, gpu), (-1, None))
        if piece is None or made != number:
            raise Stuck(f"what {source.op} makes on GPU {gpu} is read before it is made")
        return piece

    def _gathered(self, event: Event) -> Piece:
        """The total output on the host. Copies must agree, and nothing may be missing."""
        whole = np.full([int(size) for size in event.row.inputs[0].whole], np.nan)
        for slot, port in enumerate(event.row.inputs):
            (link,) = self.into[event.row.index, slot]
            source, number, output = self._source(event, link)
            for gpu in self._gpus(source.index, output):
                at = np.ix_(*positions(port, gpu))
                piece = self._value(source, output, gpu, number).data
                if not np.allclose(np.where(np.isnan(whole[at]), piece, whole[at]), piece, rtol=1e-9, atol=1e-9):
                    raise Stuck("copies of the output differ")
                whole[at] = piece
        return Piece(whole)

    def _sent(self, event: Event) -> dict[int, Piece]:
        """What every receiver of a node is sent; of two nodes it is one."""
        row, senders = event.row, event.row.senders
        if row.pairs is None:
            giver, taker = event.members
            return {taker: self._read(event, 0, giver)}
        givers = {taker: row.pairs[row.pairs[:, 1] == taker, 0].tolist() for taker in event.members[senders:]}
        return {taker: self._received(event, taker, mine) for taker, mine in givers.items()}

    def _received(self, event: Event, taker: int, givers: list[int]) -> Piece:
        given, wanted = event.row.inputs[0], event.row.outputs[0]
        pieces = [self._read(event, 0, giver) for giver in givers]

        def put_together() -> Piece:
            parts = [(positions(given, giver), piece) for giver, piece in zip(givers, pieces, strict=True)]
            return joined(parts, positions(wanted, taker), wanted.names)

        return self.known.of((given, wanted, *pieces), ("received", taker, *givers), put_together)

    def _computed(self, event: Event, op: Operator, gpu: int) -> Piece:
        """The operator on this GPU's operands."""
        row = event.row
        read = [self._read(event, slot, gpu) for slot in range(len(row.operands))]
        beyond = {name: self._extent(name, row) for name in op.beyond()}
        said = ("computed", row.operands, gpu, *beyond.items())
        return self.known.of((op, *row.reads, *row.outputs, *read), said, lambda: computed(row, op, read, gpu, beyond))

    def _extent(self, name: str, of: Row) -> int:
        """The size of a dimension that a node's own ports do not have, as any other node of its run states it."""
        rows = (row for row in self.deployment.rows if row.run == of.run)
        ports = (port for row in rows for port in row.outputs if name in port.names)
        port = next(ports)
        return int(port.whole[port.names.index(name)])

    def _weight(self, event: Event, port: Port, gpu: int) -> Piece:
        """The slice of a parameter or cache of this layer that the port names."""
        offset = next((int(segment) for segment in port.tensor.split(".") if segment.isdigit()), 0)
        repeat, of_layers = event.row.repeat, port.parameter.startswith("layers.")
        layer = repeat.first + event.round * repeat.period + offset if repeat and of_layers else None
        return self.known.of((port,), ("weight", layer, gpu), lambda: self._cut(port, layer, gpu))

    def _cut(self, port: Port, layer: int | None, gpu: int) -> Piece:
        shape, copies = [int(size) for size in port.whole], list(port.slots)
        if copies:
            shape[0] = max(copies) + 1
        whole = self.weights((port.parameter, layer), tuple(shape))
        return Piece((whole[copies] if copies else whole)[np.ix_(*positions(port, gpu))])


def _speaking(ports: tuple[Port, ...], gpu: int) -> int:
    """The one of a row's inputs, or outputs, that speaks of a GPU."""
    found = [at for at, port in enumerate(ports) if speaks(port, gpu)]
    if len(ports) > 1 and len(found) != 1 and gpu != HOST:
        raise Stuck(f"{len(found)} ports speak of a GPU")
    return found[0] if found else 0


def _next(program: list[Event], at: int) -> Event | None:
    return program[at] if at < len(program) else None


def _crosses(rows: tuple[Row, ...], link: Link) -> bool:
    ends = rows[link.source], rows[link.target]
    return link.kind is not EdgeKind.ORDER and ends[0].repeat != ends[1].repeat and not _passes_on(*ends)


def _passes_on(source: Row, target: Row) -> bool:
    """Is what is read the cache of another run of the program?"""
    return None not in (source.run, target.run) and source.run != target.run
