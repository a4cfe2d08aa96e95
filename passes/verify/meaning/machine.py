"""Runs the rows of a part, every node on every GPU, at small size: what was emitted and nothing else.

A node computes with what its links bring to its own GPU, its operator, and the shares its own ports state (the
positions a rotary embedding turns by are those the node says it holds). Only the parameters and what comes into the
block are given, cut as the ports that hold them say.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ....ir.debts import KINDS
from ....ir.deployment import Deployment, EdgeKind, Link, Port, Row, Share
from ....ir.op import Indices, Operator, tensor_of
from ....ir.ops import UNORDERED
from ....ir.ops.move import Collective, GatherOp, MergeOp, Mover, ScatterOp, SliceOp, TransferOp, UnpaidOp
from ....ir.ops.program import InputOp
from ....ir.orders import unequal
from ..program import Identity
from .addends import Addends
from .blocks import FED, receivers
from .exchange import exchange, rows_after
from .extents import Extents
from .pieces import Held, Impossible, Value, aligned, ascending, assembled, follow, indices, meshed, pick, together
from .ragged import exchanged, is_ragged
from .reference import Reference
from .sending import received


@dataclass
class Machine:
    """One part of a block, its reference, and the values of its rows that are still to be read."""

    deployment: Deployment
    means: tuple[Identity | None, ...]
    reference: Reference
    extents: Extents
    values: dict[tuple[int, int], Value] = field(default_factory=dict)
    addends: Addends = field(default_factory=Addends)

    def __post_init__(self) -> None:
        self.all = np.arange(max(self.deployment.gpus, 1))
        self.into: dict[tuple[int, int], list[Link]] = defaultdict(list)
        self.read_until: dict[tuple[int, int], int] = defaultdict(int)
        for link in self.deployment.links:
            if link.kind is not EdgeKind.ORDER:
                self.into[link.target, link.input].append(link)
                key = link.source, link.output
                self.read_until[key] = max(self.read_until[key], link.target)

    def run(self, row: Row) -> list[Value]:
        """The outputs of a row on all its GPUs. Impossible if its inputs do not allow it."""
        try:
            made = self._outputs(row)
        except (ValueError, IndexError, KeyError, StopIteration, TypeError) as error:
            raise Impossible(f"cannot be computed: {error}" if str(error) else "cannot be computed") from error
        self.values |= {(row.index, output): value for output, value in enumerate(made)}
        self.values = {key: value for key, value in self.values.items() if self.read_until[key] > row.index}
        return made

    def _outputs(self, row: Row) -> list[Value]:
        op = row.operator
        if row.op == FED or isinstance(op, InputOp):
            return [self._given(row)]
        if op is None:
            return self._arranged(row)
        if isinstance(op, Mover):
            return self._moved(row, op)
        return [self._computed(row, op)]

    def _given(self, row: Row) -> Value:
        """A value of the model, laid out as the port says."""
        port, which = row.outputs[0], self.means[row.index]
        if which is None:
            raise Impossible("comes from nowhere")
        if port.addend is not None:
            raise Impossible("a sum still owed crosses into another block")
        shape = tuple(self.extents.of[key] for key in zip(port.names, port.whole, strict=True))
        inside = which in self.reference.steps
        whole = self.reference.value(which) if inside else self.reference.outside(which, shape)
        gpus = self.all[:1] if row.on_host else row.places.reshape(-1)
        return Value(pick(whole, self.held(port, gpus)), gpus, self._natural(port, gpus))

    def _moved(self, row: Row, op: Mover) -> list[Value]:
        match op:
            case ScatterOp():
                whole, gpus = self.operand(row, 0, self.all[:1]), receivers(self.deployment, row)
                held = [(port, gpus[port.holds(gpus)]) for port in row.outputs]
                return [Value(pick(whole.data, self.held(port, own)), own) for port, own in held]
            case GatherOp():
                return [self._gathered(row)]
            case TransferOp():
                return [self._sent(row)]
            case SliceOp() | UnpaidOp():
                return self._arranged(row)
            case MergeOp():
                return [self._merged(row, op)]
            case Collective():
                if is_ragged(row, op):
                    return exchanged(row, op, self.operand, self.extents.units.small)
                return [self._exchanged(row, op)]
        raise Impossible(f"{op.name} has no meaning here")

    def _sent(self, row: Row) -> Value:
        """What every receiver puts together of what those send who send to it."""
        port, out = row.inputs[0], row.outputs[0]
        if row.pairs is None:
            sent = self.operand(row, 0, row.places[:, 0])
            return Value(sent.data, row.places[:, 1], sent.rows)
        sent = self.operand(row, 0, row.reading.reshape(-1))
        held, wanted = partial(self.held, port), partial(self.held, out)
        return received(row.pairs, out.names, sent, held, wanted)

    def _exchanged(self, row: Row, op: Collective) -> Value:
        groups, members = row.places.shape
        gpus, names = row.places.reshape(-1), row.reads[0].names
        have = self.operand(row, 0, gpus)
        joined = getattr(op, "dim", None)
        for name, rows in have.rows.items():
            if joined is None or name != joined.data:
                first = np.repeat(rows.reshape(groups, members, -1)[:, :1], members, axis=1).reshape(rows.shape)
                have = aligned(have, names, {name: first})
        made = exchange(op, names, have.data.reshape(groups, members, *have.data.shape[1:]))
        rows = {n: rows_after(op, n, ids.reshape(groups, members, -1)) for n, ids in have.rows.items()}
        flat = {name: ids.reshape(groups * members, -1) for name, ids in rows.items()}
        return Value(made.reshape(groups * members, *made.shape[2:]), gpus, flat)

    def _merged(self, row: Row, op: MergeOp) -> Value:
        """Addends of the same points, merged."""
        gpus, names = row.places.reshape(-1), row.inputs[0].names
        first, *others = (self.operand(row, slot, gpus) for slot in range(len(row.inputs)))
        others = [aligned(value, names, first.rows) for value in others]
        for port, value in zip(row.inputs[1:], others, strict=True):
            own = zip(self.lies(row.inputs[0], first), self.lies(port, value), strict=True)
            if not all(np.array_equal(one, other) for one, other in own):
                raise Impossible("merges addends of different parts")
        addends = np.stack([value.data for value in (first, *others)])
        return Value(KINDS[op.kind].merge(addends, 0), gpus, first.rows)

    def _arranged(self, row: Row) -> list[Value]:
        """Parts of what the GPU holds, or several parts put together: where ports say, on each GPU by itself."""
        gpus = row.places.reshape(-1)
        inputs = [self.operand(row, slot, gpus) for slot in range(len(row.reads))]
        held = [self.lies(port, value) for port, value in zip(row.reads, inputs, strict=True)]
        made = []
        for port in row.outputs:
            wanted = self._rows(row, gpus, inputs, held, port)
            data = assembled([(v.data, h) for v, h in zip(inputs, held, strict=True)], wanted)
            rows = {name: wanted[i] for i, name in enumerate(port.names) if name in UNORDERED}
            made.append(Value(data, gpus, rows))
        return made

    def _rows(self, row: Row, gpus: np.ndarray, inputs: list[Value], held: list[Held], port: Port) -> Held:
        """The indices an output holds; along names without a fixed order, of the rows that lie there those that stand
        where ordered ones would: parts lie in the order of their indices, in what is read and in what is made.
        """
        wanted = self.held(port, gpus)
        for name in inputs[0].rows.keys() & set(port.names):
            axis = port.names.index(name)
            read = np.concatenate([self.held(each, gpus)[axis] for each in row.reads], axis=1)
            places, first = ascending(read)
            if not isinstance(row.operator, SliceOp):
                places = ascending(np.concatenate([self.held(each, gpus)[axis] for each in row.outputs], axis=1))[0]
            if places.shape != first.shape:
                raise Impossible(f"makes {places.shape[1]} of {first.shape[1]} rows of {name}")
            rows = np.take_along_axis(np.concatenate([own[axis] for own in held], axis=1), first, axis=1)
            rank = (places[:, None, :] < wanted[axis][:, :, None]).sum(axis=2)
            wanted[axis] = np.take_along_axis(rows, rank, axis=1)
        return wanted

    def _gathered(self, row: Row) -> Value:
        """The whole on the host, of the pieces of these GPUs; what GPUs of other parts hold is what it should be (that
        together they hold all of it, `presence` sees).
        """
        fed = [(port, link) for slot, port in enumerate(row.inputs) for link in self.into[row.index, slot]]
        which = self.means[row.index]
        if not fed or which is None:
            raise Impossible("gathers nothing")
        data = self.reference.of_row(which, row.outputs[0]).copy()
        for port, link in fed:
            piece = self.values[link.source, link.output]
            data[0][meshed(self.held(port, piece.gpus))] = piece.data
        return Value(data, self.all[:1])

    def _computed(self, row: Row, op: Operator) -> Value:
        gpus = self.all[:1] if row.on_host else row.places.reshape(-1)
        total: dict[str, int] = {}
        held: dict[str, np.ndarray] = {}
        operands: dict[int, Value] = {}
        for slot, index in enumerate(row.operands):
            port = row.reads[slot]
            names = op.operand_names(index)
            if tuple(names) != port.names:
                raise Impossible(f"operand {index} is {', '.join(port.names)}, its operator reads {', '.join(names)}")
            operands[index] = self.operand(row, slot, gpus)
            self._learn(port, list(names.values()), self.lies(port, operands[index]), held, total)
        out = row.outputs[0]
        if tensor_of(op.results[0]).names != out.names:
            raise Impossible(f"its operator makes {', '.join(tensor_of(op.results[0]).names)}")
        held = dict(zip(out.names, self.held(out, gpus), strict=True)) | held
        total = {key[0]: self.extents.of[key] for key in zip(out.names, out.whole, strict=True)} | total
        rows = self._ordered(op, operands, held, total)
        inputs = [operands[i].data for i in sorted(operands)]
        made = op.compute(inputs, Indices(held, total | self.extents.beyond(op)))
        return Value(made, gpus, {name: rows[name] for name in out.names if name in rows})

    def _learn(
        self, port: Port, names: list[str], held: Held, into: dict[str, np.ndarray], total: dict[str, int]
    ) -> None:
        """What a port tells of the joint space. Impossible where two tell of one name otherwise: on a GPU they must
        hold the same points, in the same order where it is fixed (where not, `aligned` sees to it).
        """
        for name, own, key in zip(names, held, zip(port.names, port.whole, strict=True), strict=True):
            if name not in UNORDERED and not np.array_equal(into.setdefault(name, own), own):
                raise Impossible(f"its operands are other parts of {name}")
            into.setdefault(name, own)
            total.setdefault(name, self.extents.of[key])

    def _ordered(
        self, op: Operator, operands: dict[int, Value], held: dict[str, np.ndarray], total: dict[str, int]
    ) -> dict[str, np.ndarray]:
        """Rows without a fixed order: by the tokens where the operator knows them, else as the first has them."""
        order: dict[str, np.ndarray] = {}
        for name, relation in op.derived().items():
            if name in UNORDERED and all(source in held for source in relation.sources):
                order[name] = follow(relation.sources, held, total, total[name])
        for index in sorted(operands):
            names = tuple(op.operand_names(index).values())
            for name, rows in operands[index].rows.items():
                order.setdefault(name, rows)
            wanted = {name: order[name] for name in operands[index].rows}
            operands[index] = aligned(operands[index], names, wanted)
        held.update(order)
        return order

    def operand(self, row: Row, slot: int, gpus: np.ndarray) -> Value:
        """What the links of an input bring to these GPUs, or their parts of a weight."""
        if slot >= len(row.inputs):
            return self._weight(row, row.reads[slot], gpus)
        links = [link for link in self.into[row.index, slot] if (link.source, link.output) in self.values]
        if not links:
            raise Impossible(f"nothing feeds input {slot}")
        found = [self.values[link.source, link.output] for link in links]
        return (found[0] if len(found) == 1 else together(found)).on(gpus)

    def _weight(self, row: Row, port: Port, gpus: np.ndarray) -> Value:
        which = self.means[row.index]
        assert which is not None
        layer = which[0] if (which[0], port.parameter) in self.reference.steps else None
        shape = tuple(self.extents.of[key] for key in zip(port.names, port.whole, strict=True))
        whole = self.reference.weight(port.parameter, layer, shape, port.slots)
        return Value(pick(whole[None], self.held(port, gpus)), gpus)

    def held(self, port: Port, gpus: np.ndarray) -> Held:
        """Per dimension the indices that each of these GPUs holds, as the port says."""
        keys = zip(port.names, port.whole, strict=True)
        return [self._indices(share, self.extents.of[key], gpus) for key, share in zip(keys, port.shares, strict=True)]

    def _indices(self, share: Share | None, extent: int, gpus: np.ndarray) -> np.ndarray:
        if share is not None and unequal(share.order):
            share = replace(share, order=self.extents.units.small(share.order))
        return indices(share, extent, gpus)

    def lies(self, port: Port, value: Value) -> Held:
        """The same of a value as it lies there: rows without a fixed order in their own."""
        held = self.held(port, value.gpus)
        return [value.rows.get(name, own) for name, own in zip(port.names, held, strict=True)]

    def _natural(self, port: Port, gpus: np.ndarray) -> dict[str, np.ndarray]:
        held = self.held(port, gpus)
        return {name: own for name, own in zip(port.names, held, strict=True) if name in UNORDERED}
