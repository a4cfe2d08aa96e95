"""Methods of papers: found by what they say of how they work, with their parameters, sources and remarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagc.diagnostics import Refused
from dagc.frontends.paper.document import Block, Document, Kind, Part
from dagc.frontends.paper.facts import Fact, Method, Remark, Source, Value, Verdict
from dagc.frontends.paper.formats import document_of
from dagc.frontends.paper.lexicon.finding import facts_of
from dagc.frontends.paper.methods.finding import found_in, methods_of
from dagc.frontends.paper.methods.mechanisms import mechanisms
from dagc.frontends.paper.methods.notation import degrees

PAPERS = Path(__file__).parent / "data" / "papers"


def facts(**values: Value) -> list[Fact]:
    return [Fact(key, value, Source(1, "")) for key, value in values.items()]


def paper(tmp_path: Path, text: str, **values: Value) -> tuple[dict[str, list[Method]], list[Remark]]:
    """Methods by role, and remarks, of a paper in Markdown."""
    path = tmp_path / "paper.md"
    path.write_text(text)
    methods, remarks = methods_of(document_of(path), facts(**values))
    by_role: dict[str, list[Method]] = {"baseline": [], "proposed": []}
    for method in methods:
        by_role[method.role].append(method)
    return by_role, remarks


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("TP=8, PP=2", {"tp": 8, "pp": 2}),
        ("TP8×PP2", {"tp": 8, "pp": 2}),
        ("TP8PP2", {"tp": 8, "pp": 2}),
        ("PP2-TP8", {"pp": 2, "tp": 8}),
        ("TP/PP = 8/2", {"tp": 8, "pp": 2}),
        ("TP x PP = 8 x 2", {"tp": 8, "pp": 2}),
        ("8-way tensor parallelism with two pipeline stages", {"tp": 8, "pp": 2}),
        ("tensor-parallel degree 8", {"tp": 8}),
        ("tensor_parallel_size=8", {"tp": 8}),
        ("tensor parallelism (TP) degree of 8", {"tp": 8}),
        ("tensor parallel 8, pipeline parallel 2", {"tp": 8, "pp": 2}),
        ("every card holds one eighth of each matrix", {"tp": 8}),
        ("two replicas of TP=8", {"dp": 2, "tp": 8}),
        ("EP=DP=16", {"ep": 16, "dp": 16}),
        ("a pipeline of four stages", {"pp": 4}),
        ("attention TP4 with DP8, EP32", {"tp": 4, "dp": 8, "ep": 32}),
        ("ETP=2", {"etp": 2}),
        ("an expert-parallel degree of 16 or more is wide", {}),
        ("a TP 1.5x faster", {}),
    ],
)
def test_degrees_in_every_notation(text: str, sizes: dict[str, int]) -> None:
    assert {d.axis: d.size for d in degrees(text)} == sizes


def test_every_mechanism_of_the_table_is_typed() -> None:
    assert all(one.strategy or one.body for one in mechanisms().values())
    assert {name for one in mechanisms().values() for name in one.over} <= set(mechanisms())


def test_a_baseline_that_is_only_described_is_found(tmp_path: Path) -> None:
    text = """# Cards of their own

## Setup
There are sixteen GPUs. The baseline uses eight-way tensor parallelism inside a node and two stages.

## Method
Every GPU hosts exactly one expert of a layer; tokens are sent to the GPU of their expert and back.
"""
    by_role, _ = paper(tmp_path, text, gpus=16, experts=16)
    assert [m.strategy for m in by_role["baseline"]] == ["tp=8,pp=2"]
    assert [m.strategy for m in by_role["proposed"]] == ["ep=16"]
    assert by_role["baseline"][0].sources[0].line == 4


def test_no_baseline_is_declared(tmp_path: Path) -> None:
    text = "# Rings\n\n## Method\nKeys and values circulate from GPU to GPU around a ring of 8 GPUs.\n"
    by_role, remarks = paper(tmp_path, text, gpus=8)
    assert by_role["baseline"] == []
    assert [m.strategy for m in by_role["proposed"]] == ["ring=8"]
    assert [r.verdict for r in remarks if r.about == "baseline"] == [Verdict.ASSUMED]


def test_what_is_turned_down_is_no_method(tmp_path: Path) -> None:
    text = """# Experts

