"""Translation validation: what dagc emits means the model, and a graph that means something else is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from emitted import apart_on, emitted, row_of, shared, swapped, verdict, with_port, with_row
from small_models import MODELS, PLANS
from xdsl.dialects.builtin import FloatAttr, StringAttr
from xdsl.ir import Attribute

from dagc.diagnostics import Refused
from dagc.ir.deployment import Deployment
from dagc.ir.ops.statistics import Mean
from dagc.passes.apart import apart
from dagc.passes.verify import Floats, Memory, meaning, verify_graph
from dagc.passes.verify.parts import parts

REFUSED = {("dense", "ep replicated")}
FIXED = {"slots, as many as GPUs": {"experts = 1"}}
"""Extents that a plan itself fixes."""
LISTED_SIZES = {"dp listed×tp", "cp listed"}
"""Their sizes are of a smaller batch: `test_uneven` proves them."""
PROVEN = [plan for plan in PLANS if plan not in LISTED_SIZES]
CASES = [(model, plan) for model in MODELS for plan in PROVEN if (model, plan) not in REFUSED]


@pytest.mark.parametrize(("model", "plan"), CASES)
def test_what_is_emitted_is_the_model(model: str, plan: str) -> None:
    deployment, logical, sizes = emitted(model, plan)
    found = verify_graph(deployment, logical, sizes)
    assert found.holds, "\n".join(map(str, found.diagnostics))
    assert [layer.name for layer in found.layers][-1] == "meaning"
    fixed = [fact.partition("fixed by the plan on a GPU: ")[2] for fact in found.layers[-1].facts]
    assert {*filter(None, fixed)} <= FIXED.get(plan, set()), "local extents must be 2 or more and differ"


def test_what_was_found_right_is_not_run_again_and_what_a_fault_changed_is(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment, logical, sizes = emitted("dense", "tp2")
    memory: Memory = {}
    first = verify_graph(deployment, logical, sizes, memory=memory)
    monkeypatch.setattr(meaning, "_run", lambda *_: pytest.fail("ran what it knows"))
    again = verify_graph(deployment, logical, sizes, memory=memory)
    assert [layer.facts for layer in again.layers] == [layer.facts for layer in first.layers]
    assert again.bounds == first.bounds
    monkeypatch.undo()
    for name, (model, plan, change, layer) in FAULTS.items():
        if (model, plan, layer) == ("dense", "tp2", "meaning"):
            assert verify_graph(change(deployment), logical, sizes, memory=memory).caught_by == layer, name
    run: list[object] = []
    monkeypatch.setattr(meaning, "_run", lambda *given: run.append(given) or meaning.Right(0, frozenset()))
    verify_graph(deployment, logical, sizes, Floats, memory)
    assert run, "other numbers are other runs"


def test_a_plan_whose_parts_do_not_match_is_refused_before() -> None:
    with pytest.raises(Refused):
        emitted(*next(iter(REFUSED)))


@pytest.mark.parametrize("plan", ["one gpu", "ep", "ep×tp", "tp4, more than kv heads", "pp×ep×tp-sp"])
@pytest.mark.parametrize("model", ["moe", "pattern"])
def test_experts_drawn_apart_are_the_model(model: str, plan: str) -> None:
    deployment, logical, sizes = emitted(model, plan)
    found = verify_graph(apart(deployment), logical, sizes)
    assert found.holds, "\n".join(map(str, found.diagnostics))


@pytest.mark.parametrize(
    ("model", "plan"),
    [("dense", "tp-sp"), ("moe", "ep×tp"), ("pattern", "pp×tp"), ("dense", "split kv"), ("pattern", "hidden")],
)
def test_in_floats_too(model: str, plan: str) -> None:
    deployment, logical, sizes = emitted(model, plan)
    found = verify_graph(deployment, logical, sizes, Floats)
    assert found.holds, "\n".join(map(str, found.diagnostics))


def offset(of: np.ndarray) -> np.ndarray:
    """Every GPU holds the next part."""
    return np.where(of < 0, of, (of + 1) % (of.max() + 1))


def one_off(of: np.ndarray) -> np.ndarray:
    """GPU 1 holds what GPU 0 holds."""
    of[1] = of[0]
    return of


def exchanged(of: np.ndarray) -> np.ndarray:
    """GPUs 0 and 1 hold one another's part."""
    of[[0, 1]] = of[[1, 0]]
    return of


