"""Sums that are owed and not paid, paid twice, paid too late, or among the wrong GPUs (F1 to F8, F21, F25)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dagc.ir.debts import LSE, SUM
from dagc.ir.deployment import Deployment, Kind, Row
from dagc.ir.op import Operator, tensor_of
from dagc.ir.ops.linear import AddBiasOp
from dagc.ir.ops.move import AllReduceOp, ReduceScatterOp, Reduction, SliceOp, UnpaidOp
from dagc.ir.ops.normalize import Normalize
from dagc.ir.ops.pointwise import ActivateOp, AddOp, ScaleOp

from .operators import like, made
from .surgery import Mutants, agreed, changed, feeding, inserted, rerouted, users, where, without


def paying(deployment: Deployment) -> list[Row]:
    """Rows that add up what is owed."""
    return [row for row in deployment.rows if isinstance(row.operator, AllReduceOp | ReduceScatterOp)]


def missing(deployment: Deployment) -> Mutants:
    """The sum is not taken: a partial value is read as the whole one, or a part of it is cut out."""
    for row in paying(deployment):
        if isinstance(row.operator, AllReduceOp):
            yield where(row), without(deployment, row)
            yield f"{where(row)}, labels as before", without(deployment, row, label=False)
        else:
            yield where(row), changed(deployment, row, **cutting(row))


def cutting(row: Row) -> dict[str, object]:
    """A reduce-scatter's row that only takes its part."""
    op = row.operator
    assert isinstance(op, ReduceScatterOp)
    operator = made(SliceOp, [tensor_of(op.operands[0])], tensor_of(op.out), dict(op.properties))
    return {"op": "slice", "kind": Kind.ROUTE, "places": row.gpus.reshape(-1, 1), "operator": operator, "move": None}


def double(deployment: Deployment) -> Mutants:
    """The sum is taken again of what is whole."""
    for row in paying(deployment):
        if isinstance(row.operator, AllReduceOp):
            yield where(row), inserted(deployment, row, replace(row, inputs=row.outputs))


def of_whole_values(deployment: Deployment) -> Mutants:
    """A sum of a value that nobody owes: over the groups of another collective."""
    sums = [row for row in deployment.rows if isinstance(row.operator, AllReduceOp)]
    for row in deployment.rows if sums else ():
        if row.kind is Kind.COMPUTE and row.outputs[0].addend is None and row.outputs[0].dtype != "i32":
            group = next((s for s in sums if np.array_equal(s.gpus, row.gpus)), None)
            if group is not None:
                ports = row.outputs
                new = replace(group, inputs=ports, outputs=ports, repeat=row.repeat, path=row.path)
                yield where(row), inserted(deployment, row, new)


def for_one_user(deployment: Deployment) -> Mutants:
    """One user reads the addends (a full value and a partial one added), the others the sum."""
    for row in paying(deployment):
        if isinstance(row.operator, AllReduceOp):
            source = deployment.rows[feeding(deployment, row).source]
            for use in users(deployment, row):
                if deployment.rows[use.target].operands and len(users(deployment, row)) > 1:
                    yield f"{where(row)} → {use.target}", rerouted(deployment, use, source)


def residual_inside(deployment: Deployment) -> Mutants:
    """A replicated term is added before the sum is taken."""
    yield from _moved_behind(deployment, AddOp)


def bias_inside(deployment: Deployment) -> Mutants:
    """The bias is added before the sum is taken."""
    yield from _moved_behind(deployment, AddBiasOp)


def nonlinear_inside(deployment: Deployment) -> Mutants:
    """A norm, an activation, a softmax of addends, whose results are then added up."""
    yield from _moved_behind(deployment, (Normalize, ActivateOp))


def _moved_behind(deployment: Deployment, kinds: type[Operator] | tuple[type[Operator], ...]) -> Mutants:
    """All-reduces that happen after their user instead of before it."""
    for row in paying(deployment):
        for use in users(deployment, row) if isinstance(row.operator, AllReduceOp) else ():
            user = deployment.rows[use.target]
            if isinstance(user.operator, kinds) and user.outputs[0].names == row.outputs[0].names:
                behind = replace(row, inputs=user.outputs, outputs=user.outputs, repeat=user.repeat)
                late = inserted(deployment, user, behind)
                source = late.rows[feeding(late, late.rows[row.index]).source]
                for one in users(late, late.rows[row.index]):
                    late = rerouted(late, one, source)
                yield f"{where(row)} behind {user.op}", without(late, late.rows[row.index])