## Method
Unlike ring attention, which passes keys and values around a ring, we place one expert per GPU.
Data parallelism may be used across copies. Tokens are dispatched to experts with an all-to-all.
"""
    by_role, _ = paper(tmp_path, text, gpus=8, experts=8)
    assert [m.mechanism for m in by_role["proposed"]] == ["ep"]


def test_an_unknown_method_is_missing_with_the_nearest(tmp_path: Path) -> None:
    text = """# Holograms

## Method
We project activations onto a holographic plane shared by all GPUs. The baseline is TP=8.
"""
    by_role, remarks = paper(tmp_path, text, gpus=8)
    assert [m.strategy for m in by_role["baseline"]] == ["tp=8"]
    assert by_role["proposed"] == []
    (missing,) = [r for r in remarks if r.verdict is Verdict.MISSING]
    assert "strategy file" in missing.text


def test_words_stand_on_their_line() -> None:
    block = Block(Kind.PROSE, "The baseline is TP=8, PP=2.", (2, 3), ("Setup",), Part.SETUP)
    document = Document("p", (block,), ("# Setup", "The **baseline** is", "TP=8, PP=2."))
    (method, *_), _ = methods_of(document, facts(gpus=16))
    assert method.sources[0] == Source(3, "TP=8, PP=2")


TWO_LEVEL = """# Slicer: heads and features

## Method
Heads are split into groups, and the features of every head into slices. Each device computes
softmax(Q_ij K_ij^T / sqrt(d_s)) V_ij on its own slice. Every device receives the input X.