def weight_shift(op: str, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Deployment], Deployment]:
    return lambda d: with_port(d, row_of(d, op), "weights", lambda port: shared(port, name, change))


def property_of(op: str, name: str, value: Attribute) -> Callable[[Deployment], Deployment]:
    def change(deployment: Deployment) -> Deployment:
        row = row_of(deployment, op)
        assert row.operator is not None
        changed = row.operator.clone()
        changed.properties[name] = value
        return with_row(deployment, row, operator=changed)

    return change


def relinked(**sources: str) -> Callable[[Deployment], Deployment]:
    """Inputs fed by other rows: `context_1="k_cache"` gives context's second input the keys."""

    def change(deployment: Deployment) -> Deployment:
        fed = {}
        for name, source in sources.items():
            op, slot = name.rsplit("_", 1)
            fed[row_of(deployment, op).index, int(slot)] = row_of(deployment, source).index
        links = (replace(k, source=fed.get((k.target, k.input), k.source)) for k in deployment.links)
        return replace(deployment, links=tuple(links))

    return change


def other_weight(op: str, parameter: str) -> Callable[[Deployment], Deployment]:
    return lambda d: with_port(d, row_of(d, op), "weights", lambda port: replace(port, parameter=parameter))


def positions(op: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Deployment], Deployment]:
    """A row whose own ports say other positions than its neighbours do."""

    def changed(deployment: Deployment) -> Deployment:
        row = row_of(deployment, op)
        ports = {
            kind: tuple(shared(port, "seq_len", change) for port in getattr(row, kind))
            for kind in ("inputs", "outputs")
        }
        return with_row(deployment, row, **ports)

    return changed


def groups(op: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Deployment], Deployment]:
    return lambda d: with_row(d, row_of(d, op), places=change(row_of(d, op).places.copy()))


FAULTS: dict[str, tuple[str, str, Callable[[Deployment], Deployment], str]] = {
    "every GPU the next expert": ("moe", "ep", weight_shift("gate_proj", "experts", offset), "meaning"),
    "two GPUs' heads exchanged": ("dense", "tp2", weight_shift("q_proj", "heads", exchanged), "meaning"),
    "one GPU's shard twice": ("dense", "tp2", weight_shift("up_proj", "ffn", one_off), "graph coverage"),
    "the wrong KV head": ("dense", "tp4, more than kv heads", weight_shift("k_proj", "kv_heads", offset), "meaning"),
    "positions shifted on all GPUs": ("dense", "cp", positions("q_rope", offset), "graph laws"),
    "positions shifted on two": ("dense", "cp", positions("q_rope", exchanged), "graph laws"),
    "members in another order": ("dense", "tp-sp", groups("all_gather", lambda p: p[:, ::-1].copy()), "meaning"),
    "values for keys": ("dense", "tp2", relinked(context_1="k_cache", scores_1="v_cache"), "meaning"),
    "gate for up": ("dense", "tp2", other_weight("gate_proj", "layers.ffn.up_proj.weight"), "graph coverage"),
    "a lost residual": ("dense", "tp2", relinked(attention_residual_0="attention_norm"), "meaning"),
    "a body that yields another value": ("dense", "tp2", relinked(final_norm_0="attention_residual"), "graph laws"),
    "a log-sum-exp added up": ("dense", "split kv", property_of("all_reduce", "merge", StringAttr("sum")), "meaning"),
    "a sum merged otherwise": ("dense", "hidden", property_of("all_reduce", "merge", StringAttr("lse")), "meaning"),
    "exp minus another number": ("dense", "split kv", relinked(softmax_1="lse"), "graph laws"),
    "another eps": ("dense", "tp2", property_of("attention_norm", "eps", FloatAttr(0.5, 64)), "graph coverage"),
}  # fmt: skip


LEGAL: dict[str, tuple[str, str, Callable[[Deployment], Deployment]]] = {
    "shards of the vocabulary elsewhere": ("dense", "tp2", weight_shift("embed", "vocab", offset)),
    "an all-reduce in another order": ("dense", "tp2", groups("all_reduce", lambda p: p[:, ::-1].copy())),
    "a product in another order": ("dense", "tp2", relinked(multiply_0="up_proj", multiply_1="activation")),
}


