"""The answer key of the wide expert-parallel paper: every fact in it that the compiler computes, for both deployments.

Work that GPUs repeat the key counts once among them.
"""

from __future__ import annotations

import pytest
from key_walk import (
    COLLECTIVES,
    SOURCES,
    check_collectives,
    check_core,
    check_operators,
    check_pipeline,
    compiled,
    facts,
    key_of,
    parameters,
    products,
    row,
)

from dagc.ir.deployment import Kind
from dagc.job import Job

KEY = key_of("large_ep")
ROWS = {"n_e": 16384, "sum_e n_e": 262144}
WHERE = {
    **COLLECTIVES, "allreduce_ffn": ("all-reduce", "layers.moe.combine"),
    "dispatch": ("all-to-all", "layers.moe.dispatch"), "combine": ("all-to-all", "layers.moe.experts.down_proj"),
}  # fmt: skip
ROLES = pytest.mark.parametrize("role", ["baseline", "proposed"])


@pytest.fixture(scope="module", params=SOURCES)
def jobs(request: pytest.FixtureRequest) -> dict[str, Job]:
    return compiled("large_ep", request.param)


@ROLES
def test_local_and_global_dims_of_every_operator(jobs: dict[str, Job], role: str) -> None:
    check_operators(jobs[role], KEY[role], ROWS, experts=16 if role == "baseline" else 1)


@ROLES
def test_attention_core(jobs: dict[str, Job], role: str) -> None:
    check_core(jobs[role], KEY[role])


@ROLES
def test_collectives_and_volumes(jobs: dict[str, Job], role: str) -> None:
    check_collectives(jobs[role], KEY[role], WHERE)


@ROLES
def test_parameters_per_gpu_without_norm_gains(jobs: dict[str, Job], role: str) -> None:
    layers = 8 if role == "baseline" else 16
    assert parameters(jobs[role], KEY["model"]["D"], layers) == {KEY[role]["params_per_gpu"]}
    if role == "proposed":
        assert jobs[role].figures["total_parameters"] - 2 * 4096 * 16 == KEY[role]["params_total_unique"]


@pytest.mark.parametrize(("role", "replicas"), [("baseline", 8), ("proposed", 1)])
def test_flops_per_gpu_and_layer(jobs: dict[str, Job], role: str, replicas: int) -> None:
    layer = next(iter(jobs[role].figures["classes"][0]["flops_per_layer"].values()))
    gate = layer["operators"]["layers.moe.gate"] // replicas
    assert sum(products(jobs[role]).values()) + gate == KEY[role]["flops_per_gpu_per_layer"]


def test_stages_and_boundary(jobs: dict[str, Job]) -> None:
    check_pipeline(jobs["baseline"], KEY["baseline"])


def test_parts_and_replicas(jobs: dict[str, Job]) -> None:
    modules = {m["module"]: m for m in jobs["proposed"].figures["modules"]}
    parts = KEY["proposed"]["parts"]
    for name, module in (
        ("experts", "layers.moe.experts"),
        ("attention", "layers.attention"),
        ("gate", "layers.moe.gate"),
    ):
        ours = modules[module]
        assert (ours["parts"], ours["replicas"]) == (parts[name]["distinct"], parts[name]["replicas"])
        assert ours["product"] == parts[name]["product"] == ours["gpus"]
    for module in jobs["baseline"].figures["modules"]:
        if module["module"] in ("layers.attention", "layers.moe.experts"):
            assert module["parts"] == KEY["baseline"]["parts"]["attention"]["distinct"]


def test_input_is_split_and_output_aggregated(jobs: dict[str, Job]) -> None:
    graph = jobs["proposed"].graph
    assert graph is not None
    scatter = next(r for r in graph.rows if r.op == "scatter")
    gather = next(r for r in graph.rows if r.op == "gather")
    assert facts(scatter.outputs[0]) == KEY["proposed"]["input_split"]["each"]
    assert facts(gather.outputs[0]) == KEY["proposed"]["output_aggregate"]["out"]
    assert {scatter.kind, gather.kind} == {Kind.ROUTE}


def test_rows_and_tokens(jobs: dict[str, Job]) -> None:
    expert = row(jobs["proposed"], "up_proj")
    assert facts(expert.inputs[0])["rows"] == KEY["proposed"]["rows_per_expert_uniform"]
    norm = facts(row(jobs["proposed"], "attention_norm").inputs[0])
    assert norm["batch_size"] * norm["seq_len"] == KEY["proposed"]["tokens_per_gpu_attention"]
