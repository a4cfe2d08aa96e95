"""Every DOT of every strategy, read back by another parser and held against the contract: what others will check."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import cache
from graphlib import TopologicalSorter

import pygraphviz
import pytest

from dagc import driver
from dagc.backends.dot import dot_text
from dagc.job import Request
from dagc.passes import views
from dagc.planning import plan

CASES = [
    ("moe-16x16", "ep=16"), ("moe-16x16", "tp=8,pp=2"), ("mixtral-8x22b", "ep=8"), ("mixtral-8x22b", "tp-sp=8"),
    ("mixtral-8x22b", "ep-replicated=8"), ("mixtral-8x22b", "ep=4,tp=2,pp=2"), ("llama-3.1-70b", "ulysses=8"),
    ("llama-3.1-70b", "cp=8"), ("llama-3.1-70b", "dp=2,tp=4,pp=2"), ("llama-3.1-70b", "hg=4,ds=2"),
    ("qwen3-30b-a3b", "ep=16"), ("qwen3-30b-a3b", "ep8×tp2"), ("qwen3-30b-a3b", "tp=8,pp=2"),
    ("mixtral-8x7b", "ep-redundant=4"), ("mixtral-8x7b", "ep-folded=8"), ("mixtral-8x7b", "ep-allgather=4"),
    ("mixtral-8x7b", "deepseek-prefill,dp=2,tp=2"),
    ("qwen1.5-moe-a2.7b", "ep=4"), ("llama-3.1-8b", "tp=1"), ("mixtral-8x7b", "cp=2,ep=4"),
    ("mixtral-8x7b", "dwdp=4"), ("llama-3.1-8b", "fsdp=4"), ("mixtral-8x7b", "pd,tp=2,dp=2"),
]  # fmt: skip
VIEWS = {"gpus": views.gpus, "representative": views.representative, "spmd": views.spmd}
SHAPES = {"input": "box", "output": "box", "compute": "box", "comm": "ellipse", "route": "parallelogram"}
GROUP = re.compile(r"\[[^\]]*\]")


@cache
def graph(model: str, strategy: str, view: str, apart: bool = False) -> pygraphviz.AGraph:
    name = "two-level" if "hg" in strategy else strategy
    mesh = strategy if name == "two-level" else None
    request = Request(model, (name,), baseline="none", mesh=mesh, per_expert=apart, phases=("prefill",))
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    assert job.graph is not None, job.diagnostics
    return pygraphviz.AGraph(string=dot_text(VIEWS[view](job.graph)))


def groups(text: str | None) -> list[str]:
    return GROUP.findall(text or "")


EACH = [(*case, view) for case in CASES for view in VIEWS]


@pytest.fixture(params=EACH, ids=[" ".join(each) for each in EACH])
def dag(request: pytest.FixtureRequest) -> pygraphviz.AGraph:
    return graph(*request.param)


def test_acyclic_with_one_input_one_output_and_nothing_dangling(dag: pygraphviz.AGraph) -> None:
    before: dict[str, set[str]] = defaultdict(set)
    for source, target in dag.edges():
        before[target].add(source)
    order = list(TopologicalSorter({node: before[node] for node in dag.nodes()}).static_order())
    starts = [node for node in order if not before[node]]
    ends = set(order) - {source for each in before.values() for source in each}
    assert [dag.get_node(node).attr["kind"] for node in starts] == ["input"]
    assert [dag.get_node(node).attr["kind"] for node in ends] == ["output"]


def test_every_node_says_what_it_must(dag: pygraphviz.AGraph) -> None:
    for node in dag.nodes():
        attr = node.attr
        label = attr["label"].replace("\\n", " ").replace("\n", " ")
        assert attr["shape"] == SHAPES[attr["kind"]], node
        assert attr["op"]
        assert attr["gpu"]
        assert "GPU: " in label
        stored = attr["kind"] == "comm" and attr["weight"]
        for key, name in (("weight" if stored else "input", "Weight" if stored else "Input"), ("output", "Output")):
            assert f"{name}: {', '.join(groups(attr[key]))}" in label, (node, label)
            assert len(groups(attr[f"global_{key}"])) == len(groups(attr[key])) > 0 or (stored and key == "weight")
            assert all(re.fullmatch(r"\[\w+=\d+(, \w+=\d+)*\]", group) for group in groups(attr[key])), attr[key]
        if attr["kind"] == "comm":
            assert attr["collective"]
            assert int(attr["bytes"]) > 0
            assert attr["group"] or (attr["from"] and attr["to"])
        assert bool(attr["repeat"]) == bool(attr["repeat_id"])


def test_every_edge_carries_one_of_its_producers_outputs_to_one_of_its_consumers_inputs(dag: pygraphviz.AGraph) -> None:
    fed: dict[str, Counter[str]] = defaultdict(Counter)
    for edge in dag.edges():
        source, target = (dag.get_node(end) for end in edge)
        if edge.attr["kind"] == "order":
            resident = bool(target.attr["weight"]) and not target.attr["input"]
            assert edge.attr["style"] == "dotted"
            assert resident or (target.attr["kind"] == "output" and source.attr["op"].endswith("_kept"))
            continue
        shared = [g for g in groups(source.attr["output"]) if g in groups(target.attr["input"])]
        assert shared, (edge, source.attr["output"], target.attr["input"])
        assert edge.attr["tensor"]
        fed[target][edge.attr["tensor"]] += 1
        assert edge.attr["kind"] in ("data", "select")
        assert (edge.attr["style"] == "dashed") == (edge.attr["kind"] == "select")
    for node in dag.nodes():
        gathers = node.attr["kind"] == "comm" or node.attr["op"] == "gather"
        if not gathers and node.attr["kind"] != "input":
            assert len(groups(node.attr["input"])) == sum(fed[node].values()), node


def test_data_crosses_gpus_through_communication_only(dag: pygraphviz.AGraph) -> None:
    for source, target in dag.edges():
        ends = [dag.get_node(source).attr, dag.get_node(target).attr]
        free = any(end["kind"] == "comm" or end["gpu"] == "host" for end in ends)
        assert free or ends[0]["gpu"] == ends[1]["gpu"], (source, target)


def test_residual_adds_have_two_inputs(dag: pygraphviz.AGraph) -> None:
    adds = [node for node in dag.nodes() if node.attr["op"].endswith("residual")]
    assert adds
    assert all(len(dag.in_edges(node)) == 2 for node in adds)


def test_clusters_hold_what_is_on_their_gpu_and_nothing_else(dag: pygraphviz.AGraph) -> None:
    inside = [node for cluster in dag.subgraphs() for node in cluster.nodes()]
    assert len(inside) == len(set(inside))
    for cluster in dag.subgraphs():
        assert len({node.attr["gpu"] for node in map(dag.get_node, cluster.nodes())}) == 1
    for node in set(dag.nodes()) - set(inside):
        assert node.attr["kind"] == "comm" or node.attr["gpu"] == "host"


@pytest.mark.parametrize(
    "case", [case for case in CASES if "moe" in case[0] or "mixtral" in case[0] or "a3b" in case[0]]
)
@pytest.mark.parametrize("apart", [False, True])
def test_every_expert_is_reached_by_dashed_edges_from_every_gate(case: tuple[str, str], apart: bool) -> None:
    dag = graph(*case, "gpus", apart)
    dashed: dict[str, list[str]] = defaultdict(list)
    for edge in dag.edges():
        if edge.attr["kind"] == "select":
            dashed[edge[0]].append(edge[1])
    gated = any(n.attr["op"] == "gate_proj" and "experts" in n.attr["input"] for n in dag.nodes())
    first = "gate_proj" if gated else "up_proj"
    for gate in (node for node in dag.nodes() if node.attr["op"] == "gate" and node.attr["path"].endswith("moe.gate")):
        reached, todo = set(), [gate]
        while todo:
            node = todo.pop()
            if node not in reached:
                reached.add(node)
                todo += dashed[node]
        ops = {dag.get_node(node).attr["op"] for node in reached}
        assert {"top_k", "dispatch", "combine", first} <= ops, ops


def test_on_all_gpus_says_so_with_their_ids() -> None:
    node = next(n for n in graph("moe-16x16", "ep=16", "spmd").nodes() if n.attr["op"] == "q_proj")
    assert node.attr["gpu"] == "0-15"
    assert "GPU: all GPUs (0-15)" in node.attr["label"]


def test_collectives_are_one_ellipse_per_group_and_boundaries_one_per_pair() -> None:
    nodes = graph("llama-3.1-70b", "dp=2,tp=4,pp=2", "gpus").nodes()
    reduces = [n.attr["group"] for n in nodes if n.attr["op"] == "all_reduce" and n.attr["path"].endswith("o_proj")]
    assert sorted(reduces) == ["0-3", "12-15", "4-7", "8-11"]
    pairs = sorted((int(n.attr["from"]), int(n.attr["to"])) for n in nodes if n.attr["collective"] == "send/recv")
    assert pairs == [(i, i + 8) for i in range(8)]
