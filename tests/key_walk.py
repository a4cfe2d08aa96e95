"""The answer keys of papers, walked: every fact of a key that is in all of them, held against what dagc computed.

    jobs = compiled("large_ep", "yaml")         tests/data/large_ep.yaml, by role: baseline and proposed
    jobs = compiled("large_ep", "paper")        what is read in tests/data/papers/large_ep/anew.md
    part = key_of("large_ep")["baseline"]       tests/data/large_ep.key.json
    check_operators(jobs["baseline"], part)     dims of every operator and weight, local and global, and its shape
    check_core(…), check_collectives(…), check_pipeline(…), parameters(…), products(…)

A key names things in its own words: `NAMES` maps its operators to ours, `COLLECTIVES` its communication to where ours
stands. It counts parameters of matrices only (no norm gains) and FLOPs of matrix products and the attention core. What
only one paper states (footprints, capacities, two-level groups) its own test checks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dagc import driver, papers
from dagc.frontends.description import described
from dagc.frontends.model import Experiment
from dagc.frontends.paper.writing import yaml_of
from dagc.frontends.yaml_reader import read_yaml
from dagc.ir.deployment import Kind, Port, Row
from dagc.job import Job, Request
from dagc.planning import planned

DATA = Path(__file__).parent / "data"
SOURCES = ("yaml", "paper")
"""Where an experiment comes from: written by a person, or read in the paper."""
NAMES = {
    "norm_attn": "attention_norm", "residual_add_1": "attention_residual", "residual_add_2": "ffn_residual",
    "norm_ffn": "ffn_norm", "gelu": "activation", "relu": "activation",
    "topk_select": "top_k", "permute_split_by_destination": "dispatch", "expert_up": "up_proj",
    "expert_gelu": "activation", "expert_act": "activation", "expert_down": "down_proj",
    "combine_weighted_sum": "combine", "unpermute_weighted_sum": "combine",
}  # fmt: skip
COLLECTIVES = {
    "allreduce_attn": ("all-reduce", "layers.attention.o_proj"),
    "allreduce_ffn": ("all-reduce", "layers.ffn.down_proj"),
}
SHAPES = {Kind.COMPUTE: "box", Kind.ROUTE: "parallelogram"}


def key_of(paper: str) -> dict[str, Any]:
    return json.loads((DATA / f"{paper}.key.json").read_text())


def experiments(paper: str, source: str) -> tuple[Experiment, ...]:
    """The experiment as a person wrote it down, or as it is read in the paper."""
    written = DATA / f"{paper}.yaml"
    if source == "yaml":
        return described(read_yaml(written), DATA)
    return papers.experiments_of(yaml_of(papers.read(DATA / "papers" / paper / "anew.md", papers.Asked())), DATA)


def compiled(paper: str, source: str) -> dict[str, Job]:
    """The deployments of an experiment, by role."""
    request = Request(str(DATA / f"{paper}.yaml"))
    return {job.role: driver.compile_job(job, request) for job in planned(experiments(paper, source), request)}


def facts(port: Port, whole: bool = False) -> dict[str, Any]:
    """A tensor in the words of a key: experts × expert_tokens are rows."""
    dims: dict[str, Any] = dict(zip(port.names, port.whole if whole else port.local, strict=True))
    if {"experts", "expert_tokens"} <= dims.keys():
        dims["rows"] = dims.pop("experts") * dims.pop("expert_tokens")
    return dims


def same(ours: dict[str, Any], theirs: dict[str, Any], rows: dict[str, int] | None = None, experts: int = 1) -> bool:
    """Are these the same dimensions? `rows` says what a key's symbols stand for, `experts` how many a GPU computes."""
    renames = {"topk": "top_k", "copies": "rows"}
    theirs = {renames.get(name, name): (rows or {}).get(size, size) for name, size in theirs.items()}
    if "rows" in theirs:
        theirs["rows"] *= experts
    alias = {"kv_heads": "heads"} if "heads" in theirs else {}
    return {alias.get(name, name): size for name, size in ours.items()} == theirs


def row(job: Job, name: str) -> Row:
    """The first layer's operator of this name."""
    assert job.graph is not None
    return next(r for r in job.graph.rows if r.op == name and r.repeat is not None)


