"""Every layer of defence knows orders: what drops or changes one is refused, what keeps them is proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from emitted import apart_on, emitted, row_of, shared, verdict, with_port, with_row
from plans import MOE, at, give, lowered
from small_models import MODELS, PLANS, SIZES
from xdsl.dialects.builtin import ModuleOp, StringAttr

from dagc.frontends.build import build
from dagc.ir.deployment import Deployment, Port, Share
from dagc.ir.dialect import parse_module
from dagc.ir.evaluate import Misplaced, evaluate, random_weights
from dagc.ir.module import annotate, sizes_of
from dagc.ir.op import Operator
from dagc.ir.orders import Levels
from dagc.passes.apart import apart
from dagc.passes.verify import verify_graph, verify_module
from dagc.passes.verify.parts import parts
from dagc.pipeline import lower, text_of

ZIGZAG = "cp zigzag"


def module_of(model: str, name: str) -> tuple[ModuleOp, ModuleOp]:
    """A small model lowered by a plan, and the model."""
    logical = build(MODELS[model])
    annotate(logical, plan=PLANS[name], sizes=sizes_of(logical).bind(**SIZES))
    return lower(logical.clone()), logical


ORDERED = [name for name in PLANS if any(rule.orders for rule in PLANS[name].rules)]


@pytest.mark.parametrize("name", ORDERED)
@pytest.mark.parametrize("model", ["moe", "pattern"])
def test_orders_are_proven_also_from_text(model: str, name: str) -> None:
    module, logical = module_of(model, name)
    for each in (module, parse_module(text_of(module))):
        found = verify_module(each, logical)
        assert found.holds, "\n".join(map(str, found.diagnostics))


def test_twice_as_many_runs_as_parts_are_a_precondition() -> None:
    module, logical = module_of("dense", ZIGZAG)
    texts = {condition.text: condition for condition in verify_module(module, logical).preconditions}
    assert texts["2·cp | seq_len"].holds
    assert "8 = 8 · 1" in texts["2·cp | seq_len"].because
    annotate(module, sizes=sizes_of(module).bind(S=12))
    found = [d for d in verify_module(module).diagnostics if d.code == "indivisible"]
    assert found
    assert "cp zigzag (8 parts) does not divide seq_len = 12" in found[0].problem


# Faults in a lowered module.


def states(path: str, kind: str, name: str, value: str | None) -> Callable[[ModuleOp], object]:
    """A move states another order, or none."""

    def change(module: ModuleOp) -> None:
        op = at(module, path, kind)
        assert name in op.properties or value
        op.properties.pop(name, None)
        if value is not None:
            op.properties[name] = StringAttr(value)

    return change


def cut(path: str, **cuts: tuple[str, ...]) -> Callable[[ModuleOp], object]:
    return lambda module: give(at(module, path), **cuts)


K, DISPATCH, UP = "layers.attention.core.k_cache", "layers.moe.dispatch", "layers.moe.experts.up_proj"
MODULE_FAULTS: dict[str, tuple[str, Callable[[ModuleOp], object], str, str]] = {
    "a gather without its order": (ZIGZAG, states(K, "all_gather", "order", None), "layouts", "as if cut by cp"),
    "a gather in another order": (ZIGZAG, states(K, "all_gather", "order", "4 strided"), "layouts", "as if cut by"),
    "an order of fewer members": (ZIGZAG, states(K, "all_gather", "order", "2 zigzag"), "layouts", "is not over cp"),
    "an order of more axes": (
        ZIGZAG, states(K, "all_gather", "order", "2 zigzag / 2 zigzag"), "layouts", "is not over cp"),
    "no order at all": (ZIGZAG, states(K, "all_gather", "order", "4 zigzak"), "well-formed", "not an order"),
    "an exchange into the wrong order": (
        "ulysses zigzag", states("layers.attention.core.context", "all_to_all", "to_order", None), "layouts",
        "does not make"),
    "a scatter into the wrong order": (
        "tp-sp strided", states("layers.attention.o_proj", "reduce_scatter", "order", None), "layouts",
        "does not make"),
    "operands in two orders": (ZIGZAG, cut("layers.attention.q_rope", seq_len=("cp",)), "layouts", "others by"),
    "a table that is no permutation": (
        "ep by table", cut(UP, experts=("ep [0, 0, 2, 1]",)), "well-formed", "each of 0 to 3 once"),
    "routed rows in an order": (
        "ep strided tokens", cut(DISPATCH, expert_tokens=("ep strided",)), "layouts", "lie in any order"),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULE_FAULTS)
def test_a_fault_in_a_module_is_caught(name: str) -> None:
    plan, change, layer, says = MODULE_FAULTS[name]
    module, logical = module_of("moe", plan)
    change(module)
    found = verify_module(module, logical)
    assert found.caught_by == layer, "\n".join(map(str, found.diagnostics))
    assert any(says in str(diagnostic) for diagnostic in found.diagnostics), "\n".join(map(str, found.diagnostics))


@pytest.mark.parametrize("order", [None, "4 strided"])
def test_simulated_gpus_see_a_gather_in_the_wrong_order(order: str | None) -> None:
    module, _ = module_of("dense", ZIGZAG)
    states(K, "all_gather", "order", order)(module)
    with pytest.raises(Misplaced):
        evaluate(module, {"input": np.zeros((4, 8), dtype=np.int64)}, random_weights(0))


# Faults in an emitted graph.


def move(op: str, path: str, **properties: str | None) -> Callable[[Deployment], Deployment]:
    """A collective's operator states other orders; its ports say what they said."""

    def change(deployment: Deployment) -> Deployment:
        row = next(row for row in deployment.rows if row.op == op and row.path.endswith(path))
        assert isinstance(row.operator, Operator)
        changed = row.operator.clone()
        for name, value in properties.items():
            assert changed.properties.pop(name, None) or value
            if value is not None:
                changed.properties[name] = StringAttr(value)
        return with_row(deployment, row, operator=changed)

    return change