## Setup
The slice width is 64; the 16 partitions run on sixteen GPUs. We compare with TP=8 and PP=2.
"""
SIZES = {"gpus": 16, "heads": 32, "d_k": 128, "ffn": 16384, "batch_size": 32, "seq_len": 8192}


def test_two_levels_follow_from_the_slice_width(tmp_path: Path) -> None:
    by_role, remarks = paper(tmp_path, TWO_LEVEL, **SIZES)
    (method,) = by_role["proposed"]
    assert method.name == "two-level"
    assert method.body is not None
    assert method.body["mesh"] == {"hg": 8, "ds": 2}
    worked = {r.about: r.arithmetic for r in remarks if r.verdict is Verdict.DERIVED}
    assert worked["ds"] == "ds = d_k / slice_width = 128 / 64 = 2"
    assert worked["hg"] == "hg = partitions / ds = 16 / 2 = 8"


def test_a_softmax_over_a_slice_is_flagged_and_the_exact_way_drawn(tmp_path: Path) -> None:
    by_role, remarks = paper(tmp_path, TWO_LEVEL, **SIZES)
    flags = {r.about: r for r in remarks if r.verdict is Verdict.FLAG}
    assert {"exactness", "scale", "input"} <= set(flags)
    assert "2 = 64 heads of 128 / 2 = 64" in flags["exactness"].arithmetic
    assert any("--reading exactness=literal" in other for other in flags["exactness"].instead)
    cost = next(r for r in remarks if r.about == "communication of exactness")
    assert "8,589,934,592" in cost.arithmetic
    assert "134,217,728" in cost.arithmetic
    assert by_role["proposed"][0].body
    assert "unpaid" not in str(by_role["proposed"][0].body)


def test_readings_change_the_method(tmp_path: Path) -> None:
    path = tmp_path / "paper.md"
    path.write_text(TWO_LEVEL)
    document = document_of(path)
    found = found_in(document, facts(**SIZES), {"exactness": "literal"})
    assert (found.points[0].id, found.points[0].chosen, found.points[0].why) == ("exactness", "literal", "as asked for")
    assert "unpaid" in str(found.methods[-1].body)
    picked = {"exactness": "gather-qk", "aggregation": "concatenate"}
    body = found_in(document, facts(**SIZES), picked).methods[-1].body
    assert body is not None
    assert list(body["alternatives"]) == ["gather q and k"]


@pytest.mark.parametrize("picked", [{"exactness": "nearly"}, {"nothing": "literal"}])
def test_a_reading_that_no_method_has_is_refused(tmp_path: Path, picked: dict[str, str]) -> None:
    path = tmp_path / "paper.md"
    path.write_text(TWO_LEVEL)
    with pytest.raises(Refused, match="unknown-value"):
        found_in(document_of(path), facts(**SIZES), picked)


def test_a_ring_that_does_not_say_how_outputs_merge_is_flagged(tmp_path: Path) -> None:
    text = "# Rings\n\n## Method\nKeys and values circulate from GPU to GPU around a ring.{}\n"
    _, remarks = paper(tmp_path, text.format(""), gpus=8)
    assert [r.about for r in remarks if r.verdict is Verdict.FLAG] == ["exactness"]
    _, remarks = paper(tmp_path, text.format(" Outputs are merged by their log-sum-exp."), gpus=8)
    assert [r.about for r in remarks if r.verdict is Verdict.FLAG] == []


MANNERS = {
    "attention_pool": ("tp=8,pp=2", {"base": {"tp": 8}, "pool": {"fp": 8}}),
    "degrees_only": ("tp=8", "ep=4,tp=2"),
    "grid": ("tp=16", "row=4,col=4"),
    "head_sequence_exchange": ("tp=8", "ulysses=8"),
    "helix_flow": ("tp=8,pp=2", {"": {"hg": 8, "ds": 2}}),
    "interleaved": ("pp=4", "pp-interleaved=4"),
    "kv_parallel": ("tp=8", "tpa=2,kvp=4,ep=1,tpf=8"),
    "layer_budget_table": ("tp=8,pp=2", {"": {"pp": 16}}),
    "norms_in_parts": ("tp=8", "tp-sp=8"),
    "phases_apart": ("tp=8,dp=2", "pd=16,tp=8,dp=8,dtp=1,kvp=1"),
    "ring_zigzag": ("tp=8", "ring-zigzag=8"),
    "separated_experts": ("tp=8,pp=2", {"attention": {"dp": 8, "tp": 1}, "experts": {"ep": 8, "etp": 1}}),
    "split_cache": ("tp=8", "flash-decoding=8"),
    "unit_of_32": ("tp=8,pp=4", {"": {"dp": 8, "tp": 4}}),
    "unknown_method": ("tp=8", None),
    "wide_experts_prose": ("pp=2,tp=8", "ep=16"),
    "zero_three": ("dp=16", "fsdp=16"),
}
"""Baseline and proposal of each paper of tests/data/papers/methods: a strategy's text, or the meshes of its body."""


@pytest.mark.parametrize("name", MANNERS)
def test_methods_are_found_by_what_is_said_of_them(name: str) -> None:
    document = document_of(PAPERS / "methods" / f"{name}.md")
    methods, _ = methods_of(document, facts_of(document))
    found = {method.role: method for method in reversed(methods)}
    baseline, proposed = MANNERS[name]
    assert found["baseline"].strategy == baseline
    assert meshes(found.get("proposed")) == proposed
    assert all(source.quote in document.lines[source.line - 1] for m in methods for source in m.sources)


def meshes(method: Method | None) -> object:
    """A strategy's text, or the meshes of its body by pool."""
    if method is None or method.body is None:
        return method and method.strategy
    body: dict[str, Any] = dict(method.body)
    return {name: pool["mesh"] for name, pool in body.get("pools", {"": body}).items()}


def test_every_paper_of_the_table_is_there() -> None:
    assert {path.stem for path in (PAPERS / "methods").iterdir()} == set(MANNERS)