@pytest.mark.parametrize("name", LEGAL)
def test_what_means_the_same_is_right(name: str) -> None:
    model, plan, change = LEGAL[name]
    found = verdict(change(emitted(model, plan)[0]), model, plan)
    assert found.holds, "\n".join(map(str, found.diagnostics))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught_and_the_layer_named(name: str) -> None:
    model, plan, change, layer = FAULTS[name]
    found = verdict(change(emitted(model, plan)[0]), model, plan)
    assert found.caught_by == layer, "\n".join(map(str, found.diagnostics))


def test_a_mean_over_what_a_gpu_holds_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment, *_ = emitted("pattern", "hidden")
    monkeypatch.setattr(Mean, "mean", lambda op, x, at: np.mean(x, axis=op.axis()))
    found = verdict(deployment, "pattern", "hidden")
    assert found.caught_by == "meaning"
    assert found.diagnostics[0].problem.startswith("mean: on GPU 0 is not what")


def test_the_first_value_that_differs_is_named() -> None:
    deployment = FAULTS["two GPUs' heads exchanged"][2](emitted("dense", "tp2")[0])
    (found,) = [d for d in verdict(deployment, "dense", "tp2").diagnostics if d.code == "DEP3"]
    assert found.problem.startswith("q_proj: on GPU 0 is not what the undivided model computes")
    assert re.search(r"first at \[batch_size=\d+, seq_len=\d+, heads=\d+, d_k=\d+\]", found.problem)
    assert found.expected.isdigit()
    assert found.actual.isdigit()
    assert found.expected != found.actual


@pytest.mark.parametrize("gpu", [None, 0, 1])
def test_a_wrong_transpose_of_equal_sizes_is_caught_on_all_gpus_and_on_one(gpu: int | None) -> None:
    """In `dense`, heads and d_k are both 4 and q_norm's input could be read either way."""
    deployment, *_ = emitted("dense", "one gpu" if gpu is None else "dp")
    row = row_of(deployment, "q_proj")
    assert row.weights[0].local[1] == row.weights[0].local[2]

    def transposed(old):
        return replace(old, weights=tuple(swapped(port, 1, 2) for port in old.weights))

    changed = with_row(deployment, row, weights=transposed(row).weights) if gpu is None else apart_on(
        deployment, row, gpu, transposed)  # fmt: skip
    found = verdict(changed, "dense", "one gpu" if gpu is None else "dp")
    assert not found.holds
    assert any(f"GPU {gpu or 0}" in str(d) or d.code == "DIM3" for d in found.diagnostics)


def test_one_gpu_that_deviates_is_a_part_of_its_own() -> None:
    deployment, *_ = emitted("dense", "dp×tp×pp")
    (alike,) = parts(deployment)
    assert alike.copies == 2
    changed = with_port(
        deployment, row_of(deployment, "q_proj"), "weights", lambda port: shared(port, "heads", exchanged)
    )
    assert sorted(part.copies for part in parts(changed)) == [1, 1]
    found = verdict(changed, "dense", "dp×tp×pp")
    assert found.caught_by == "meaning"


def test_a_row_split_by_gpus_is_right() -> None:
    deployment, *_ = emitted("dense", "dp")
    found = verdict(apart_on(deployment, row_of(deployment, "q_proj"), 2, lambda row: row), "dense", "dp")
    assert found.holds, "\n".join(map(str, found.diagnostics))


def test_a_layer_that_deviates_is_checked_itself() -> None:
    deployment, *_ = emitted("dense", "some layers otherwise")
    last = [row for row in deployment.rows if row.op == "up_proj"][-1]
    changed = with_port(deployment, last, "weights", lambda port: shared(port, "ffn", exchanged))
    (found,) = verdict(changed, "dense", "some layers otherwise").diagnostics
    assert found.where.endswith(last.path)


def test_layers_that_differ_are_not_drawn_as_one() -> None:
    deployment, *_ = emitted("hidden", "one gpu")
    dense = row_of(deployment, "attention_norm").repeat
    assert dense is not None
    assert dense.count == 1
    longer = replace(dense, last=dense.last + 1)
    rows = tuple(replace(row, repeat=longer) if row.repeat == dense else row for row in deployment.rows)
    found = verdict(replace(deployment, rows=rows), "hidden", "one gpu")
    assert found.caught_by == "graph coverage"
