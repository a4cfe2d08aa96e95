"""What the emitted graph states, that it is whole, and the order of its programs: each law broken once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from emitted import emitted, row_of, shared, verdict, with_port, with_row

from dagc.ir.deployment import Deployment, Port, Repeat, Share
from dagc.passes.verify import graph, presence, stated
from dagc.passes.verify.parts import parts


def local(op: str, kind: str, at: int, size: int) -> Callable[[Deployment], Deployment]:
    """A port whose local size along one dimension is another."""

    def other(port: Port) -> Port:
        return replace(port, local=(*port.local[:at], size, *port.local[at + 1 :]))

    return lambda d: with_port(d, row_of(d, op), kind, other)


def whole(op: str, kind: str, at: int, size: int) -> Callable[[Deployment], Deployment]:
    def other(port: Port) -> Port:
        return replace(port, whole=(*port.whole[:at], size, *port.whole[at + 1 :]))

    return lambda d: with_port(d, row_of(d, op), kind, other)


STATED: dict[str, tuple[str, str, Callable[[Deployment], Deployment]]] = {
    "a stale local size": ("DIM2", "2 parts of ffn=12 are not 12", local("up_proj", "outputs", 2, 12)),
    "a stale global size": ("DIM2", "of hidden=8 are not 16", whole("attention_norm", "outputs", 2, 16)),
    "a result of other size": ("DIM3", "does not follow", whole("attention_norm", "outputs", 2, 16)),
    "a weight of other size": ("DIM3", "does not follow", whole("up_proj", "weights", 0, 4)),
    "another type": (
        "DIM3", "does not follow",
        lambda d: with_port(d, row_of(d, "o_proj"), "outputs", lambda port: replace(port, dtype="f32"))),
    "other names": (
        "DIM3", "does not follow",
        lambda d: with_port(d, row_of(d, "q_proj"), "outputs",
                            lambda port: replace(port, names=("batch_size", "seq_len", "d_k", "heads")))),
}  # fmt: skip


@pytest.mark.parametrize("name", STATED)
def test_what_a_node_states_wrongly_is_found(name: str) -> None:
    code, says, change = STATED[name]
    deployment, _, sizes = emitted("dense", "tp2")
    found = [str(d) for d in stated.check(change(deployment), sizes) if d.code == code]
    assert any(says in text for text in found), found


def test_sizes_left_symbolic_are_held_against_one_another() -> None:
    deployment, _, sizes = emitted("dense", "tp2")

    def text(port: Port, size: str) -> Port:
        at = port.names.index("ffn")
        return replace(
            port,
            local=(*port.local[:at], size, *port.local[at + 1 :]),
            whole=(*port.whole[:at], "batch_size*3", *port.whole[at + 1 :]),
        )

    row = row_of(deployment, "up_proj")
    right, wrong = (
        with_port(deployment, row, "outputs", lambda port, size=size: text(port, size))
        for size in ("3/2*batch_size", "batch_size/2")
    )
    assert "DIM2" not in {d.code for d in stated.check(right, sizes)}
    assert "DIM2" in {d.code for d in stated.check(wrong, sizes)}


def without(op: str) -> Callable[[Deployment], Deployment]:
    """A row turned into one that only passes on what it reads."""
    return lambda d: with_row(d, row_of(d, op), operator=None, weights=(), operands=())


def rounds(**changes: int) -> Callable[[Deployment], Deployment]:
    def change(deployment: Deployment) -> Deployment:
        rows = (r if r.repeat is None else replace(r, repeat=replace(r.repeat, **changes)) for r in deployment.rows)
        return replace(deployment, rows=tuple(rows))

    return change


def held(op: str, name: str, of: list[int]) -> Callable[[Deployment], Deployment]:
    return lambda d: with_port(
        d, row_of(d, op), "weights", lambda port: shared(port, name, lambda old: np.array(of, dtype=np.int64))
    )


PRESENCE: dict[str, tuple[str, Callable[[Deployment], Deployment]]] = {
    "an operator is missing": ("are not computed: layers.ffn.multiply of layer 0", without("multiply")),
    "a layer too few": ("are not computed: layers.attention.core.context of layer 2", rounds(last=1)),
    "a layer too many": ("are not of the model: layers.attention", rounds(last=3)),
    "layers shifted": ("are not computed", rounds(first=1, last=3)),
    "computed twice": (
        "are computed more than once",
        lambda d: replace(d, rows=(*d.rows, replace(row_of(d, "q_proj"), repeat=Repeat(1, 1), index=len(d.rows))))),
    "a shard twice, another never": ("1 of 2 parts are there", held("up_proj", "ffn", [0, 0])),
    "a part that is none": ("a part that is none of 2", held("up_proj", "ffn", [0, 2])),
    "a weight of another operator": (
        "uses other weights",
        lambda d: with_port(d, row_of(d, "k_proj"), "weights",
                            lambda port: replace(port, parameter="layers.attention.v_proj.weight"))),
}  # fmt: skip


@pytest.mark.parametrize("name", PRESENCE)
def test_what_is_missing_or_there_too_often_is_found(name: str) -> None:
    says, change = PRESENCE[name]
    deployment, model, _ = emitted("dense", "tp2")
    found = [str(d) for d in presence.check(change(deployment), model)]
    assert any(says in text for text in found), found


def test_parts_are_there_equally_often() -> None:
    deployment, model, _ = emitted("dense", "dp×tp×pp")
    row = row_of(deployment, "up_proj")
    uneven = held("up_proj", "ffn", [0, 1, 1, 1, -1, -1, -1, -1])
    assert row.places.size == 4
    (found,) = presence.check(uneven(deployment), model)
    assert "some parts have 1 copies, others 3" in found.problem


def turns(deployment: Deployment, **order: dict[int, int]) -> Deployment:
    """The programs of some GPUs in another order: per row's name, GPU → turn."""
    rows = []
    for row in deployment.rows:
        made = np.full(row.places.shape, row.index, dtype=np.int64)
        for gpu, turn in order.get(row.op, {}).items():
            made[row.places == gpu] = turn
        rows.append(replace(row, turns=made))
    return replace(deployment, rows=tuple(rows))


