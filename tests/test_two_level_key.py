"""The answer key of the paper on attention cut by heads and by features: every fact in it, both exact lowerings, flags.

Slices and groups are each joined by an all-gather (behind which the key draws a concatenation; ours is the joining).
The key takes A, reducing scores, for its default, though by its own rule B sends L/d = 64 times less: B is kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from key_walk import (
    COLLECTIVES,
    DATA,
    SOURCES,
    check_collectives,
    check_core,
    check_operators,
    check_pipeline,
    compiled,
    experiments,
    facts,
    key_of,
    parameters,
    products,
    row,
)

from dagc import driver
from dagc.ir.deployment import Kind
from dagc.ir.ops.pointwise import ScaleOp
from dagc.job import Job, Request
from dagc.planning import plan, planned

KEY = key_of("two_level")
PROPOSED = KEY["proposed"]
LAYER = [*PROPOSED["mlp"], PROPOSED["o_gather"]]
WHERE = COLLECTIVES | {
    "allgather_q": ("all-gather", "layers.attention.q_proj"),
    "allgather_k": ("all-gather", "layers.attention.k_proj"),
    "allreduce_scores": ("all-reduce", "layers.attention.core.scale"),
    "allgather_o": ("all-gather", "layers.attention.o_proj"),
}
LITERAL = str(DATA / "two_level_literal.yaml")


@pytest.fixture(scope="module", params=SOURCES)
def jobs(request: pytest.FixtureRequest) -> dict[str, Job]:
    return compiled("two_level", request.param)


@pytest.fixture(scope="module", params=SOURCES)
def ways(request: pytest.FixtureRequest) -> dict[str, Job]:
    """The alternatives, each by itself."""
    asked = Request(str(DATA / "two_level.yaml"), baseline="none")
    (job,) = planned(experiments("two_level", request.param), asked)
    return {one.alternative: driver.compile_job(replace(one, alternatives=()), asked) for one in job.alternatives}


def part(attention: str, totals: dict[str, int]) -> dict[str, Any]:
    """A lowering of the key as the walk takes it: without what it holds as one operator and we as several."""
    ours = [
        e for e in PROPOSED[attention] if e["op"] not in ("qk_scores_partial", "qk_softmax_full_d", "pv", "pv_slice")
    ]
    return {"layer_ops_per_gpu": [e for e in ours if e["op"] != "softmax"] + LAYER, "comm_per_layer": totals}


def test_the_baseline(jobs: dict[str, Job]) -> None:
    job, key = jobs["baseline"], KEY["baseline"]
    assert job.status == "valid"
    check_operators(job, key)
    check_core(job, key)
    check_collectives(job, key)
    check_pipeline(job, key)
    assert parameters(job, KEY["model"]["D"], key["repeat_per_stage"]) == {key["params_per_gpu"]}
    assert sum(products(job).values()) == key["flops_per_gpu_per_layer"]


def test_n_and_m_give_the_mesh(jobs: dict[str, Job]) -> None:
    job, derived = jobs["proposed"], KEY["derived"]
    assert job.plan is not None
    assert {axis.name: axis.size for axis in job.plan.axes} == {"hg": derived["n"], "ds": derived["m"]}
    q = row(job, "q_proj").weights[0]
    assert (facts(q)["heads"], facts(q)["d_k"]) == (derived["h_g"], derived["d_s"])
    heads, slices = (share.of.tolist() for share in q.shares[1:] if share is not None)
    assert [2 * i + j for i, j in zip(heads, slices, strict=True)] == list(range(16))


@pytest.mark.parametrize(
    ("name", "attention", "totals"),
    [
        ("gather q and k", "attention_exact_B", {"all_gather": 5, "all_reduce": 1}),
        ("reduce scores", "attention_exact_A", {"all_gather": 3, "all_reduce": 2}),
    ],
)
def test_both_exact_lowerings(ways: dict[str, Job], name: str, attention: str, totals: dict[str, int]) -> None:
    job, sent = ways[name], "total_sent_elements_per_device"
    assert job.status == "valid"
    check_operators(job, part(attention, {}))
    if attention.endswith("A"):
        totals = totals | {sent: PROPOSED["comm_per_layer_exact_A_concat"][sent]}
    check_joined(job)
    check_collectives(job, part(attention, totals), WHERE)
    context, entry = row(job, "context"), PROPOSED[attention][-1]
    assert facts(context.outputs[0]) == entry["output_local"]
    assert facts(context.inputs[1]) == {
        "kv_heads" if k == "heads" else k: v for k, v in entry["inputs_local"][1].items()
    }


def check_joined(job: Job) -> None:
    """Groups, then slices: members, elements in all, and what comes of it. The paper joins slices first, which sends as
    much in all, but twice as much between groups.
    """
    assert job.graph is not None
    joins = [r for r in job.graph.rows if r.move and r.path == "layers.attention.core.context"]
    entries = [e for e in PROPOSED["aggregation"] if e.get("type")]
    assert [r.places.shape for r in joins] == [(e["groups"], e["group_size"]) for e in reversed(entries)]
    assert sum(r.move.elements for r in joins if r.move) == sum(e["sent_elements_per_device"] for e in entries)
    assert np.prod(joins[0].inputs[0].local) == entries[0]["payload_elements_per_device"]
    slices, groups = (e["output_local"] for e in PROPOSED["aggregation"] if not e.get("type"))
    assert facts(joins[-1].outputs[0]) == {**slices, "heads": groups["hidden"] // slices["d_k"]}
    o_proj, key = row(job, "o_proj"), PROPOSED["o_proj"]
    assert facts(o_proj.outputs[0])["hidden"] == key["output_local"]["hidden_out"]
    assert np.prod(o_proj.weights[0].local) == np.prod(list(key["weight_local"].values()))


def test_adding_up_outputs_sends_as_much_as_joining_them(ways: dict[str, Job]) -> None:
    key = PROPOSED["comm_per_layer_exact_B_rowparallel"]
    check_collectives(ways["gather q and k, add up outputs"], {"layer_ops_per_gpu": [], "comm_per_layer": {
        "all_gather": key["all_gather_qk"], "all_reduce": key["all_reduce_o"] + key["all_reduce_ffn"],
        "total_sent_elements_per_device": key["total_sent_elements_per_device"],
    }})  # fmt: skip


def test_the_rule_decides_between_them(jobs: dict[str, Job]) -> None:
    kept, *others = jobs["proposed"].considered
    assert (kept.name, kept.kept) == ("gather q and k", True)
    layer = PROPOSED["comm_per_layer_exact_B_rowparallel"]["total_sent_elements_per_device"]
    assert kept.bytes_sent_per_gpu == layer * PROPOSED["repeat"] * 2
    assert [one.kept for one in others] == [False] * 3
    scores = next(e for e in PROPOSED["attention_exact_A"] if e["op"] == "allreduce_scores")
    gathered = [e for e in PROPOSED["attention_exact_B"] if e.get("type")]
    ratio = scores["sent_elements_per_device"] / sum(e["sent_elements_per_device"] for e in gathered)
    assert ratio == PROPOSED["choose_A_or_B"]["ratio_here"]


def test_parts_parameters_and_balance(jobs: dict[str, Job]) -> None:
    job = jobs["proposed"]
    assert parameters(job, KEY["model"]["D"], PROPOSED["repeat"]) == {PROPOSED["params_per_gpu"]}
    assert job.figures["total_parameters"] - 2 * 4096 * 4 == PROPOSED["params_total_unique"]
    for module in job.figures["modules"]:
        if module["module"] in ("layers.attention", "layers.ffn"):
            assert (module["parts"], module["product"]) == (16, 16)
    assert set(job.figures["balance"].values()) == {1.0}


# The flags.


def literal(**more: Any) -> Job:
    request = Request(str(DATA / "two_level.yaml"), (LITERAL,), baseline="none", batch_size=32, seq_len=8192, **more)
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    return job


def test_softmax_over_a_slice_is_refused_with_the_reason() -> None:
    job = literal()
    assert (job.status, job.graph) == ("refused", None)
    (found,) = job.diagnostics
    assert (found.code, found.where) == ("unpaid", f"two_level_literal: {LITERAL}:5 at layers.attention.core.scores")
    assert "ds cuts d_k, over which scores sums" in found.problem
    assert "another function than the model's" in found.problem
    assert "--as-written" in found.hint


def test_as_written_it_is_drawn_and_said_not_to_be_the_models() -> None:
    job = literal(as_written=True)
    assert job.status == "as-written"
    assert [d.code for d in job.diagnostics] == ["unpaid", "DEP3"]
    assert job.graph is not None
    assert "NOT THE MODEL'S" in job.graph.facts[0]
    attention = [c for c in job.figures["collectives"] if c["layers"] and ".core.s" in c["after"]]
    assert len(attention) == PROPOSED["attention_literal"]["comm"]
    assert row(job, "unpaid").kind is Kind.ROUTE


def test_the_scale_is_that_of_whole_heads(ways: dict[str, Job]) -> None:
    for job in ways.values():
        scale = row(job, "scale").operator
        assert isinstance(scale, ScaleOp)
        assert float(scale.factor.value.data) == pytest.approx(KEY["model"]["d"] ** -0.5)


def test_every_gpu_gets_the_whole_input_once(jobs: dict[str, Job]) -> None:
    graph = jobs["proposed"].graph
    assert graph is not None
    scatter = next(r for r in graph.rows if r.op == "scatter")
    assert scatter.outputs[0].local == scatter.outputs[0].whole
    norm = row(jobs["proposed"], "attention_norm")
    assert norm.gpus.size == 16
    assert norm.inputs[0].local == norm.inputs[0].whole


def test_what_is_left_out_is_declared() -> None:
    jobs = compiled("two_level", "yaml")
    said = " ".join(a for job in jobs.values() for a in job.assumed)
    for words in ("micro_batches = 1", "vocab", "norm = rms_norm"):
        assert words in said, words
