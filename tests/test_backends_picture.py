"""The picture: nothing overlaps, no edge runs through a node, and Graphviz draws what was laid out."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

import numpy as np
import pygraphviz
import pytest
from backends_sample import dense_tp_pp, expert_parallel, gpus_view, representative_view, spmd_view

from dagc.backends.buses import bus_of
from dagc.backends.dot import dot_text
from dagc.backends.lanes import lay_out
from dagc.backends.sizes import GROWTH
from dagc.backends.svg import render
from dagc.diagnostics import Refused
from dagc.ir.view import View

VIEWS = {
    "ep": gpus_view(expert_parallel()),
    "ep-representative": representative_view(expert_parallel()),
    "ep-spmd": spmd_view(expert_parallel()),
    "shared": gpus_view(expert_parallel(8, shared=True)),
    "shared-spmd": spmd_view(expert_parallel(shared=True)),
    "tp": gpus_view(dense_tp_pp()),
    "tp-representative": representative_view(dense_tp_pp()),
    "tp-spmd": spmd_view(dense_tp_pp()),
    "four-stages": representative_view(dense_tp_pp(4, 4)),
}
Box = tuple[float, float, float, float]


def boxes(graph: pygraphviz.AGraph) -> dict[str, Box]:
    found = {}
    for node in graph.nodes():
        x, y = map(float, node.attr["pos"].rstrip("!").split(","))
        wide, high = 36 * float(node.attr["width"]), 36 * float(node.attr["height"])
        wide *= GROWTH if node.attr["shape"] == "parallelogram" else 1
        found[str(node)] = (x - wide, y - high, x + wide, y + high)
    return found


def curve(position: str) -> np.ndarray:
    """Points along the spline of an edge, [points, 2]."""
    points = np.array([list(map(float, part.split(","))) for part in position.split()[1:]])
    assert len(points) % 3 == 1
    t = np.linspace(0, 1, 24)[:, None]
    weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
    pieces = [sum(w * p for w, p in zip(weights, points[i : i + 4], strict=True)) for i in range(0, len(points) - 1, 3)]
    return np.concatenate(pieces)


def tip(position: str) -> tuple[float, float]:
    x, y = position.split()[0].split(",")[1:]
    return float(x), float(y)


def inside(points: np.ndarray, box: Box, margin: float = 1) -> bool:
    x, y = points.T
    left, low, right, high = box
    hit = (x > left + margin) & (x < right - margin) & (y > low + margin) & (y < high - margin)
    return bool(hit.any())


@pytest.fixture(scope="module", params=VIEWS)
def graph(request: pytest.FixtureRequest) -> pygraphviz.AGraph:
    return pygraphviz.AGraph(string=dot_text(VIEWS[request.param]))


def test_nodes_do_not_overlap(graph: pygraphviz.AGraph) -> None:
    ordered = sorted(boxes(graph).values())
    for i, a in enumerate(ordered):
        for b in ordered[i + 1 :]:
            if b[0] >= a[2]:
                break
            assert b[1] >= a[3] or b[3] <= a[1]


def test_no_edge_runs_through_a_node(graph: pygraphviz.AGraph) -> None:
    found = boxes(graph)
    low, high = (np.array([box[k : k + 2] for box in found.values()]) for k in (0, 2))
    names = list(found)
    for source, target, position in _splines(graph):
        points = curve(position)
        near = ((low < points.max(axis=0)) & (high > points.min(axis=0))).all(axis=1)
        for at in np.flatnonzero(near):
            assert names[at] in (source, target) or not inside(points, found[names[at]])


def test_edges_begin_and_end_on_borders(graph: pygraphviz.AGraph) -> None:
    found = boxes(graph)
    for source, target, position in _splines(graph):
        first = curve(position)[0]
        assert inside(first[None], found[source], -2)
        assert inside(np.array([tip(position)]), found[target], -2)


def _splines(graph: pygraphviz.AGraph) -> Iterator[tuple[str, str, str]]:
    return ((str(edge[0]), str(edge[1]), edge.attr["pos"]) for edge in graph.edges())


def test_lanes_are_columns_up_to_four_else_rows() -> None:
    assert lay_out(VIEWS["ep-representative"]).scene.narrow
    assert not lay_out(VIEWS["ep"]).scene.narrow


@pytest.mark.parametrize("name", ["ep", "ep-representative", "tp"])
def test_every_lane_has_the_same_offsets(name: str) -> None:
    layout = lay_out(VIEWS[name])
    for index, mark in layout.scene.marks.items():
        spot = layout.spots[index]
        if not spot.on_bus and not mark.row.on_host:
            assert len(set((spot.across - spot.base).tolist())) == 1


def test_a_later_stage_stands_behind_on_the_same_lanes() -> None:
    layout = lay_out(VIEWS["tp"])
    (_, first), (_, second) = layout.pools
    assert first.last < second.first
    assert layout.across.slots.count == 8


def test_overlapping_groups_have_buses_of_their_own() -> None:
    slots = np.arange(8)
    side_by_side = bus_of(np.arange(8).reshape(2, 4), slots)
    strided = bus_of(np.arange(8).reshape(4, 2).T, slots)
    assert (side_by_side.turns, strided.turns) == (1, 2)
    assert len(set(strided.home.tolist())) == 2


def test_residuals_have_a_gutter_and_selections_a_column() -> None:
    layout = lay_out(VIEWS["ep"])
    areas = {track.area for track in layout.tracks.of.values()}
    assert {"residual", "select"} <= areas
    rows = layout.scene.drawn.rows
    links = layout.scene.drawn.links
    assert {rows[links[at].target].op for at in layout.tracks.residual} == {"attention_residual", "ffn_residual"}


def test_svg_has_titles_ids_and_classes() -> None:
    svg = render(dot_text(VIEWS["ep-spmd"])).decode()
    root = ET.fromstring(svg)
    groups = {g.get("id"): g for g in root.iter("{http://www.w3.org/2000/svg}g")}
    node = groups["top_k_20_gpu0"]
    assert node.get("class") == "node route"
    assert node.findtext("{http://www.w3.org/2000/svg}title") == "top_k_20_gpu0"
    assert "× 16" in svg
    assert "16L · ep" in svg


def test_svg_escapes_what_users_wrote() -> None:
    svg = render(dot_text(spmd_view(expert_parallel(gpus=2, model='a"b\\<script>')))).decode()
    assert "<script" not in svg
    ET.fromstring(svg)


def test_png_is_drawn() -> None:
    assert render(dot_text(VIEWS["ep-spmd"]), "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(("dot", "timeout"), [("digraph {", 60), ("digraph { a }", 0.001)])
def test_failures_are_diagnostics(dot: str, timeout: float) -> None:
    with pytest.raises(Refused) as refused:
        render(dot, timeout=timeout)
    assert refused.value.diagnostics[0].code == "render"


def test_an_empty_view_is_no_crash() -> None:
    view: View = spmd_view(expert_parallel(gpus=1))
    assert dot_text(view).startswith("digraph")
