"""Nodes that compute something else, or from something else: on every GPU, or on one (F6, F24, F25, F29, F31)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from xdsl.dialects.builtin import FloatAttr, IntegerAttr, StringAttr, i1

from dagc.ir.deployment import Deployment, EdgeKind, Kind, Link, Port, Row
from dagc.ir.op import Operator, Role, tensor_of
from dagc.ir.ops.pointwise import AddOp

from .operators import like, made, reading
from .surgery import (
    Mutants,
    apart,
    changed,
    feeding,
    inserted,
    numbered,
    put,
    rerouted,
    restated,
    users,
    where,
    without,
)


def computing(deployment: Deployment) -> list[tuple[Row, Operator]]:
    """Rows that compute on GPUs, with their operators."""
    kinds = (Kind.COMPUTE, Kind.ROUTE)
    return [
        (row, row.operator)
        for row in deployment.rows
        if row.kind in kinds and row.operands and not row.on_host
        if row.operator
    ]


def properties(deployment: Deployment) -> Mutants:
    """Another constant: rotary base, scale, ε, window, mask, activation, k, normalisation."""
    for row, op in computing(deployment):
        for name, value in _other_constants(op):
            yield f"{where(row)}, {name} = {value}", changed(deployment, row, operator=like(op, **{name: value}))


def properties_on_one(deployment: Deployment) -> Mutants:
    """The same on one GPU only."""
    for row, op in computing(deployment):
        if len(row.places) > 1:
            gpu = int(row.places[-1, 0])
            for name, value in _other_constants(op):
                made = apart(deployment, row, gpu, operator=like(op, **{name: value}))
                yield f"{where(row)}, {name} = {value} on GPU {gpu}", made


def _other_constants(op: Operator) -> Iterator[tuple[str, object]]:
    for name, value in op.properties.items():
        match value:
            case FloatAttr():
                yield name, float(value.value.data) * 2
                yield name, float(value.value.data) / 2
            case IntegerAttr() if value.type == i1:
                yield name, not value.value.data
            case IntegerAttr() if name in ("window", "k", "best"):
                yield name, value.value.data - 1
            case StringAttr() if name == "function":
                yield name, "sigmoid" if value.data != "sigmoid" else "relu"
            case _:
                pass


def left_out(deployment: Deployment) -> Mutants:
    """An operator is not run; its users read its input: no norm, no rotation, no activation, no mask, no residual."""
    for row, _ in computing(deployment):
        if _states(row.inputs[0]) == _states(row.outputs[0]):
            yield where(row), without(deployment, row)


def run_twice(deployment: Deployment) -> Mutants:
    """An operator that keeps its value's shape is run again on its result."""
    for row, _ in computing(deployment):
        if len(row.inputs) == 1 and _states(row.inputs[0]) == _states(row.outputs[0]):
            yield where(row), inserted(deployment, row, replace(row, inputs=row.outputs))


def lost_residual(deployment: Deployment) -> Mutants:
    """An add without one of its terms: the other is passed on, or added to itself."""
    for row, op in computing(deployment):
        if isinstance(op, AddOp):
            for slot in (0, 1):
                feeds = [link for link in deployment.links if link.target == row.index]
                other = next(link for link in feeds if link.input != slot)
                one = next(link for link in feeds if link.input == slot)
                yield f"{where(row)} passes {other.input} on", without(deployment, row, other.input)
                yield f"{where(row)} adds {other.input} twice", rerouted(deployment, one, deployment.rows[other.source])


def wrong_source(deployment: Deployment) -> Mutants:
    """An input reads another value of the same dimensions that was made before."""
    for link in deployment.links:
        if link.kind is EdgeKind.ORDER:
            continue
        right, user = deployment.rows[link.source], deployment.rows[link.target]
        for other in deployment.rows[: link.target]:
            sibling = other.repeat == right.repeat and not other.on_host
            if sibling and other is not right and _states(other.outputs[0]) == _states(right.outputs[0]):
                yield f"{where(user)} reads {where(other)}", rerouted(deployment, link, other)


def swapped_operands(deployment: Deployment) -> Mutants:
    """Two inputs of the same dimensions change places."""
    for row, _ in computing(deployment):
        if len(row.inputs) == 2 and _states(row.inputs[0]) == _states(row.inputs[1]):
            links = tuple(
                replace(link, input=1 - link.input) if link.target == row.index else link for link in deployment.links
            )
            inputs = row.inputs[::-1]
            yield where(row), changed(replace(deployment, links=links), row, inputs=inputs)


def _states(port: Port) -> object:
    return port.names, port.local, port.whole, port.dtype, [None if s is None else s.of.tobytes() for s in port.shares]