def scaled(deployment: Deployment) -> Mutants:
    """What was added up is divided by, or multiplied with, the number of members."""
    for row in paying(deployment):
        members = row.places.shape[1]
        for factor in (1.0 / members, float(members)):
            yield f"{where(row)} × {factor:g}", inserted(deployment, row, _scale(row, factor))


def unpaid(deployment: Deployment) -> Mutants:
    """An addend taken for the sum, as a plan may ask for."""
    for row in paying(deployment):
        if isinstance(row.operator, AllReduceOp):
            have, out = tensor_of(row.operator.operands[0]), tensor_of(row.operator.out)
            operator = made(UnpaidOp, [have], out, {"path": row.path, "axes": row.operator.properties["axes"]})
            places = row.gpus.reshape(-1, 1)
            more = {"op": "unpaid", "kind": Kind.ROUTE, "places": places, "move": None, "operator": operator}
            yield where(row), changed(deployment, row, **more)


def _scale(row: Row, factor: float) -> Row:
    assert row.operator is not None
    tensor, port = tensor_of(row.operator.out), row.outputs[0]
    operator = made(ScaleOp, [tensor], tensor, {"path": row.path, "factor": factor})
    places = row.gpus.reshape(-1, 1)
    return replace(
        row, op="scale", kind=Kind.COMPUTE, places=places, inputs=(port,), move=None, operator=operator, operands=(0,)
    )


def other_kind(deployment: Deployment) -> Mutants:
    """A log-sum-exp is added up, or a sum merged as if it were one; the labels say so too, or not."""
    for row in paying(deployment):
        assert isinstance(row.operator, Reduction)
        kind = SUM if row.operator.kind != SUM else LSE
        other, source = like(row.operator, merge=kind), deployment.rows[feeding(deployment, row).source]
        yield where(row), changed(deployment, row, operator=other)
        lying = agreed(deployment, source, replace(source.outputs[0], debt=kind))
        yield f"{where(row)}, agreed", changed(lying, lying.rows[row.index], operator=other)


def half_groups(deployment: Deployment) -> Mutants:
    """Groups of half the members, or every GPU for itself."""
    for row in paying(deployment):
        groups, members = row.places.shape
        if isinstance(row.operator, AllReduceOp) and members % 2 == 0:
            yield where(row), changed(deployment, row, places=row.places.reshape(groups * 2, members // 2))


def other_groups(deployment: Deployment) -> Mutants:
    """The groups of another axis of the mesh, or those that stride otherwise."""
    for row in deployment.rows:
        if row.move is not None and not row.on_host and not row.is_transfer:
            for name, places in _groupings(deployment, row):
                yield f"{where(row)} over {name}", changed(deployment, row, places=places)


def _groupings(deployment: Deployment, row: Row) -> Iterator[tuple[str, np.ndarray]]:
    groups, members = row.places.shape
    seen = {_key(row.places)}
    offers = [
        (other.op, other.places)
        for other in deployment.rows
        if other.move is not None and not other.on_host and not other.is_transfer and other.gpus.size == row.gpus.size
        if np.array_equal(other.gpus, row.gpus)
    ]
    offers.append(("consecutive GPUs", row.gpus.reshape(groups, members)))
    offers.append(("strided GPUs", row.gpus.reshape(members, groups).T.copy()))
    offers.append(("all GPUs", row.gpus.reshape(1, -1)))
    for name, places in offers:
        if _key(places) not in seen:
            seen.add(_key(places))
            yield name, places


def _key(places: np.ndarray) -> tuple[tuple[int, ...], bytes]:
    return places.shape, np.ascontiguousarray(places).tobytes()


def swapped_members(deployment: Deployment) -> Mutants:
    """A member of the first group and one of the second change places."""
    for row in deployment.rows:
        if row.move is not None and not row.on_host and not row.is_transfer and len(row.places) > 1:
            places = row.places.copy()
            places[0, -1], places[1, -1] = places[1, -1], places[0, -1]
            yield where(row), changed(deployment, row, places=places)


def group_left_out(deployment: Deployment) -> Mutants:
    """The last group does not take part, or the last member of every group."""
    for row in deployment.rows:
        if row.move is not None and not row.on_host and not row.is_transfer:
            if len(row.places) > 1:
                yield where(row), changed(deployment, row, places=row.places[:-1])
            if row.places.shape[1] > 2:
                yield f"{where(row)}, one member", changed(deployment, row, places=row.places[:, :-1])
