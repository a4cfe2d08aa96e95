"""The rules of a drawn graph: files that break each, files that only look so, and everything dagc writes itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from dagc import driver
from dagc.backends.dot import dot_text
from dagc.frontends.dot.graphviz import Graphviz
from dagc.frontends.dot.reader import parse_dot, read_dot
from dagc.ir.deployment import Deployment
from dagc.ir.drawing import Drawing
from dagc.job import Request
from dagc.passes import views
from dagc.passes.lint import RULES, lint
from dagc.planning import plan

DATA = Path(__file__).parent / "data" / "lint"
CODES = [
    "DAG1", "DAG2", "DAG3", "DAG4", "DAG5", "DAG6", "DAG7", "DAG8", "DAG9", "NODE1", "NODE2", "NODE3", "NODE4", "NODE5",
    "DIM1", "DIM2", "DIM3", "DIM4", "DIM5", "DEP1", "DEP4", "unreadable",
]  # fmt: skip
FILES = sorted(DATA.glob("*.dot"))
VIEWS = {"gpus": views.gpus, "representative": views.representative, "spmd": views.spmd}
SAMPLE = [
    ("moe-16x16", "ep=16", False), ("moe-16x16", "tp=8,pp=2", False), ("mixtral-8x22b", "ep-replicated=8", False),
    ("mixtral-8x22b", "ep=4,tp=2,pp=2", True), ("llama-3.1-70b", "ulysses=8", False),
    ("mixtral-8x22b", "tp-sp=8", False), ("qwen3-30b-a3b", "ep8×tp2", False), ("qwen1.5-moe-a2.7b", "ep=4", True),
    ("llama-3.1-8b", "tp=1", False), ("mixtral-8x7b", "cp=2,ep=4", False),
]  # fmt: skip


@pytest.fixture(scope="module")
def graphviz() -> Iterator[Graphviz]:
    with Graphviz() as process:
        yield process


def broken(drawings: list[Drawing]) -> set[str]:
    return {found.code for drawing in drawings for found in lint(drawing)}


def test_every_rule_has_a_file_that_breaks_it_and_one_that_does_not() -> None:
    assert list(RULES) == CODES
    names = {path.name.removesuffix(".dot").split("-")[0] for path in FILES}
    assert names == {f"{code}.{kind}" for code in CODES for kind in ("broken", "right")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_break_what_they_say_and_nothing_else(path: Path, graphviz: Graphviz) -> None:
    head = path.read_text().partition("\n")[0]
    expected = {code for code in head.removeprefix("// expect:").replace(" ", "").split(",") if code}
    code, _, kind = path.stem.partition(".")
    assert (code in expected) == kind.startswith("broken")
    assert broken(read_dot(path, graphviz)) == expected


@pytest.mark.parametrize("path", [p for p in FILES if ".broken" in p.name], ids=lambda path: path.stem)
def test_findings_say_where_and_what(path: Path, graphviz: Graphviz) -> None:
    (drawing,) = read_dot(path, graphviz)
    lines = path.read_text().splitlines()
    for found in lint(drawing):
        place, _, name = found.where.removeprefix(f"{path}:").partition(" at ")
        assert 1 <= int(place) <= len(lines)
        assert not name or name.split(" -> ")[-1] in lines[int(place) - 1]
        assert found.problem
        assert found.hint or found.expected or found.actual


@cache
def deployment(model: str, strategy: str, apart: bool, symbolic: bool = False) -> Deployment:
    sizes = {"batch_size": "symbolic", "seq_len": "symbolic"} if symbolic else {}
    request = Request(model, (strategy,), baseline="none", per_expert=apart, **sizes)
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    assert job.graph is not None, job.diagnostics
    return job.graph


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: f"{case[0]} {case[1]}")
def test_what_dagc_writes_breaks_nothing(case: tuple[str, str, bool], view: str, graphviz: Graphviz) -> None:
    text = dot_text(VIEWS[view](deployment(*case)))
    (drawing,) = parse_dot(text.encode(), "x.dot", graphviz)
    assert [str(found) for found in lint(drawing)] == []
    assert all(node.families or node.kinds for node in drawing.nodes), "titles that lint does not know are not judged"


@pytest.mark.parametrize("view", VIEWS)
def test_experts_that_exchange_partial_sums_break_nothing(view: str, graphviz: Graphviz) -> None:
    """An all-reduce between an expert's projections: both sides are the same expert."""
    strategy = str(DATA.parent / "strategies" / "hidden-experts.yaml")
    text = dot_text(VIEWS[view](deployment("qwen3-30b-a3b", strategy, apart=False)))
    assert not broken(parse_dot(text.encode(), "x.dot", graphviz))


def test_symbolic_sizes_break_nothing(graphviz: Graphviz) -> None:
    text = dot_text(views.gpus(deployment("moe-16x16", "ep=16", False, symbolic=True)))
    assert broken(parse_dot(text.encode(), "x.dot", graphviz)) == set()


MUTATIONS = [
    ("Q projection\\nGPU: 3\\n", "Q projection\\n", "NODE3"),
    ("Q projection\\nGPU: 3\\n", "Q projection\\nGPU: 4\\n", "NODE3"),
    ("Softmax\\nGPU: 3\\nInput: [batch_size=8", "Softmax\\nGPU: 3\\nInput: [batch_size=9", "NODE2"),
    ("Softmax\\nGPU: 3\\nInput: [batch_size=8, ", "Softmax\\nGPU: 3\\nInput: [8, ", "NODE2"),
    ("shape=ellipse", "shape=box", "NODE1"),
    ('collective="all-to-all"', 'collective="all-reduce"', "NODE5"),
    ("sends 126 MB per GPU", "sends 129 MB per GPU", "NODE5"),
    ("kind=select, style=dashed", "kind=data", "DAG6"),
    ("ffn_residual_28_gpu3 -> gather_29", "ffn_residual_28_gpu3 -> attention_norm_2_gpu3", "DAG1"),
    ("down_proj_25_gpu3 -> all_to_all_26_gpu0", "down_proj_25_gpu3 -> combine_27_gpu3", "DIM5"),
    ("scores_8_gpu3 -> scale_9_gpu3", "scores_8_gpu3 -> scale_9_gpu4", "DAG9"),
    ('label="GPU 3"', 'label="GPU 4"', "NODE4"),
    ('tensor="layers.attention.q_proj"', 'tensor=""', "DIM1"),
    ("heads=32, d_k=128]", "heads=31, d_k=128]", "DIM3"),
    ("expert_tokens = batch_size·seq_len·top_k/experts", "", "DIM4"),
    ('repeat_id="layers_0_15"', 'repeat_id=""', ""),
]


@pytest.mark.parametrize(("old", "new", "code"), MUTATIONS, ids=[f"{m[2]} {m[0][:24]}" for m in MUTATIONS])
def test_faults_put_into_what_dagc_writes_are_found(old: str, new: str, code: str, graphviz: Graphviz) -> None:
    text = dot_text(views.gpus(deployment("moe-16x16", "ep=16", False)))
    assert old in text
    found = broken(parse_dot(text.replace(old, new).encode(), "x.dot", graphviz))
    assert code in found if code else not found