def order(op: str, kind: str, name: str, levels: Levels) -> Callable[[Deployment], Deployment]:
    """A port says that parts lie in another order."""

    def changed(port: Port) -> Port:
        at = port.names.index(name)
        share = port.shares[at]
        assert share is not None
        assert share.order != levels
        return replace(port, shares=(*port.shares[:at], replace(share, order=levels), *port.shares[at + 1 :]))

    return lambda deployment: with_port(deployment, row_of(deployment, op), kind, changed)


def positions(op: str, levels: Levels) -> Callable[[Deployment], Deployment]:
    """A row whose own ports say that positions lie in another order than its neighbours do."""
    steps = [order(op, kind, "seq_len", levels) for kind in ("inputs", "outputs")]
    return lambda deployment: steps[1](steps[0](deployment))


def entry_of_one_gpu(deployment: Deployment) -> Deployment:
    """GPU 1 holds the experts that a table with two entries exchanged would give it."""
    row = row_of(deployment, "up_proj")

    def exchanged(of: np.ndarray) -> np.ndarray:
        of[1] = of[0]
        return of

    return apart_on(
        deployment, row, 1, lambda own: replace(own, weights=(shared(own.weights[0], "experts", exchanged),))
    )


GRAPH_FAULTS: dict[str, tuple[str, str, Callable[[Deployment], Deployment], str]] = {
    "a gather without its order": ("dense", ZIGZAG, move("all_gather", "k_cache", order=None), "meaning"),
    "a gather in another order": ("dense", ZIGZAG, move("all_gather", "v_cache", order="4 strided"), "meaning"),
    "an exchange that leaves without order": (
        "dense", "ulysses zigzag", move("all_to_all", "q_rope", order=None), "meaning"),
    "an exchange that arrives without order": (
        "dense", "ulysses zigzag", move("all_to_all", "context", to_order=None), "meaning"),
    "a scatter without its order": (
        "dense", "tp-sp strided", move("reduce_scatter", "o_proj", order=None), "meaning"),
    "experts by another table": (
        "moe", "ep by table", order("up_proj", "weights", "experts", ((4, "[3, 0, 1, 2]"),)), "meaning"),
    "experts in no order": ("moe", "ep by table", order("up_proj", "weights", "experts", ()), "meaning"),
    "a table that has an expert twice": (
        "moe", "ep by table", order("up_proj", "weights", "experts", ((4, "[3, 0, 3, 1]"),)), "graph coverage"),
    "a table of other parts": (
        "moe", "ep by table", order("up_proj", "weights", "experts", ((2, "[3, 0, 2, 1]"),)), "graph coverage"),
    "one GPU's entry of the table": ("moe", "ep by table", entry_of_one_gpu, "graph coverage"),
    "contiguous positions of zig-zag tokens": ("dense", ZIGZAG, positions("q_rope", ()), "meaning"),
    "a mask of contiguous positions": ("dense", ZIGZAG, positions("mask", ()), "meaning"),
    "positions in another order": ("dense", ZIGZAG, positions("k_rope", ((4, "strided"),)), "meaning"),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPH_FAULTS)