def weights_transposed(deployment: Deployment) -> Mutants:
    """A weight whose dimensions of equal size are taken for one another, on all GPUs."""
    for row, changes, names in _transposes(deployment, "weights"):
        yield f"{where(row)}, {names}", changed(deployment, row, **changes)


def weights_transposed_on_one(deployment: Deployment) -> Mutants:
    """The same on one GPU only."""
    for row, changes, names in _transposes(deployment, "weights"):
        if len(row.places) > 1:
            gpu = int(row.places[0, 0])
            yield f"{where(row)}, {names} on GPU {gpu}", apart(deployment, row, gpu, **changes)


def values_transposed(deployment: Deployment) -> Mutants:
    """A value read with its dimensions of equal size taken for one another; its maker says so too, or not."""
    for row, changes, names in _transposes(deployment, "inputs"):
        yield f"{where(row)}, {names}", changed(deployment, row, **changes)
        yield f"{where(row)}, {names}, agreed", _agreed(deployment, row, changes["inputs"])


def _agreed(deployment: Deployment, row: Row, ports: object) -> Deployment:
    """The makers and all other readers of a row's inputs state them as the row does."""
    assert isinstance(ports, tuple)
    made = deployment
    for slot, port in enumerate(ports):
        link = feeding(deployment, row, slot)
        made = changed(made, made.rows[link.source], outputs=(port,))
        for use in users(deployment, deployment.rows[link.source]):
            made = restated(made, made.rows[use.target], use.input, port)
    return made


def _transposes(deployment: Deployment, key: str) -> Iterator[tuple[Row, dict[str, object], str]]:
    """Operands whose local and global sizes agree in two dimensions: read the other way round."""
    for row, op in computing(deployment):
        if op.RULE.role in (Role.POINTWISE, Role.STATE):
            continue
        for slot, index in enumerate(row.operands):
            ports, at = (row.inputs, slot) if slot < len(row.inputs) else (row.weights, slot - len(row.inputs))
            for a, b in _equal_sizes(ports[at]) if ports is getattr(row, key) else ():
                tensor = tensor_of(op.operands[index])
                turned = replace(tensor, dims=_exchanged(tensor.dims, a, b))
                port = replace(ports[at], names=_exchanged(ports[at].names, a, b))
                changes = {"operator": reading(op, index, turned), key: put(ports, at, port)}
                yield row, changes, f"{port.names[a]} and {port.names[b]} of operand {index}"


def _equal_sizes(port: Port) -> Iterator[tuple[int, int]]:
    pairs = list(zip(port.local, port.whole, port.shares, strict=True))
    for a in range(len(pairs)):
        for b in range(a + 1, len(pairs)):
            if pairs[a][:2] == pairs[b][:2] and pairs[a][2] is pairs[b][2]:
                yield a, b


def _exchanged(items: tuple, a: int, b: int) -> tuple:
    made = list(items)
    made[a], made[b] = made[b], made[a]
    return tuple(made)


def exchanged_rows(deployment: Deployment) -> Mutants:
    """Two neighbours of one chain in the other order: rotation before the norm, scale after the mask."""
    for row, _ in computing(deployment):
        for use in users(deployment, row):
            user = deployment.rows[use.target]
            chain = len(users(deployment, row)) == 1 and user.operands and not user.on_host and use.input == 0
            if chain and row.repeat == user.repeat and _keeps(row) and _keeps(user) and user.kind is Kind.COMPUTE:
                late = inserted(deployment, user, replace(row, inputs=user.outputs, outputs=user.outputs))
                late = _without_second(late, row, user)
                yield f"{where(row)} behind {user.op}", without(late, late.rows[row.index])


def _without_second(deployment: Deployment, row: Row, user: Row) -> Deployment:
    """The moved row reads its other operands where it did before."""
    moved = deployment.rows[user.index + 1]
    more = [
        Link(link.source, moved.index, link.output, link.input, link.kind, link.tensor)
        for link in deployment.links
        if link.target == row.index and link.input > 0
    ]
    return numbered(deployment, deployment.rows, [*deployment.links, *more])


def _keeps(row: Row) -> bool:
    return _states(row.inputs[0]) == _states(row.outputs[0]) and len(row.inputs) == 1


def added_constant(deployment: Deployment) -> Mutants:
    """A value is doubled on the way to its user."""
    for row, op in computing(deployment):
        if row.outputs[0].dtype not in ("route", "i32"):
            tensor, port = tensor_of(op.out), row.outputs[0]
            double = made(AddOp, [tensor, tensor], tensor, {"path": f"{row.path}.double"})
            new = replace(
                row, op="double", inputs=(port, port), weights=(), operator=double, operands=(0, 1), state=(), spread=()
            )
            late = inserted(deployment, row, new)
            again = Link(row.index, row.index + 1, 0, 1, EdgeKind.DATA, port.tensor)
            yield where(row), replace(late, links=(*late.links, again))