def check_operators(job: Job, part: dict[str, Any], rows: dict[str, int] | None = None, experts: int = 1) -> None:
    """Every operator of the part's layer: its result, first operand, weight and shape."""
    entries = [e for e in part["layer_ops_per_gpu"] if not e.get("type") and e["op"] != "attention_core"]
    assert len(entries) >= 10
    for entry in entries:
        name = entry["op"]
        ours, each = row(job, NAMES.get(name, name)), experts if name.startswith("expert") else 1
        for kind, whole in (("local", False), ("global", True)):
            if f"output_{kind}" in entry and "rows" not in entry[f"output_{kind}"]:
                assert same(facts(ours.outputs[0], whole), entry[f"output_{kind}"], rows), (name, kind)
            if f"weight_{kind}" in entry:
                assert same(facts(ours.weights[0], whole), entry[f"weight_{kind}"], rows), (name, kind)
        if "output_local" in entry:
            assert same(facts(ours.outputs[0]), entry["output_local"], rows, each), name
        assert same(facts(ours.inputs[0]), entry["inputs_local"][0], rows, each), name
        if name.startswith("residual_add"):
            assert [facts(port) for port in ours.inputs] == entry["inputs_local"]
        assert SHAPES[ours.kind] == entry["shape"], name


def check_core(job: Job, part: dict[str, Any]) -> None:
    """The attention core, which keys hold as one operator and we as five."""
    entry = next(e for e in part["layer_ops_per_gpu"] if e["op"] == "attention_core")
    scores, context = row(job, "scores"), row(job, "context")
    assert same(facts(scores.inputs[0]), entry["inputs_local"][0])
    assert same(facts(scores.inputs[1]), entry["inputs_local"][1])
    assert same(facts(context.inputs[1]), entry["inputs_local"][2])
    assert same(facts(context.outputs[0]), entry["output_local"])


def check_collectives(job: Job, part: dict[str, Any], where: dict[str, tuple[str, str]] = COLLECTIVES) -> None:
    """Kind, elements sent and number of the collectives of one layer, routing counts apart."""
    layers = next((c["layers"] for c in job.figures["collectives"] if c["layers"]), "")
    first = [c for c in job.figures["collectives"] if c["layers"] == layers and not c["routing"]]
    for entry in part["layer_ops_per_gpu"]:
        if entry.get("type"):
            ours = next(c for c in first if (c["collective"], c["after"]) == where[entry["op"]])
            assert ours["elements_sent_per_gpu"] == entry["sent_elements_per_device"], entry["op"]
    for name, count in part["comm_per_layer"].items():
        if name == "total_sent_elements_per_device":
            assert sum(c["elements_sent_per_gpu"] for c in first) == count
        else:
            assert sum(c["collective"] == name.replace("_", "-") for c in first) == count, name


def check_pipeline(job: Job, part: dict[str, Any]) -> None:
    """GPUs and layers of every stage, and what goes between them."""
    graph, stages, boundary = job.graph, part["stages"], part["stage_boundary"]
    assert graph is not None
    assert [pool.gpus.tolist() for pool in graph.pools] == [stage["gpus"] for stage in stages]
    spans = [f"{stage['layers'][0]}-{stage['layers'][-1]}" for stage in stages]
    assert [r.repeat.layers for r in graph.rows if r.repeat and r.op == "q_proj"] == spans
    transfers = [r for r in graph.rows if r.is_transfer]
    assert sum(len(r.places) for r in transfers) == boundary["count"]
    if "pairs" in boundary:
        assert [pair for r in transfers for pair in r.places.tolist()] == boundary["pairs"]
    for transfer in transfers:
        assert facts(transfer.inputs[0]) == boundary["tensor_dims"]
        assert transfer.move is not None
        assert transfer.move.elements == boundary.get("elements_per_pair", boundary.get("elements_each"))


def parameters(job: Job, hidden: int, layers: int) -> set[int]:
    """Of the matrices on one GPU of each stage, which holds so many layers with two norms each."""
    return {c["parameters"] - 2 * hidden * layers for c in job.figures["classes"]}


def products(job: Job) -> dict[str, int]:
    """FLOPs of the matrix products and the attention core of one layer on one GPU, by operator."""
    layer, kept = next(iter(job.figures["classes"][0]["flops_per_layer"].values())), ("_proj", "scores", "context")
    return {path: flops for path, flops in layer["operators"].items() if path.endswith(kept)}
