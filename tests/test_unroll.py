"""Micro-batches drawn apart: the program so many times, in order, each on its part of the batch; all else is caught."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from dagc import cli, driver
from dagc.backends.dot import dot_text
from dagc.checking import check
from dagc.frontends.dot.graphviz import Graphviz
from dagc.frontends.dot.reader import read_dot
from dagc.ir.deployment import Deployment, EdgeKind, Kind, Run
from dagc.job import Job, Request
from dagc.passes import views
from dagc.passes.lint import lint
from dagc.passes.unroll import unroll
from dagc.passes.verify import unrolled
from dagc.planning import plan


@cache
def compiled(model: str, strategy: str, apart: bool = True, seq_len: int | str = 64) -> Job:
    request = Request(
        model, (strategy,), baseline="none", batch_size=24, seq_len=seq_len, micro_batches=3, unroll=apart
    )
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    assert job.graph is not None, job.diagnostics
    return job


CASES = [("llama-3.1-8b", "tp=2,pp=2"), ("mixtral-8x7b", "ep=4,pp=2"), ("llama-3.1-8b", "pp-interleaved=2")]


@pytest.mark.parametrize(("model", "strategy"), CASES)
def test_micro_batches_in_order_are_proven_and_lint_clean(model: str, strategy: str, tmp_path: Path) -> None:
    job = compiled(model, strategy)
    assert job.status == "valid", [str(d) for d in job.diagnostics]
    assert job.verdict is not None
    assert "micro-batches" in [layer.name for layer in job.verdict.layers]
    graph, program = job.graph, compiled(model, strategy, apart=False).graph
    assert graph is not None
    assert program is not None
    ends = sum(row.kind in (Kind.INPUT, Kind.OUTPUT) for row in program.rows)
    assert len(graph.rows) == 3 * (len(program.rows) - ends) + ends + 2
    for view in (views.gpus, views.spmd, views.representative):
        file = tmp_path / "apart.dot"
        file.write_text(dot_text(view(graph)))
        with Graphviz() as graphviz:
            assert not [str(d) for drawing in read_dot(file, graphviz) for d in lint(drawing)]


def test_every_stage_waits_for_the_micro_batch_before() -> None:
    graph = compiled(*CASES[0]).graph
    assert graph is not None
    order = [link for link in graph.links if link.kind is EdgeKind.ORDER]
    between = [(graph.rows[link.source].run, graph.rows[link.target].run) for link in order]
    assert Counter(between) == {(Run(0), Run(1)): 2, (Run(1), Run(2)): 2}
    assert all(set(graph.rows[link.source].gpus) == set(graph.rows[link.target].gpus) for link in order)
    assert "dotted" in dot_text(views.spmd(graph))


def test_one_micro_batch_is_the_program() -> None:
    graph = compiled(*CASES[0], apart=False).graph
    assert graph is not None
    program = replace(graph, micro_batches=1)
    assert unroll([program]) is program


def test_a_sequence_length_left_free() -> None:
    job = compiled(*CASES[0], seq_len="symbolic")
    assert job.status == "valid", job.diagnostics


def swapped_parts(graph: Deployment) -> Deployment:
    """Micro-batches 0 and 1 get each other's part of the batch."""
    split = next(row.index for row in graph.rows if row.op == "split")
    swap = {0: 1, 1: 0}
    links = (replace(k, output=swap.get(k.output, k.output)) if k.source == split else k for k in graph.links)
    return replace(graph, links=tuple(links))


def data_between(graph: Deployment) -> Deployment:
    """An edge of order says that it carries data."""
    at = next(i for i, link in enumerate(graph.links) if link.kind is EdgeKind.ORDER)
    link = replace(graph.links[at], kind=EdgeKind.DATA)
    return replace(graph, links=(*graph.links[:at], link, *graph.links[at + 1 :]))


def other_weights(graph: Deployment) -> Deployment:
    """One micro-batch is computed with other weights than the others."""
    at = next(row.index for row in graph.rows if row.run == Run(1) and row.op == "q_proj")
    row = graph.rows[at]
    changed = replace(row, weights=tuple(replace(port, parameter="another") for port in row.weights))
    return replace(graph, rows=(*graph.rows[:at], changed, *graph.rows[at + 1 :]))


def backwards(graph: Deployment) -> Deployment:
    """A micro-batch waits for the one after it."""
    links = (replace(k, source=k.target, target=k.source) if k.kind is EdgeKind.ORDER else k for k in graph.links)
    return replace(graph, links=tuple(links))


def lost_part(graph: Deployment) -> Deployment:
    """The whole batch is said to be more than its parts."""
    at = next(row.index for row in graph.rows if row.op == "concat")
    row = graph.rows[at]
    port = replace(row.outputs[0], local=(99, *row.outputs[0].local[1:]))
    return replace(graph, rows=(*graph.rows[:at], replace(row, outputs=(port,)), *graph.rows[at + 1 :]))


@pytest.mark.parametrize("fault", [swapped_parts, data_between, other_weights, backwards, lost_part])
def test_what_is_not_the_program_is_caught(fault: Callable[[Deployment], Deployment]) -> None:
    graph, program = compiled(*CASES[0]).graph, compiled(*CASES[0], apart=False).graph
    assert graph is not None
    assert program is not None
    assert not unrolled.check(graph, program)
    assert unrolled.check(fault(graph), program)


def test_a_folder_with_micro_batches_apart_is_checked_from_its_files(tmp_path: Path) -> None:
    asked = ["lower", "llama-3.1-8b", "--strategy", "tp=2,pp=2", "--baseline", "none", "--no-svg", "--batch-size", "8"]
    flags = ["--micro-batches", "2", "--unroll-micro-batches", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(cli.main, [*asked, *flags])
    assert done.exit_code == 0, done.output
    assert all(not found.diagnostics for found in check(Request(str(tmp_path / "out"))))
    (dag,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["dags"]
    assert "micro-batch 1" in (tmp_path / "out" / dag["dot"]).read_text()