def test_a_fault_in_a_graph_is_caught(name: str) -> None:
    model, plan, change, layer = GRAPH_FAULTS[name]
    found = verdict(change(emitted(model, plan)[0]), model, plan)
    assert found.caught_by == layer, "\n".join(map(str, found.diagnostics))


def test_sizes_that_an_order_does_not_divide_are_refused() -> None:
    deployment, _, _ = emitted("dense", ZIGZAG)
    wide = order("q_proj", "outputs", "seq_len", ((4, f"[{', '.join(map(str, range(32)))}]"),))
    found = verdict(wide(deployment), "dense", ZIGZAG)
    assert found.caught_by == "stated dimensions"
    assert "is not cut into 32 runs" in str(found.diagnostics[0])


# What is right.


def test_weights_that_only_lie_in_another_order_are_right() -> None:
    """Which half of the vocabulary a GPU looks up does not matter: lookups of all are added."""
    found = verdict(order("embed", "weights", "vocab", ((2, "strided"),))(emitted("dense", "tp2")[0]), "dense", "tp2")
    assert found.holds, "\n".join(map(str, found.diagnostics))


@pytest.mark.parametrize("name", ["ep by table", "ep by table, two each", "cp zigzag, experts strided over cp"])
def test_experts_drawn_apart_keep_their_places(name: str) -> None:
    deployment, logical, sizes = emitted("moe", name)
    found = verify_graph(apart(deployment), logical, sizes)
    assert found.holds, "\n".join(map(str, found.diagnostics))


def test_replicas_of_a_zigzag_are_folded() -> None:
    deployment, logical, sizes = emitted("dense", "dp×cp zigzag")
    (alike,) = parts(deployment)
    assert alike.copies == 2
    shares = [s for row in alike.deployment.rows for port in row.outputs for s in port.shares if s is not None]
    assert {share.order for share in shares} == {((2, "zigzag"),)}
    assert verify_graph(deployment, logical, sizes).holds


def test_a_replica_in_another_order_is_a_part_of_its_own() -> None:
    deployment, _, _ = emitted("dense", "dp×cp zigzag")
    row = row_of(deployment, "q_proj")

    def reordered(share: Share | None) -> Share | None:
        return share and replace(share, order=((2, "strided"),) if share.order else share.order)

    alone = apart_on(
        deployment,
        row,
        3,
        lambda own: replace(
            own, outputs=tuple(replace(p, shares=tuple(map(reordered, p.shares))) for p in own.outputs)
        ),
    )
    assert sorted(part.copies for part in parts(alone)) == [1, 1]


def test_orders_are_proven_for_all_sizes() -> None:
    assert verify_module(lowered("cp_zigzag", bound=False), build(MOE)).holds
