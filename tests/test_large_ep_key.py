"""The answer key of the wide expert-parallel paper: every fact in it that the compiler computes, for both deployments.

The key has its own names and conventions; `NAMES` and `DIMS` map them to ours. Its parameters count matrices only (no
norm gains), its FLOPs matrix products and the attention core, work that GPUs repeat counted once among them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dagc import driver
from dagc.ir.deployment import Kind, Port, Row
from dagc.job import Job, Request
from dagc.planning import plan

DATA = Path(__file__).parent / "data"
KEY = json.loads((DATA / "large_ep.key.json").read_text())
NAMES = {
    "norm_attn": "attention_norm", "residual_add_1": "attention_residual", "residual_add_2": "ffn_residual",
    "norm_ffn": "ffn_norm", "topk_select": "top_k", "permute_split_by_destination": "dispatch", "expert_up": "up_proj",
    "expert_gelu": "activation", "expert_act": "activation", "expert_down": "down_proj",
    "combine_weighted_sum": "combine", "unpermute_weighted_sum": "combine",
}  # fmt: skip
CORE = ("scores", "scale", "mask", "softmax", "context")
COLLECTIVES = {
    "allreduce_attn": ("all-reduce", "layers.attention.o_proj"), "allreduce_ffn": ("all-reduce", "layers.moe.combine"),
    "dispatch": ("all-to-all", "layers.moe.dispatch"), "combine": ("all-to-all", "layers.moe.experts.down_proj"),
}  # fmt: skip
ROWS = {"n_e": 16384, "sum_e n_e": 262144}


@pytest.fixture(scope="module")
def jobs() -> dict[str, Job]:
    request = Request(str(DATA / "large_ep.yaml"))
    return {job.role: driver.compile_job(job, request) for job in plan(request)}


def facts(port: Port, whole: bool = False) -> dict[str, int]:
    """A tensor in the key's words: experts × expert_tokens rows, kv_heads as heads in multi-head attention."""
    dims: dict[str, Any] = dict(zip(port.names, port.whole if whole else port.local, strict=True))
    if {"experts", "expert_tokens"} <= dims.keys():
        dims["rows"] = dims.pop("experts") * dims.pop("expert_tokens")
    return dims


def key_facts(dims: dict[str, Any]) -> dict[str, int]:
    renamed = {{"topk": "top_k", "copies": "rows"}.get(name, name): ROWS.get(size, size) for name, size in dims.items()}
    return renamed


def same(ours: dict[str, int], theirs: dict[str, Any], per_expert: int = 1) -> bool:
    theirs = key_facts(theirs)
    if "rows" in theirs and per_expert > 1:
        theirs["rows"] *= per_expert
    alias = {"kv_heads": "heads"} if "heads" in theirs else {}
    return {alias.get(name, name): size for name, size in ours.items()} == theirs


def row(job: Job, name: str) -> Row:
    assert job.graph is not None
    return next(r for r in job.graph.rows if r.op == name and r.repeat is not None)


@pytest.mark.parametrize("role", ["baseline", "proposed"])
def test_local_and_global_dims_of_every_operator(jobs: dict[str, Job], role: str) -> None:
    checked = 0
    for entry in KEY[role]["layer_ops_per_gpu"]:
        if entry.get("type") or entry["op"] == "attention_core":
            continue
        ours = row(jobs[role], NAMES.get(entry["op"], entry["op"]))
        experts = 16 if role == "baseline" and entry["op"].startswith("expert") else 1
        for kind, whole in (("local", False), ("global", True)):
            if f"output_{kind}" in entry and "rows" not in entry[f"output_{kind}"]:
                assert same(facts(ours.outputs[0], whole), entry[f"output_{kind}"]), (entry["op"], kind)
            if f"weight_{kind}" in entry:
                assert same(facts(ours.weights[0], whole), entry[f"weight_{kind}"]), (entry["op"], kind)
        if "output_local" in entry:
            assert same(facts(ours.outputs[0]), entry["output_local"], experts), entry["op"]
        assert same(facts(ours.inputs[0]), entry["inputs_local"][0], experts), entry["op"]
        shape = {Kind.COMPUTE: "box", Kind.ROUTE: "parallelogram"}[ours.kind]
        assert shape == entry["shape"], entry["op"]
        checked += 1
    assert checked >= 13


