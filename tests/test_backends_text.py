"""Labels, ranges, quoting and sizes: the small parts of the pictures."""

from __future__ import annotations

import doctest
import importlib
import re

import numpy as np
import pytest
from backends_sample import port

from dagc.backends.labels import human, place_lines, tail_lines
from dagc.backends.metrics import text_width
from dagc.backends.pen import Pen
from dagc.backends.quoting import identifier, label_text, quoted
from dagc.backends.ranges import group_label, groups, pair_label, spans
from dagc.backends.sizes import border, node_size
from dagc.backends.writer import Template
from dagc.ir.deployment import Kind, Row


def row(*inputs, **more) -> Row:
    defaults = {
        "index": 0,
        "op": "add",
        "title": "Add",
        "kind": Kind.COMPUTE,
        "path": "add",
        "places": np.zeros((1, 1)),
    }
    return Row(**{**defaults, **more}, inputs=inputs, outputs=inputs[:1])


@pytest.mark.parametrize("name", ["labels", "metrics", "quoting", "ranges"])
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"dagc.backends.{name}")).failed == 0


@pytest.mark.parametrize("width", [10, 20, 38, 62])
def test_lines_break_after_commas_only(width: int) -> None:
    x = port("x", batch_size=128, seq_len=1024, kv_heads=8, d_k=128)
    lines = tail_lines(row(x, x), width)
    assert re.sub(r",\n", ", ", "\n".join(lines)).splitlines() == [
        f"Input: {x.text()}, {x.text()}",
        f"Output: {x.text()}",
    ]


def test_symbolic_sizes_are_not_broken() -> None:
    x = port("x", batch_size="ceil(B / 16) * 2", seq_len="S")  # type: ignore[arg-type]
    assert "ceil(B / 16) * 2" in "\n".join(tail_lines(row(x), 20))


def test_merged_dimensions_say_what_they_merge() -> None:
    x = port("x", "expert_tokens = batch_size·seq_len·top_k/experts", expert_tokens=16)
    assert "expert_tokens = batch_size·seq_len·top_k/experts" in tail_lines(row(x), 80)


@pytest.mark.parametrize(
    ("ids", "text"), [([3], "3"), ([0, 1], "0-1"), (range(16), "0-15"), ([0, 8, 16], "0,8,16"), ([3, 2, 1], "3,2,1")]
)
def test_spans(ids, text: str) -> None:
    assert spans(np.array(list(ids))) == text


def test_long_lists_are_cut_and_counted() -> None:
    strided = np.arange(0, 64, 2)
    assert spans(strided, most=3) == "0,2,4,… 29 more"
    places = np.arange(128).reshape(64, 2)
    assert group_label(places) == "64 groups of 2: 0-1; 2-3; 4-5; 6-7; … 60 more"
    assert groups(places).count(";") == 63
    assert pair_label(np.array([[0, 8], [1, 9], [2, 10]])) == "3 pairs: 0→8; 1→9; … 1 more"


def test_long_groups_wrap() -> None:
    assert all(len(line) <= 32 for line in place_lines("2 groups of 8: 0-7; 8-15, and some more", 32))


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (480, "480 B"), (1_879_048_192, "1.88 GB"), ("2*B*S", "2*B*S bytes")]
)
def test_bytes_for_people(size: int | str, text: str) -> None:
    assert human(size) == text


def test_quoting() -> None:
    assert quoted('a"b\\c\nd') == '"a\\"b\\\\c d"'
    assert label_text("a & \\N") == "a &amp; \\\\N"
    assert [identifier(text) for text in ("q-proj", "3x", "<>", "node")] == ["q_proj", "op_3x", "op", "node"]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_line_fits_its_node(kind: Kind) -> None:
    lines = ["Add", "GPU: 3", "Input: [batch_size=8, seq_len=1024, hidden=4096]", "Output: [batch_size=8]"]
    wide, high = node_size(kind, lines)
    for number, line in enumerate(lines):
        y = abs((number + 0.5) / len(lines) - 0.5) * high
        reach = border(kind, (high, wide), y, narrow=True, entering=True) if kind is Kind.COMM else wide / 2
        assert text_width(line, 9) / 2 <= reach


def test_a_parallelogram_is_met_on_its_slant() -> None:
    size = (200, 40)
    middle = border(Kind.ROUTE, size, 0, narrow=False, entering=True)
    assert middle == pytest.approx(100 - 0.2046 * 100)
    assert border(Kind.ROUTE, size, -20, narrow=False, entering=True) < middle
    assert border(Kind.ROUTE, size, -20, narrow=False, entering=False) > middle


def test_straight_runs_become_one() -> None:
    pen = Pen(0, 5, corner=4)
    pen.forward(10)
    pen.sway(20, 5)
    pen.forward(30)
    assert pen.points == [(0, 5), (0, 5), (30, 5), (30, 5)]


def test_a_template_writes_constants_once() -> None:
    line = Template().add("100% ").fill(["a", "b"]).add(" ").number(np.array([3, 3])).add(",").number(np.array([1, 2]))
    assert line.lines(2) == ["100% a 3,1", "100% b 3,2"]
    assert line.columns == [["a", "b"], ["1", "2"]]
