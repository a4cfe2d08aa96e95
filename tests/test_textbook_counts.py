"""Collectives per layer of every strategy equal the textbook's; exchanges of routing counts are counted apart."""

from __future__ import annotations

import pytest

from dagc import driver
from dagc.job import Job, Request
from dagc.planning import plan

AR, AG, RS, A2A = "all-reduce", "all-gather", "reduce-scatter", "all-to-all"
COUNTS = "routing counts: all-to-all"
CASES = [
    ("llama-3.1-70b", "tp=8", {AR: 2}),
    ("llama-3.1-70b", "tp-sp=8", {AG: 2, RS: 2}),
    ("llama-3.1-70b", "ulysses=8", {A2A: 4}),
    ("llama-3.1-70b", "cp=8", {AG: 2}),
    ("llama-3.1-70b", "cp-zigzag=8", {AG: 2}),
    ("llama-3.1-70b", "split-kv=8", {AG: 1, AR: 1, RS: 1}),
    ("llama-3.1-70b", "dp=8", {}),
    ("mixtral-8x22b", "split-kv=2,ep=4", {AG: 1, AR: 1, RS: 1, A2A: 2, COUNTS: 1}),
    ("llama-3.1-70b", "dp2×tp4", {AR: 2}),
    ("llama-3.1-70b", "tp4xpp2", {AR: 2}),
    ("llama-3.1-70b", "dp=2,tp=4,pp=2", {AR: 2}),
    ("mixtral-8x22b", "tp=8", {AR: 2}),
    ("mixtral-8x22b", "tp-sp=8", {AG: 2, RS: 2}),
    ("mixtral-8x22b", "ep=8", {A2A: 2, COUNTS: 1}),
    ("mixtral-8x22b", "ep-replicated=8", {AR: 1}),
    ("mixtral-8x22b", "ep-allgather=8", {AG: 1, RS: 1, "routing counts: all-gather": 1}),
    ("mixtral-8x22b", "deepseek-prefill,dp=2,tp=4", {AG: 1, RS: 1, A2A: 2, COUNTS: 1}),
    ("mixtral-8x22b", "ep-folded,dp=2", {AG: 2, RS: 2, A2A: 2, COUNTS: 1, "routing counts: all-gather": 1}),
    ("mixtral-8x22b", "ep=8,tp=2", {A2A: 2, COUNTS: 1, AR: 2}),
    ("mixtral-8x22b", "cp=2,ep=4", {AG: 2, A2A: 2, COUNTS: 1}),
    ("mixtral-8x22b", "ulysses=2,ep=4", {A2A: 6, COUNTS: 1}),
    ("qwen3-30b-a3b", "ep=16", {A2A: 2, COUNTS: 1}),
    ("qwen3-30b-a3b", "ep8×tp2", {A2A: 2, COUNTS: 1, AR: 2}),
    ("qwen3-30b-a3b", "tp=8,pp=2", {AR: 2}),
    ("qwen1.5-moe-a2.7b", "tp=4", {AR: 2}),
    ("qwen1.5-moe-a2.7b", "ep=4", {A2A: 2, COUNTS: 1}),
]


def compiled(model: str, strategy: str) -> Job:
    request = Request(model, (strategy,), baseline="none")
    (job,) = plan(request)
    return driver.compile_job(job, request)


@pytest.mark.parametrize(("model", "strategy", "counts"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_collectives_per_layer(model: str, strategy: str, counts: dict[str, int]) -> None:
    job = compiled(model, strategy)
    assert job.status == "valid", [str(d) for d in job.diagnostics]
    per_layer = job.figures["per_layer"]
    assert all(found == counts for found in per_layer.values()), per_layer
    assert bool(per_layer) == bool(counts)


def test_pipeline_has_one_transfer_per_boundary() -> None:
    job = compiled("llama-3.1-70b", "tp=2,pp=4")
    moves = [c for c in job.figures["collectives"] if c["collective"] == "send/recv"]
    assert [(m["from"], m["to"]) for m in moves] == [("stage0", "stage1"), ("stage1", "stage2"), ("stage2", "stage3")]


def test_one_gather_feeds_q_k_and_v() -> None:
    graph = compiled("llama-3.1-70b", "tp-sp=8").graph
    assert graph is not None
    gather = next(r for r in graph.rows if r.op == "all_gather" and r.path == "layers.attention_norm")
    assert [graph.rows[link.target].op for link in graph.links if link.source == gather.index] == [
        "q_proj",
        "k_proj",
        "v_proj",
    ]


def test_ep_tp_pays_after_the_combine_with_fewer_bytes_than_before_it() -> None:
    job = compiled("mixtral-8x22b", "ep=8,tp=2")
    graph = job.graph
    assert graph is not None
    combine = next(r for r in graph.rows if r.op == "combine")
    (payment,) = [graph.rows[link.target] for link in graph.links if link.source == combine.index]
    assert payment.op == "all_reduce"
    rows = next(r for r in graph.rows if r.op == "down_proj").outputs[0]
    before = 2
    for size in rows.local:
        assert isinstance(size, int)
        before *= size
    assert payment.move is not None
    assert isinstance(payment.move.elements, int)
    assert payment.move.elements < before / 2