@pytest.mark.parametrize("role", ["baseline", "proposed"])
def test_attention_core(jobs: dict[str, Job], role: str) -> None:
    entry = next(e for e in KEY[role]["layer_ops_per_gpu"] if e["op"] == "attention_core")
    scores, context = row(jobs[role], "scores"), row(jobs[role], "context")
    assert same(facts(scores.inputs[0]), entry["inputs_local"][0])
    assert same(facts(scores.inputs[1]), entry["inputs_local"][1])
    assert same(facts(context.inputs[1]), entry["inputs_local"][2])
    assert same(facts(context.outputs[0]), entry["output_local"])


@pytest.mark.parametrize("role", ["baseline", "proposed"])
def test_collectives_and_volumes(jobs: dict[str, Job], role: str) -> None:
    figures = jobs[role].figures
    first = [c for c in figures["collectives"] if c["layers"] in ("0-7", "0-15") and not c["routing"]]
    for entry in KEY[role]["layer_ops_per_gpu"]:
        if not entry.get("type"):
            continue
        kind, after = COLLECTIVES[entry["op"]]
        ours = next(c for c in first if (c["collective"], c["after"]) == (kind, after))
        assert ours["elements_sent_per_gpu"] == entry["sent_elements_per_device"]
    total = sum(c["elements_sent_per_gpu"] for c in first)
    assert total == KEY[role]["comm_per_layer"]["total_sent_elements_per_device"]
    for name, count in KEY[role]["comm_per_layer"].items():
        if name != "total_sent_elements_per_device":
            assert sum(c["collective"] == name.replace("_", "-") for c in first) == count


@pytest.mark.parametrize("role", ["baseline", "proposed"])
def test_parameters_per_gpu_without_norm_gains(jobs: dict[str, Job], role: str) -> None:
    gains = 2 * KEY["model"]["D"] * (8 if role == "baseline" else 16)
    assert {c["parameters"] - gains for c in jobs[role].figures["classes"]} == {KEY[role]["params_per_gpu"]}
    if role == "proposed":
        layers = KEY["model"]["layers"]
        assert jobs[role].figures["total_parameters"] - 2 * 4096 * layers == KEY[role]["params_total_unique"]


@pytest.mark.parametrize(("role", "replicas"), [("baseline", 8), ("proposed", 1)])
def test_flops_per_gpu_and_layer(jobs: dict[str, Job], role: str, replicas: int) -> None:
    operators = jobs[role].figures["classes"][0]["flops_per_layer"]["0-7" if replicas == 8 else "0-15"]["operators"]
    products = {path: flops for path, flops in operators.items() if path.endswith(("_proj", "scores", "context"))}
    gate = operators["layers.moe.gate"] // replicas
    assert sum(products.values()) + gate == KEY[role]["flops_per_gpu_per_layer"]


def test_stages_and_boundary(jobs: dict[str, Job]) -> None:
    key, graph = KEY["baseline"], jobs["baseline"].graph
    assert graph is not None
    assert [pool.gpus.tolist() for pool in graph.pools] == [stage["gpus"] for stage in key["stages"]]
    transfer = next(r for r in graph.rows if r.is_transfer)
    assert transfer.places.tolist() == key["stage_boundary"]["pairs"]
    assert facts(transfer.inputs[0]) == key["stage_boundary"]["tensor_dims"]
    assert transfer.move is not None
    assert transfer.move.elements == key["stage_boundary"]["elements_per_pair"]
    assert [r.repeat.layers for r in graph.rows if r.repeat and r.op == "q_proj"] == ["0-7", "8-15"]


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
