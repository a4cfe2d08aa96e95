"""Interleaved stages: runs of layers dealt out in turn, so that values go round all stages."""

from __future__ import annotations

import pytest

from dagc import driver
from dagc.diagnostics import Diagnostic, Refused
from dagc.frontends.build import build
from dagc.ir.dialect import parse_module
from dagc.ir.module import annotate, plan_of
from dagc.job import Job, Request
from dagc.pipeline import text_of
from dagc.planning import plan


def jobs(strategy: str, **asked: object) -> list[Job]:
    """Llama 3.1 8B has 32 layers."""
    request = Request("llama-3.1-8b", (strategy,), baseline="none", batch_size=8, seq_len=128, **asked)  # type: ignore[arg-type]
    return [driver.compile_job(job, request) for job in plan(request)]


def refused(strategy: str, **asked: object) -> Diagnostic:
    try:
        (job,) = jobs(strategy, **asked)
    except Refused as found:
        return found.diagnostics[0]
    return job.diagnostics[0]


def spans(job: Job) -> list[tuple[str, list[int]]]:
    """The layers of every run, and the GPUs they are on."""
    assert job.graph is not None
    rows = (row for row in job.graph.rows if row.op == "q_proj")
    return [(row.repeat.layers, row.gpus.tolist()) for row in rows if row.repeat]


def test_runs_are_dealt_out_in_turn_and_the_last_stage_sends_to_the_first() -> None:
    (job,) = jobs("pp-interleaved=4,tp=2")
    assert job.status == "valid"
    assert job.verdict is not None
    assert job.verdict.holds
    stages = [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert spans(job) == [(f"{4 * i}-{4 * i + 3}", stages[i % 4]) for i in range(8)]
    assert job.graph is not None
    transfers = [row.places.tolist() for row in job.graph.rows if row.is_transfer]
    assert len(transfers) == 4 * 2 - 1
    assert transfers[3] == [[6, 0], [7, 1]]


def test_twice_the_runs_send_twice_as_much_and_hold_as_much() -> None:
    """PTD-P, section 2.2: v runs a stage multiply what a stage sends by v; the ends send one boundary less."""
    (plain,), (dealt,) = jobs("pp=4"), jobs("pp-interleaved=4")
    boundary = 8 * 128 * 4096 * 2
    sent = [[part["bytes_sent"] for part in job.figures["classes"]] for job in (plain, dealt)]
    assert sent == [[boundary] * 3 + [0], [2 * boundary] * 3 + [boundary]]
    weights = [[part["parameters"] for part in job.figures["classes"]] for job in (plain, dealt)]
    assert weights[0] == weights[1]


def test_megatrons_flag_says_how_many_layers_a_run_has() -> None:
    (job,) = jobs("pp=4", layers_per_chunk=2)
    assert job.plan is not None
    assert job.plan.stages is not None
    assert job.plan.stages.chunks == 4
    assert spans(job)[4] == ("8-9", [0])


def test_any_cut_may_be_interleaved() -> None:
    (job,) = jobs("pp-interleaved=2", stages="9,8,8,7")
    assert spans(job) == [("0-8", [0]), ("9-16", [1]), ("17-24", [0]), ("25-31", [1])]


@pytest.mark.parametrize(
    ("strategy", "asked", "code", "text"),
    [
        ("pp-interleaved=3", {}, "stages", "pp × chunks = 3 × 2 = 6"),
        ("pp-interleaved=32", {}, "OUT6", "at most 16 stages"),
        ("pp-interleaved=2", {"stages": "16,16"}, "stages", "pp × 2 chunks = 4"),
        ("pp=4", {"layers_per_chunk": 3}, "stages", "one of 1, 2, 4, 8"),
        ("pp=4", {"layers_per_chunk": 2, "stages": "fit"}, "stages", "no --stages fit"),
    ],
)
def test_what_cannot_be_dealt_out_is_refused(strategy: str, asked: dict[str, object], code: str, text: str) -> None:
    found = refused(strategy, **asked)
    assert found.code == code
    assert text in f"{found.problem} {found.expected} {found.hint}"


def test_the_number_of_runs_is_in_the_text_of_a_module() -> None:
    (job,) = jobs("pp-interleaved=4")
    assert job.plan is not None
    module = build(job.model)
    annotate(module, plan=job.plan)
    read = plan_of(parse_module(text_of(module), "module"))
    assert read is not None
    assert read.stages is not None
    assert (read.stages.layers, read.stages.chunks) == ("even", 2)
