"""A batch in micro-batches: one program run m times, figures of all of it, memory of one."""

from pathlib import Path

import pytest
from plans import PLANS, at, logical
from xdsl.dialects.builtin import StringAttr

from dagc import driver
from dagc.backends.dot import dot_text
from dagc.diagnostics import Refused
from dagc.frontends.strategy import resolve
from dagc.ir.dialect import parse_module
from dagc.ir.module import annotate, plan_of
from dagc.job import Job, Request
from dagc.passes import views
from dagc.passes.verify import micro_batches
from dagc.pipeline import text_of
from dagc.planning import plan


def compiled(**asked: object) -> Job:
    request = Request("moe-16x16", ("tp=8,pp=2",), baseline="none", batch_size=64, **asked)  # type: ignore[arg-type]
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    return job


def test_figures_are_of_the_whole_batch_and_values_of_one_micro_batch() -> None:
    (whole, *_), (parts, *_) = (compiled(micro_batches=m).figures["classes"] for m in (1, 4))
    same = ("parameters", "weight_bytes", "kv_cache_bytes", "flops", "bytes_sent", "bytes_received")
    assert {key: parts[key] for key in same} == {key: whole[key] for key in same}
    assert parts["activation_peak_bytes"] * 3.9 < whole["activation_peak_bytes"]


def test_it_is_proven_and_drawn_once_with_its_number() -> None:
    job = compiled(micro_batches=4)
    assert job.status == "valid"
    assert job.verdict is not None
    assert job.verdict.holds
    assert job.graph is not None
    assert job.graph.rows[0].outputs[0].local == (16, 1024, 4096)
    text = dot_text(views.spmd(job.graph))
    assert 'micro_batches="4"' in text
    assert "micro-batches" in text


def test_a_batch_that_does_not_divide_is_refused_with_what_works() -> None:
    (found,) = compiled(micro_batches=5).diagnostics
    assert (found.code, found.hint) == ("micro-batches", "use --micro-batches 4")


def test_a_strategy_may_state_them_and_a_flag_overrides() -> None:
    inline = {"mine": {"mesh": {"tp": 2}, "rules": [{"at": "*", "cut": {"tp": "heads"}}], "micro_batches": 3}}
    assert resolve("mine", gpus=2, inline=inline).micro_batches == 3
    assert resolve("mine", gpus=2, inline=inline, micro_batches=2).micro_batches == 2
    other = {"other": {"mesh": {"dp": 2}, "rules": [{"at": "*", "cut": {"dp": "batch_size"}}], "micro_batches": 2}}
    with pytest.raises(Refused, match="2 and 3 micro-batches"):
        resolve("mine,other", gpus=4, inline=inline | other)


def test_a_program_that_joins_sequences_cannot_run_in_micro_batches() -> None:
    module = logical()
    annotate(module, plan=resolve("tp=2", gpus=2, micro_batches=4))
    assert not list(micro_batches.check(module))
    at(module, "layers.attention.core.softmax").properties["over"] = StringAttr("batch_size")
    assert [found.code for found in micro_batches.check(module)] == ["micro-batches"]
    annotate(module, plan=PLANS["tp"])
    assert not list(micro_batches.check(module))


def test_their_number_is_in_the_text_of_a_module() -> None:
    module = logical()
    annotate(module, plan=resolve("tp=2,pp=2", gpus=4, micro_batches=4))
    read = plan_of(parse_module(text_of(module), "module"))
    assert read is not None
    assert read.micro_batches == 4
    assert read.stages is not None


DESCRIBED = """\
model: llama-3.1-70b
cluster: {%s}
strategies: [%s]
baseline: none
sizes: {batch_size: %d, seq_len: 4096}
"""


def described(tmp_path: Path, strategy: str, batch: int, cluster: str = "gpu: H100, gpus: 4", **asked: object) -> Job:
    (tmp_path / "m.yaml").write_text(DESCRIBED % (cluster, strategy, batch))
    request = Request(str(tmp_path / "m.yaml"), **asked)  # type: ignore[arg-type]
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    return job


def needs(job: Job) -> int:
    return max(part["peak_bytes"] for part in job.figures["classes"])


def test_the_fewest_that_fit_are_taken_where_none_are_given(tmp_path: Path) -> None:
    job = described(tmp_path, "tp", 64)
    assert (job.status, job.micro_batches) == ("valid", 2)
    assert needs(job) <= job.cluster.memory < needs(described(tmp_path, "tp", 64, micro_batches=1))
    (said,) = (text for text in job.assumed if "micro_batches" in text)
    assert said.endswith("the fewest that fit: at once the batch needs 81.4 GB a GPU, so it needs 69.1 of 80.0 GB)")


def test_every_replica_has_a_part_of_every_micro_batch(tmp_path: Path) -> None:
    job = described(tmp_path, '"dp=2,tp=4"', 150, "gpu: H100, gpus: 8")
    assert (job.status, job.micro_batches) == ("valid", 3)


def test_given_ones_are_kept_though_they_do_not_fit(tmp_path: Path) -> None:
    job = described(tmp_path, "tp", 64, micro_batches=1)
    (found,) = job.diagnostics
    assert (found.code, found.severity, job.micro_batches) == ("DEP5", "error", 1)


def test_what_no_number_makes_fit_is_refused_with_the_arithmetic(tmp_path: Path) -> None:
    (found,) = described(tmp_path, "tp", 64, "gpu: H100, gpus: 2").diagnostics
    assert (found.code, found.severity) == ("DEP5", "error")
    assert found.actual == (
        "weights 70.6 GB + KV cache 42.9 GB + activations 37.9 GB (0.6 GB in the smallest micro-batches)"
    )


def test_memory_that_is_only_assumed_is_a_warning(tmp_path: Path) -> None:
    (found,) = described(tmp_path, "tp", 64, "gpus: 2").diagnostics
    assert (found.code, found.severity) == ("DEP5", "warning")


def test_nothing_is_sought_where_the_batch_is_left_free(tmp_path: Path) -> None:
    job = described(tmp_path, "tp", 64, batch_size="symbolic")
    assert (job.status, job.micro_batches) == ("valid", 1)
