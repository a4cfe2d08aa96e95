"""The DOT contract: what tools read from a written graph."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pygraphviz
import pytest
from backends_sample import dense_tp_pp, expert_parallel, gpus_view, representative_view, spmd_view

from dagc.backends.dot import dot_text
from dagc.ir.deployment import Deployment, Kind
from dagc.ir.view import View

DEPLOYMENTS = {"ep": expert_parallel, "tp": dense_tp_pp}
VIEWS = {"gpus": gpus_view, "representative": representative_view, "spmd": spmd_view}
CASES = [(model, view) for model in DEPLOYMENTS for view in VIEWS]
HOSTILE = 'a"b\\<script>&amp;\n]; x -> y'


@cache
def view_of(model: str, view: str) -> View:
    return VIEWS[view](DEPLOYMENTS[model]())


@cache
def parsed(model: str, view: str) -> pygraphviz.AGraph:
    return pygraphviz.AGraph(string=dot_text(view_of(model, view)))


def tensors(text: str) -> list[str]:
    return re.findall(r"\[[^\]]*\]", text)


@pytest.mark.parametrize("model", DEPLOYMENTS)
def test_full_view_has_every_node_and_edge(model: str) -> None:
    deployment, graph = DEPLOYMENTS[model](), parsed(model, "gpus")
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (deployment.nodes, deployment.edges)


@pytest.mark.parametrize("case", CASES)
def test_no_node_is_undeclared_and_none_dangles(case: tuple[str, str]) -> None:
    graph = parsed(*case)
    for node in graph.nodes():
        kind = node.attr["kind"]
        assert kind in set(Kind)
        assert graph.in_degree(node) or kind == "input"
        assert graph.out_degree(node) or kind == "output"


@pytest.mark.parametrize("case", CASES)
def test_attributes_and_label_agree(case: tuple[str, str]) -> None:
    for node in parsed(*case).nodes():
        label = node.attr["label"].replace("\\n", " ")
        for side in ("input", "output"):
            assert f"{side.capitalize()}: {node.attr[side]}" in label
            assert len(tensors(node.attr[side])) == len(tensors(node.attr[f"global_{side}"])) > 0
        assert "GPU: " in label
        for extra in ("weight", "state"):
            assert not node.attr[extra] or f"{extra.capitalize()}: {node.attr[extra]}" in label


@pytest.mark.parametrize("case", CASES)
def test_shapes_tell_kinds(case: tuple[str, str]) -> None:
    shapes = {"comm": "ellipse", "route": "parallelogram"}
    assert all(node.attr["shape"] == shapes.get(node.attr["kind"], "box") for node in parsed(*case).nodes())


@pytest.mark.parametrize("case", CASES)
def test_an_output_of_the_producer_is_an_input_of_the_consumer(case: tuple[str, str]) -> None:
    for source, target in parsed(*case).edges():
        if "host" not in (source.attr["gpu"], target.attr["gpu"]):
            assert set(tensors(source.attr["output"])) & set(tensors(target.attr["input"]))


@pytest.mark.parametrize("case", CASES)
def test_edges_name_their_tensor_and_kind(case: tuple[str, str]) -> None:
    for edge in parsed(*case).edges():
        assert edge.attr["tensor"]
        assert edge.attr["kind"] in ("data", "select")
        assert (edge.attr["kind"] == "select") == (edge.attr["style"] == "dashed")


def test_selection_runs_from_gate_to_every_expert() -> None:
    graph = parsed("ep", "gpus")
    dashed = {(e[0].attr["op"], e[1].attr["op"]) for e in graph.edges() if e.attr["kind"] == "select"}
    assert {("gate", "gate_softmax"), ("gate_softmax", "top_k"), ("top_k", "dispatch"), ("top_k", "combine")} <= dashed
    assert {("top_k", "count"), ("count", "all_to_all"), ("all_to_all", "up_proj")} <= dashed


@pytest.mark.parametrize("case", CASES)
def test_communication_and_host_stand_outside_the_clusters(case: tuple[str, str]) -> None:
    graph, view = parsed(*case), view_of(*case)
    clusters = [sub for sub in graph.subgraphs() if sub.name.startswith("cluster")]
    assert len(clusters) == len(view.lanes)
    inside = {node for cluster in clusters for node in cluster.nodes()}
    for node in graph.nodes():
        assert (node in inside) == (node.attr["kind"] != "comm" and node.attr["gpu"] != "host")


def test_repeated_nodes_say_so() -> None:
    for node in parsed("ep", "gpus").nodes():
        repeated = node.attr["gpu"] != "host"
        assert (node.attr["repeat"] == "16") == (node.attr["repeat_id"] == "layers_0_15") == repeated


def test_a_collective_names_its_members_and_bytes() -> None:
    node = parsed("tp", "gpus").get_node("all_reduce_12_gpu0")
    found = {name: node.attr[name] for name in ("gpu", "group", "collective", "bytes")}
    assert found == {"gpu": "0-7", "group": "0-7", "collective": "all-reduce", "bytes": "1879048192"}
    assert "GPU: GPUs 0-7\\n" in node.attr["label"]
    assert "all-reduce over tp: sends 1.88 GB per GPU" in node.attr["label"].replace("\\n", " ")


def test_a_stage_boundary_is_one_transfer_per_pair() -> None:
    sent = [node for node in parsed("tp", "gpus").nodes() if node.attr["collective"] == "send/recv"]
    assert [(node.attr["from"], node.attr["to"]) for node in sent] == [(str(g), str(g + 8)) for g in range(8)]
    assert sent[3].attr["gpu"] == "3,11"
    assert sent[3].name == "send_20_gpu3_to11"


def test_a_merged_lane_lists_all_its_gpus() -> None:
    node = parsed("ep", "spmd").get_node("attention_norm_2_gpu0")
    assert node.attr["gpu"] == "0-15"
    assert "GPU: all GPUs (0-15)" in node.attr["label"]
    stage = parsed("tp", "spmd").get_node("attention_norm_2_gpu0")
    assert "GPU: GPUs 0-7 (each)" in stage.attr["label"]
    send = next(n for n in parsed("tp", "spmd").nodes() if n.attr["op"] == "send")
    assert (send.attr["gpu"], send.attr["from"], send.attr["to"]) == ("0-15", "0-7", "8-15")


def test_merged_groups_are_listed() -> None:
    deployment = expert_parallel()
    halves = np.arange(16).reshape(2, 8)
    rows = tuple(row if row.move is None else type(row)(**{**vars(row), "places": halves}) for row in deployment.rows)
    split = Deployment(**{**vars(deployment), "rows": rows})
    graph = pygraphviz.AGraph(string=dot_text(spmd_view(split)))
    node = next(n for n in graph.nodes() if n.attr["kind"] == "comm")
    assert (node.attr["gpu"], node.attr["group"]) == ("0-15", "0-7;8-15")
    assert "GPU: 2 groups of 8: 0-7; 8-15" in node.attr["label"]


def test_experts_are_named_on_their_gpu() -> None:
    graph = parsed("ep", "gpus")
    labels = {node.attr["gpu"]: node.attr["label"] for node in graph.nodes() if node.attr["op"] == "down_proj"}
    assert all(f"\\nexpert {gpu}\\n" in labels[str(gpu)] for gpu in range(16))


def test_hostile_text_stays_text() -> None:
    deployment = expert_parallel(gpus=2, model=HOSTILE)
    rows = tuple(
        type(row)(**{**vars(row), "title": HOSTILE, "op": HOSTILE, "path": HOSTILE}) for row in deployment.rows
    )
    view = gpus_view(Deployment(**{**vars(deployment), "rows": rows}))
    graph = pygraphviz.AGraph(string=dot_text(view))
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (deployment.nodes, deployment.edges)
    assert all(re.fullmatch(r"[A-Za-z]\w*", node) for node in graph.nodes())
    assert all("<script>" in node.attr["label"].replace("\\n", "") for node in graph.nodes())


def test_equal_views_give_equal_text() -> None:
    assert dot_text(gpus_view(expert_parallel())) == dot_text(gpus_view(expert_parallel()))