def test_programs_in_the_order_of_the_rows_do_not_deadlock() -> None:
    deployment, *_ = emitted("dense", "tp-sp")
    assert not graph.check(turns(deployment))


def test_collectives_that_one_gpu_runs_in_another_order_deadlock() -> None:
    deployment, *_ = emitted("dense", "tp2")
    one, other = next(
        (a, b) for a, b in pairwise(deployment.rows)
        if a.operator and b.operator and a.weights and b.weights and not _leads(deployment, a.index, b.index)
    )  # fmt: skip
    local = turns(deployment, **{one.op: {0: other.index}, other.op: {0: one.index}})
    assert not graph.check(local), "what does not communicate may be reordered"
    first, second = (row for row in deployment.rows if row.op == "all_reduce" and row.repeat)
    late = turns(deployment)
    for row, turn in ((first, second.index), (second, first.index)):
        changed = late.rows[row.index].turns
        assert changed is not None
        changed[0, 1] = turn
    (found, *_) = [d for d in graph.check(late) if d.code == "DEP4"]
    assert "deadlock" in found.problem
    assert found.actual.count("all_reduce") >= 2


def test_two_independent_collectives_in_crossed_order_deadlock() -> None:
    """No data joins them: only the programs do."""
    deployment, *_ = emitted("dense", "tokens cut otherwise in one layer")
    gathers = [r for r in deployment.rows if r.op in ("all_gather", "all_to_all") and r.places.shape[1] > 1]
    first, second = next(
        (a, b) for a in gathers for b in gathers
        if a.index < b.index and a.repeat == b.repeat and not _leads(deployment, a.index, b.index)
    )  # fmt: skip
    crossed = turns(deployment)
    gpu = int(first.places[0, 0])
    for row, turn in ((first, second.index), (second, first.index)):
        made = crossed.rows[row.index].turns
        assert made is not None
        made[row.places == gpu] = turn
    assert any(d.code == "DEP4" for d in graph.check(crossed))


def _leads(deployment: Deployment, source: int, target: int) -> bool:
    reached = {source}
    for link in deployment.links:
        if link.source in reached:
            reached.add(link.target)
    return target in reached


def test_turns_must_fit_the_places() -> None:
    deployment, *_ = emitted("dense", "tp2")
    wrong = with_row(deployment, row_of(deployment, "q_proj"), turns=np.zeros((1, 1), dtype=np.int64))
    assert any("has turns of shape" in d.problem for d in graph.check(wrong))


def test_a_row_stands_once_on_a_gpu() -> None:
    deployment, *_ = emitted("dense", "tp2")
    wrong = with_row(deployment, row_of(deployment, "q_proj"), places=np.array([[0], [0]]))
    assert any("stands twice" in d.problem for d in graph.check(wrong))


@pytest.mark.parametrize(("plan", "copies"), [("dp", [4]), ("dp×tp×pp", [2]), ("tp2", [1]), ("dp×cp×tp", [2])])
def test_alike_parts_are_one(plan: str, copies: list[int]) -> None:
    assert [part.copies for part in parts(emitted("dense", plan)[0])] == copies


def test_parts_that_hold_other_experts_are_not_alike() -> None:
    deployment, *_ = emitted("moe", "dp×ep")
    assert sum(part.copies * part.deployment.gpus for part in parts(deployment)) == 4
    port = row_of(deployment, "gate_proj").weights[0]
    assert isinstance(port.shares[0], Share)
    changed = with_port(
        deployment, row_of(deployment, "gate_proj"), "weights",
        lambda p: shared(p, "experts", lambda of: np.where(np.arange(len(of)) < 2, of, of[::-1])),
    )  # fmt: skip
    assert len(parts(changed)) == len(parts(deployment)) + 1
    assert verdict(changed, "moe", "dp×ep").caught_by is not None
