"""The emitted graph is the whole model, once. Guarantees, against the undivided model:

* every operator of every layer is computed, whole or in its split form, none is extra; repeats cover each layer once
* every operator is the model's (same kind and properties) and uses the weights the model's uses; tied ones are one
* the GPUs hold every part of each of its weights (as stored) and of its result (over all steps, where it passes by in
  time), each part equally often, no GPU one twice
* what is gathered into the total output is all of it
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir import orders
from ...ir.deployment import Deployment, EdgeKind, Link, Port, Row, Share
from ...ir.module import plain_path
from ...ir.ops.move import GatherOp
from ...ir.ops.program import Resident
from .arrays import distinct
from .forms import computed
from .identity import described, identities, is_moved, own, resident
from .program import Identity, Step, steps
from .rows import about


def check(deployment: Deployment, model: ModuleOp) -> list[Diagnostic]:
    """What the graph lacks, adds, or holds too often."""
    rows = _by_identity(deployment)
    have = Counter(layer for group in rows.values() for layer in _rounds(group[0]))
    ops = {which: group[0].operator for group in rows.values() for which in _rounds(group[0])}
    wanted = {step.identity: step for step in computed(steps(model), ops)}
    used = _Used.of(deployment)
    return [
        *_missing(deployment, wanted, have),
        *(found for group in rows.values() for found in _alike(group, used, wanted)),
        *_held([*rows.values(), *_stored(deployment)]),
        *_gathered(deployment),
        *_silent(deployment),
    ]


def _by_identity(deployment: Deployment) -> dict[Identity, list[Row]]:
    """Rows that compute the same operator, each on some of its GPUs or for some of its experts."""
    rows: dict[Identity, list[Row]] = defaultdict(list)
    for row in deployment.rows:
        if not is_moved(row):
            rows[own(row)].append(row)
    return rows


def _rounds(row: Row) -> Iterator[Identity]:
    """What a row stands for in all rounds of its repeat."""
    layer, path = own(row)
    if layer is None or row.repeat is None:
        return iter([(layer, path)])
    period, count = row.repeat.period, row.repeat.count
    return ((layer + number * period, path) for number in range(count))


def _missing(deployment: Deployment, wanted: dict[Identity, Step], have: Counter[Identity]) -> Iterator[Diagnostic]:
    operators = {key for key, step in wanted.items() if not isinstance(step.op, Resident)}
    lists = {
        "are not computed": operators - have.keys(),
        "are not of the model": have.keys() - operators,
        "are computed more than once": {key for key, count in have.items() if count > 1},
    }
    for problem, found in lists.items():
        if found:
            names = [
                f"{path} of layer {layer}" if layer is not None else path for layer, path in sorted(found, key=str)
            ]
            more = f" and {len(names) - 4} more" if len(names) > 4 else ""
            yield Diagnostic("coverage", f"operators {problem}: {', '.join(names[:4])}{more}", deployment.model)


Weight = tuple[str, str, tuple[int, ...]]
"""Name, parameter (another's where it is tied), and of which experts it has copies."""


@dataclass(frozen=True)
class _Used:
    """Which weights rows use: their own, and those that movers bring them."""

    into: dict[int, list[Link]]
    brought: dict[int, Port]

    @staticmethod
    def of(deployment: Deployment) -> _Used:
        brought, into = resident(deployment), defaultdict[int, list[Link]](list)
        for link in deployment.links:
            if link.source in brought and link.kind is not EdgeKind.ORDER:
                into[link.target].append(link)
        return _Used(into, brought)

    def by(self, row: Row) -> list[Weight]:
        """Each, in the order of the operator's operands."""
        ports = dict(enumerate(row.weights, len(row.inputs)))
        ports |= {link.input: self.brought[link.source] for link in self.into[row.index]}
        order = sorted(ports, key=lambda slot: row.operands[slot] if row.operands else slot)
        return [(plain_path(p.tensor.partition("[")[0]), p.parameter, p.slots) for p in map(ports.__getitem__, order)]


def _stored(deployment: Deployment) -> list[list[Row]]:
    """Rows that read a weight as it is stored, only to move it."""
    rows: dict[Identity | None, list[Row]] = defaultdict(list)
    for row, which in zip(deployment.rows, identities(deployment), strict=True):
        if is_moved(row) and row.weights:
            rows[which].append(row)
    return list(rows.values())


def _alike(rows: list[Row], used_by: _Used, wanted: dict[Identity, Step]) -> Iterator[Diagnostic]:
    """Are the operators those of the model, in the first round? (That rounds are alike, `meaning` shows.)"""
    step = wanted.get(own(rows[0]))
    if step is None:
        return
    weights = _weights(step, wanted)
    for row in rows:
        if row.operator is not None and described(row.operator) != described(step.op):
            yield about("coverage", row, f"is not the model's {step.op.name}, or has other properties")
        used = used_by.by(row)
        if used != weights:
            expected, actual = (", ".join(_text(*one) for one in each) or "none" for each in (weights, used))
            yield about("coverage", row, "uses other weights than the model", expected=expected, actual=actual)


def _text(path: str, parameter: str, slots: tuple[int, ...]) -> str:
    """
    >>> _text("head.weight", "embed.weight", ()), _text("up.weight", "up.weight", (0, 1, 0))
    ('head.weight, embed.weight', 'up.weight [0, 1, 0]')
    """
    return ", ".join(dict.fromkeys((path, parameter))) + (f" {list(slots)}" if slots else "")


def _weights(step: Step, wanted: dict[Identity, Step]) -> list[Weight]:
    """What the model's operator reads of what is resident, and which it is: another's where a weight is tied."""
    read = [wanted[identity].op for identity in step.reads if identity in wanted]
    found = [op for op in read if isinstance(op, Resident)]
    return [(plain_path(op.path.data), plain_path(op.identity), op.table) for op in found]


def _held(groups: Iterable[list[Row]]) -> Iterator[Diagnostic]:
    known: dict[tuple[object, ...], str] = {}
    for rows in groups:
        if rows[0].on_host:
            continue
        for ports in zip(*((*row.outputs, *row.weights) for row in rows), strict=False):
            key = tuple((id(row.places), *map(id, _cut(port))) for row, port in zip(rows, ports, strict=True))
            if key not in known:
                known[key] = _unequal(rows, ports)
            if known[key]:
                yield about("coverage", rows[0], f"the GPUs do not hold {ports[0].tensor} exactly: {known[key]}")


def _gathered(deployment: Deployment) -> Iterator[Diagnostic]:
    """Do the GPUs that send to the host hold every part of what it gathers?"""
    for row in deployment.rows:
        if isinstance(row.operator, GatherOp):
            read = [(deployment.rows[k.source], row.inputs[k.input]) for k in deployment.links if k.target == row.index]
            sources = [(source, port) for source, port in read if not source.on_host]
            ports = tuple(port for _, port in sources)
            if sources and (problem := _unequal([source for source, _ in sources], ports)):
                yield about("coverage", row, f"does not gather {row.inputs[0].tensor} exactly: {problem}")


def _silent(deployment: Deployment) -> Iterator[Diagnostic]:
    for row in deployment.rows:
        for port in (*row.inputs, *row.outputs, *row.weights):
            if len(port.shares) < len(port.names):
                yield about("coverage", row, f"does not say which part of {port.tensor} each GPU holds")


def _cut(port: Port) -> list[Share]:
    return [share for share in (*port.shares, port.addend) if share is not None]


def _unequal(rows: list[Row], ports: tuple[Port, ...]) -> str:
    """What is wrong with how GPUs hold the parts of a tensor, or nothing."""
    kinds = {tuple((share.parts, share.order, share.steps) for share in _cut(port)) for port in ports}
    if len(kinds) > 1:
        return "some hold parts of another size or order than others"
    (kind,) = kinds
    if wrong := next(filter(None, (_disorder(parts, order) for parts, order, _ in kind)), ""):
        return wrong
    boxes, owners = [], []
    for row, port in zip(rows, ports, strict=True):
        gpus = row.gpus[port.holds(row.gpus)]
        box = np.zeros(len(gpus), dtype=np.int64)
        for share in _cut(port):
            of = share.of[gpus]
            if (of < 0).any() or (of >= share.parts).any():
                return f"a part that is none of {share.parts}"
            box = box * (share.parts // share.steps) + of // share.steps
        boxes.append(box)
        owners.append(gpus)
    return _counted(np.concatenate(boxes), np.concatenate(owners), prod(parts // steps for parts, _, steps in kind))


def _disorder(parts: int, order: orders.Levels) -> str:
    """What is wrong with an order of parts, or nothing."""
    if order and prod(count for count, _ in order) != parts:
        return f"an order of {prod(count for count, _ in order)} parts, of {parts}"
    return next((f"order {each} {wrong}" for count, each in order if (wrong := orders.problem(each, count))), "")


def _counted(box: np.ndarray, gpus: np.ndarray, parts: int) -> str:
    found, copies = np.unique(box, return_counts=True)
    if len(found) != parts:
        return f"{len(found)} of {parts} parts are there"
    if copies.min() != copies.max():
        return f"some parts have {copies.min()} copies, others {copies.max()}"
    if distinct(gpus * parts + box) < len(box):
        return "a GPU has a part twice"
    return ""
