"""Reading anyone's DOT: one graph in many manners, everything Graphviz reads, and every way a file can be broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import dot_labels
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagc.diagnostics import Refused
from dagc.frontends.dot import reader, scanner
from dagc.frontends.dot.graphviz import Graphviz
from dagc.frontends.dot.reader import parse_dot, read_dot
from dagc.frontends.dot.scanner import scan
from dagc.ir.drawing import Devices, Drawing, EdgeKind, Unreadable
from dagc.passes.lint import lint

MANNERS = sorted((Path(__file__).parent / "data" / "lint" / "manners").glob("*.dot"))


@pytest.fixture(scope="module")
def graphviz() -> Iterator[Graphviz]:
    with Graphviz() as process:
        yield process


def read(graphviz: Graphviz, text: str | bytes) -> Drawing:
    (drawing,) = parse_dot(text if isinstance(text, bytes) else text.encode(), "x.dot", graphviz)
    return drawing


@pytest.mark.parametrize("path", MANNERS, ids=lambda path: path.stem)
def test_one_graph_in_many_manners(path: Path, graphviz: Graphviz) -> None:
    (drawing,) = read_dot(path, graphviz)
    assert dot_labels.facts(drawing) == dot_labels.EXPECTED
    assert sorted(dot_labels.order(drawing)) == sorted(dot_labels.ORDER)
    assert {found.code for found in lint(drawing)} <= {"DIM1", "DIM5", "NODE3"}


def test_there_are_many_manners() -> None:
    assert len(MANNERS) >= 10


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "no graph"),
        ("   \n\n", 1, "no graph"),
        ("\0\1\2", 1, "no graph"),
        ("digraph {", 1, "syntax error"),
        ("digraph {\n a -> \n}", 3, "near '}'"),
        ("digraph {\n a [label=x\n b\n}", 4, "near '}'"),
        ('digraph {\n a [label="x\n\n', 2, "missing endquote"),
        ('digraph {\n a [x=y, z=<b>, label="x\n\n', 2, "missing endquote"),
        ("digraph {\n /* a\n\n", 2, "comment"),
        ("digraph {\n a [label=<<b>]\n}", 2, "HTML"),
        ("graph { a -> b }", 1, "near '->'"),
        ("```dot\ndigraph { a }\n```", 1, "`"),
        ("digraph a { }\n\ndigraph b {\n -> }", 4, "near '->'"),
        ("digraph { a }\n}", 2, "near '}'"),
        ("digraph {" + "{" * 100_000, 1, "memory exhausted"),
        ("\ufeff".encode("utf-16").decode("latin-1") + "digraph {}", 1, ""),
    ],
)
def test_what_does_not_parse_is_a_diagnostic_with_its_line(
    text: str, line: int, words: str, graphviz: Graphviz
) -> None:
    with pytest.raises(Refused) as refused:
        read(graphviz, text)
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.code == "syntax"
    assert diagnostic.where == f"x.dot:{line}"
    assert words in diagnostic.problem


def test_missing_files_folders_and_huge_ones(tmp_path: Path, graphviz: Graphviz) -> None:
    huge = tmp_path / "huge.dot"
    with huge.open("wb") as file:
        file.truncate((1 << 30) + 1)
    for path, code in (
        (tmp_path / "none.dot", "file"),
        (tmp_path, "file"),
        (huge, "too-large"),
        (Path("a\0b"), "file"),
    ):
        with pytest.raises(Refused) as refused:
            read_dot(path, graphviz)
        assert [each.code for each in refused.value.diagnostics] == [code]


def test_several_graphs_in_one_file(graphviz: Graphviz) -> None:
    first, second = parse_dot(b"digraph a { x }\n// between\nstrict graph b { y -- z; z -- y }", "x.dot", graphviz)
    assert (first.name, first.line, first.directed) == ("a", 1, True)
    assert (second.name, second.line, second.directed, len(second.edges)) == ("b", 3, False, 1)


def test_lines_of_nodes_and_edges(graphviz: Graphviz) -> None:
    drawing = read(
        graphviz,
        """digraph {
  a -> b -> {c; d} [style=dashed]
  a [label=<first<br/>
    GPU 3>]
  subgraph cluster_1 { label="GPU 1"
    b
  }
  a -> b; a:f0 -> "c" + "d" [style="dotted,bold"]
}""",
    )
    assert {node.id: node.line for node in drawing.nodes} == {"a": 3, "b": 6, "c": 2, "d": 2, "cd": 8}
    assert {node.id for node in drawing.nodes if node.declared} == {"a", "b"}
    lines = sorted((edge.source.id, edge.target.id, edge.line, str(edge.kind)) for edge in drawing.edges)
    assert lines == [
        ("a", "b", 2, "select"), ("a", "b", 8, "data"), ("a", "cd", 8, "order"), ("b", "c", 2, "select"),
        ("b", "d", 2, "select"),
    ]  # fmt: skip


def test_arrows_that_point_backwards(graphviz: Graphviz) -> None:
    drawing = read(graphviz, "digraph { a -> b [dir=back]; c -> d [dir=both]; e -> f [style=invis] }")
    assert [(edge.source.id, edge.target.id) for edge in drawing.edges] == [("b", "a"), ("c", "d"), ("d", "c")]


def test_legends_notes_and_the_invisible_are_not_in_the_graph(graphviz: Graphviz) -> None:
    drawing = read(
        graphviz,
        """digraph { a -> b; subgraph cluster_legend { label=Legend; l1 -> l2 [style=dashed] }
        note [shape=note, label="16 GPUs"]; t [shape=plaintext, label="My title"]; i [style=invis] }""",
    )
    assert [node.id for node in drawing.nodes] == ["a", "b"]
    assert len(drawing.edges) == 1


def test_attributes_and_labels_that_differ(graphviz: Graphviz) -> None:
    drawing = read(graphviz, 'digraph { a [label="Norm\\nGPU: 3\\nInput: [h=4]", gpu=2, input="[h=5]", kind=comm] }')
    assert {code for code, _, _ in drawing.nodes[0].clashes} == {"NODE1", "NODE2", "NODE3"}


def test_what_is_not_understood_is_unreadable_not_wrong(graphviz: Graphviz) -> None:
    drawing = read(graphviz, 'digraph { a [label="Norm\\nGPU: somewhere\\nInput: hidden states\\nOutput: [h=4]"] }')
    node = drawing.nodes[0]
    assert node.inputs == Unreadable("hidden states")
    assert node.devices == Unreadable("somewhere")
    assert [found.severity for found in lint(drawing) if found.code == "unreadable"] == ["warning"] * 2


def test_dimensions_that_belong_to_no_side_are_unreadable(graphviz: Graphviz) -> None:
    node = read(graphviz, 'digraph { a [label="Norm\\n[batch_size=8, hidden=4]\\nGPU: 3"] }').nodes[0]
    assert node.inputs == node.outputs == Unreadable("[batch_size=8, hidden=4]")


@pytest.mark.parametrize(
    ("said", "ids", "senders", "groups"),
    [
        ("[0,1,2,3] TP=4", [0, 1, 2, 3], [], 0),
        ("0,1 → 2-4", [0, 1, 2, 3, 4], [0, 1], 0),
        ("0->1/2", [0, 1, 2], [0], 0),
        ("0 ↔ 1", [0, 1], [0, 1], 0),
        ("0→8, 1→9", [0, 1, 8, 9], [0, 1], 0),
        ("[0-1], [2-3]", [0, 1, 2, 3], [], 2),
        ("0, 1, ..., 5", [0, 1, 2, 3, 4, 5], [], 0),
        ("cuda:0, cuda:1", [0, 1], [], 0),
        ("all GPUs 0-2", [0, 1, 2], [], 0),
        ("3 (H100)", [3], [], 0),
        ("0–1 (node 0), 2–3 (node 1)", [0, 1, 2, 3], [], 0),
        ("GPU0..GPU2", [0, 1, 2], [], 0),
    ],
)
def test_gpus_in_many_words(said: str, ids: list[int], senders: list[int], groups: int, graphviz: Graphviz) -> None:
    place = read(graphviz, f'digraph {{ a [label="Norm\\nGPU: {said}"] }}').nodes[0].devices
    assert isinstance(place, Devices)
    assert (sorted(place.ids), sorted(place.senders), len(place.groups)) == (ids, senders, groups)


def test_a_long_list_of_gpus_may_be_broken_before_its_last_word(graphviz: Graphviz) -> None:
    (node,) = read(graphviz, 'digraph { a [label="All-reduce\\nGPU: GPUs 3,7,… 24\\nmore\\nInput: [n=1]"] }').nodes
    assert isinstance(node.devices, Devices)
    assert (node.devices.ids, node.devices.vague) == ({3, 7}, True)


@pytest.mark.parametrize("said", ["DP0-DP3", "0-15 step 4", "0:8", "Pipeline 0"])
def test_gpus_that_are_none_are_unreadable(said: str, graphviz: Graphviz) -> None:
    assert isinstance(read(graphviz, f'digraph {{ a [label="Norm\\nGPU: {said}"] }}').nodes[0].devices, Unreadable)


@pytest.mark.parametrize(
    ("said", "tensors"),
    [
        ("[B=8, S=10,000]", ["[B=8, S=10000]"]),
        ("2×[B=8, S=4]", ["[B=8, S=4]"] * 2),
        ("[B=8, S=4] x 3 parts", ["[B=8, S=4]"] * 3),
        ("Q,K [B=8, S=4]", ["[B=8, S=4]"] * 2),
        ("[B=8, S=4] (normed)", ["[B=8, S=4]"]),
        ("(B=8) × (S=4)", ["[B=8, S=4]"]),
        ("⟨B=8, S=1_024⟩", ["[B=8, S=1024]"]),
        ("\\n  B=8\\n  S=4", ["[B=8, S=4]"]),
        ("B: 8, S: 4", ["[B=8, S=4]"]),
    ],
)
def test_dimensions_in_many_words(said: str, tensors: list[str], graphviz: Graphviz) -> None:
    node = read(graphviz, f'digraph {{ a [label="Norm\\nInput: {said}\\nOutput: same\\nGPU: 3\\n× 16"] }}').nodes[0]
    assert isinstance(node.inputs, tuple)
    assert [str(tensor) for tensor in node.inputs] == tensors
    assert (node.outputs, node.title, node.repeat, node.gpus) == (node.inputs, "Norm", "× 16", {3})


def test_many_tokens_are_not_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "MAX_TOKENS", 10)
    for text in ("digraph {" + '"' * 100, "digraph { a [label=" + '"' * 101, "digraph {" + "[a " * 100, '"' * 100):
        assert [graph.stop for graph in scan(text)] == [len(text)]


def test_large_files_are_read_like_small_ones(monkeypatch: pytest.MonkeyPatch, graphviz: Graphviz) -> None:
    monkeypatch.setattr(reader, "LARGE", 0)
    assert dot_labels.facts(read(graphviz, MANNERS[0].read_bytes())) == dot_labels.EXPECTED
    assert len(parse_dot(b"digraph a { x } digraph b { y }", "x.dot", graphviz)) == 2
    with pytest.raises(Refused) as refused:
        read(graphviz, "\n\ndigraph {\n a -> \n}")
    assert refused.value.diagnostics[0].where == "x.dot:5"


def test_edges_are_gates_and_orders_by_their_style(graphviz: Graphviz) -> None:
    drawing = read(graphviz, 'digraph { edge [style=dashed]; a -> b; b -> c [style="dotted"]; c -> d [kind=data] }')
    assert [edge.kind for edge in drawing.edges] == [EdgeKind.SELECT, EdgeKind.ORDER, EdgeKind.DATA]


PIECES = st.sampled_from([
    "digraph", "graph", "strict", "subgraph", "node", "edge", "a", "b", "cluster_0", "->", "--", "{", "}", "[", "]",
    "=", ";", ",", ":", "+", '"', "\\", "<", ">", "<b>", "<br/>", "//", "/*", "*/", "#", "\n", " ", "label", "shape",
    "record",
    "style=invis", '"GPU: 3"', '"Input: [a=1, b=2]"', '"Output: [(="', '"\\\\N"', "1.5", "-.2", "é", "\ufeff",
    "&amp;", 'label="{a|<f> b}"', 'label="Input: [a=1/0, b==, c=(=)]\\nGPU: 9-1, 1-99999999999999"', "x -> y",
    "digraph { a }", "a -> b [x=y]", '"c d" [label="]"];',
])  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.lists(PIECES, max_size=30).map(" ".join), st.text(max_size=60), st.binary(max_size=60)))
def test_reading_never_fails(graphviz: Graphviz, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    with suppress(Refused):
        for drawing in parse_dot(data, "x.dot", graphviz):
            list(lint(drawing))


LABELS = st.lists(
    st.sampled_from([
        "Input", "Output:", "GPU", ":", "=", "[", "]", "(", ")", "{", "}", ",", ";", "x", "×", "·", "/", "-", "…", "3",
        "0-7", "all GPUs", "host", "→", "batch_size=8", "h: 4", "\\n", "\\l", "<br/>", "<td>", "&lt;", "|", "Weight:",
        "sends 3 MB", "expert 3", "× 16", "expert_tokens = a·b/c", "Q projection", "from: 3", "to: 9",
        "2 groups of 8: 0-7; 8-15", "16×", "[0-1], [2-3]", "0 ↔ 1", "same", "Q,K", "10,000",
    ]),
    max_size=14,
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(LABELS.map(" ".join), st.sampled_from(["box", "record", "ellipse", "plaintext"]))
def test_labels_of_any_words_are_read(label: str, shape: str) -> None:
    from dagc.frontends.dot.nodes import node_of

    node = node_of("n", {"label": label, "shape": shape}, 1, True, ())
    drawing = Drawing("x.dot", 1, "g", True, [node], [], [])
    assert all(found.where == "x.dot:1 at n" or found.code.startswith("DAG") for found in lint(drawing))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=40).map(" ".join))
def test_scanning_never_fails(text: str) -> None:
    for graph in scan(text):
        assert 0 <= graph.start <= graph.stop <= len(text)
        assert graph.line >= 1
