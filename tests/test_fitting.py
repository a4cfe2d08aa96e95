"""Stages that costs decide: what the solver counted is what the lowered deployment measures, and what fits no cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dagc import driver
from dagc.diagnostics import Diagnostic, Refused
from dagc.frontends.build import build
from dagc.frontends.catalogue import find_model
from dagc.ir.dialect import context
from dagc.ir.module import annotate, plan_of
from dagc.ir.plan import Stages
from dagc.job import Job, Request
from dagc.opt import PlanPass
from dagc.passes.place import PlacePass
from dagc.planning import plan

MODEL = """\
model: {name: m, layers: 12, hidden: 64, heads: 8, d_k: 8, ffn: 256, gated: false, vocab: 4096, %s}
cluster: {gpu: H100%s}
baseline: none
sizes: {batch_size: 8, seq_len: 64}
strategies: [%s]
"""
LAYERWISE = "{mine: {mesh: {pp: gpus}, stages: {axis: pp, layers: fit%s}}}"


def jobs(tmp_path: Path, strategy: str, model: str = "tied: false", cluster: str = "", **more: object) -> list[Job]:
    (tmp_path / "m.yaml").write_text(MODEL % (model, cluster, strategy))
    request = Request(str(tmp_path / "m.yaml"), **more)  # type: ignore[arg-type]
    return [driver.compile_job(job, request) for job in plan(request)]


def counts(job: Job) -> tuple[int, ...]:
    assert job.plan is not None
    assert job.plan.stages is not None
    assert isinstance(job.plan.stages.layers, tuple)
    return job.plan.stages.layers


def refused(tmp_path: Path, strategy: str, **more: object) -> Diagnostic:
    with pytest.raises(Refused) as caught:
        jobs(tmp_path, strategy, **more)  # type: ignore[arg-type]
    return caught.value.diagnostics[0]


@pytest.mark.parametrize("tied", ["tied: false", "tied: true"])
@pytest.mark.parametrize(("mesh", "gpus"), [("pp=3", 3), ("dp=2,tp=2,pp=4", 16), ("pp", 1)])
def test_a_stage_takes_what_the_solver_counted(tmp_path: Path, tied: str, mesh: str, gpus: int) -> None:
    (job,) = jobs(tmp_path, f'"{mesh}"', tied, stages="fit")
    assert job.status == "valid"
    assert job.cluster.gpus == gpus
    (said,) = (text for text in job.assumed if "stages = " in text)
    largest = max(part["peak_bytes"] for part in job.figures["classes"])
    assert f"the fullest takes {largest / 1e6:.3g} MB of 80 GB: weights + kv cache + peak" in said


def test_the_ends_hold_fewer_layers_than_the_middle(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, '"pp=4"', "tied: false", stages="fit")
    found = counts(job)
    assert (sum(found), len(found)) == (12, 4)
    assert max(found[0], found[-1]) < min(found[1:-1])


def test_a_capacity_decides_how_many_stages(tmp_path: Path) -> None:
    (balanced,) = jobs(tmp_path, LAYERWISE % ", capacity: 1500 kB, of: [weights]")
    (filled,) = jobs(tmp_path, LAYERWISE % ", capacity: 1500 kB, of: [weights], how: fewest")
    assert (counts(filled), counts(balanced)) == ((9, 3), (6, 6))
    assert filled.cluster.gpus == len(counts(filled))
    assert {filled.status, balanced.status} == {"valid"}


def test_fewest_leaves_no_gpu_idle(tmp_path: Path) -> None:
    problem = refused(tmp_path, LAYERWISE % ", how: fewest", gpus=4)
    assert problem.code == "OUT6"
    assert "1 stages hold the layers, but pp = 4: 3 GPUs idle" in problem.problem


def test_a_layer_larger_than_the_capacity_is_refused_with_the_arithmetic(tmp_path: Path) -> None:
    problem = refused(tmp_path, LAYERWISE % ", capacity: cache, of: [weights, buffers]", cluster=", cache: 300 kB")
    assert (problem.code, problem.where.rsplit(":", 1)[1]) == ("capacity", "5")
    assert problem.expected == "at most 300 kB (the cache of H100)"
    assert problem.actual == "weights 623 kB + buffers 4.19 MB = 4.82 MB"
    assert "cut layers too" in problem.hint or "a capacity of 4.82 MB" in problem.hint


def test_the_degree_of_tensor_parallelism_that_fits_is_named(tmp_path: Path) -> None:
    problem = refused(tmp_path, LAYERWISE % ", capacity: 1 MB, of: [weights, buffers]")
    assert "pp=" in problem.hint
    assert "tp=" in problem.hint
    mesh = problem.hint.split("with ")[1].split(" ")[0]
    (job,) = jobs(tmp_path, LAYERWISE % ", capacity: 1 MB, of: [weights, buffers]", mesh=mesh)
    assert job.status == "valid"


@pytest.mark.parametrize(
    ("strategy", "more", "code", "text"),
    [
        (LAYERWISE % ", capacity: 5 MB, of: [weights, activations, buffers]", {"gpus": 2}, "capacity", "at least"),
        ('"pp=16"', {"stages": "fit"}, "OUT6", "at most 12"),
        ('"pp=2"', {"stages": "fit", "batch_size": "symbolic"}, "stages", "--batch-size"),
        ('"pp=2"', {"stages": "fitted"}, "stages", "even, uneven, fit"),
        ("{mine: {mesh: {pp: 2}, stages: {axis: pp, layers: even, capacity: 3 GB}}}", {}, "stages", "fit or flops"),
        ("{mine: {mesh: {pp: 2}, stages: {axis: pp, layers: fit, capacity: some}}}", {}, "wrong-type", "memory or"),
        ("{mine: {mesh: {pp: 2}, stages: {axis: pp, layers: fit, of: [fat]}}}", {}, "wrong-type", "peak"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    tmp_path: Path, strategy: str, more: dict[str, object], code: str, text: str
) -> None:
    problem = refused(tmp_path, strategy, **more)
    assert problem.code == code
    assert text in f"{problem.expected} {problem.hint}"


def test_a_cache_that_no_one_knows(tmp_path: Path) -> None:
    unknown = ", memory: 8 GB, links: {inside: 1 GB/s, across: 1 GB/s}".replace("H100", "")
    text = MODEL.replace("gpu: H100", "gpu: mine") % ("tied: false", unknown, LAYERWISE % ", capacity: cache")
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(Refused, match="the cache of mine is not known"):
        plan(Request(str(tmp_path / "m.yaml")))


def test_llama_405b_in_80_gb_gpus() -> None:
    """Fewest stages of 8-way tensor parallelism; over 16, the ends hold one layer less, as Meta cut it."""
    request = Request("llama-3.1-405b", ("tp=8,pp",), baseline="none", stages="fit", batch_size=8, seq_len=1024)
    assert [counts(job) for job in plan(request)] == [(63, 63)]
    request = Request("llama-3.1-405b", ("tp=8,pp=16",), baseline="none", stages="fit", batch_size=8, seq_len=1024)
    assert [counts(job) for job in plan(request)] == [(7, *(8,) * 14, 7)]


UNEQUAL = "kinds: [{gpu: H100, gpus: 2%s}, {gpu: A100, gpus: 2%s}]"


def unequal(tmp_path: Path, layers: str, fast: str = "", slow: str = "", **more: object) -> Job:
    """Twelve layers over two stages of GPUs of two kinds."""
    strategy = f"{{mine: {{mesh: {{pp: 2, tp: 2}}, uses: [tp], stages: {{axis: pp, layers: {layers}}}}}}}"
    text = MODEL.replace("gpu: H100%s", "%s").replace("vocab: 4096, ", "") % (
        "tied: false",
        UNEQUAL % (fast, slow),
        strategy,
    )
    (tmp_path / "m.yaml").write_text(text)
    request = Request(str(tmp_path / "m.yaml"), **more)  # type: ignore[arg-type]
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    return job


def test_stages_of_unequal_gpus_take_equally_long(tmp_path: Path) -> None:
    """989 and 312 TFLOP/s: of twelve layers nine and three are nearest to 3.17 : 1."""
    job = unequal(tmp_path, "flops")
    assert (job.status, counts(job)) == ("valid", (9, 3))
    times = [part["compute_nanoseconds"] for part in job.figures["classes"]]
    flops = [part["flops"] for part in job.figures["classes"]]
    assert times == [round(flops[0] / 989e12 * 1e9), round(flops[1] / 312e12 * 1e9)]
    assert job.figures["balance"]["compute_nanoseconds"] == round(max(times) / (sum(times) / 2), 4)
    assert job.cluster.gpu == "2 × H100 + 2 × A100"


def test_the_faster_kind_takes_no_more_than_it_holds(tmp_path: Path) -> None:
    job = unequal(tmp_path, "flops", fast=", memory: 1 MB")
    assert counts(job) < (9, 3)
    assert job.figures["classes"][0]["peak_bytes"] <= job.figures["classes"][0]["capacity_bytes"] == 10**6


def test_the_fullest_is_as_empty_as_can_be_for_what_it_holds(tmp_path: Path) -> None:
    job = unequal(tmp_path, "fit", ", memory: 20 MB", ", memory: 10 MB")
    found = counts(job)
    assert found[0] > found[1]
    assert [part["capacity_bytes"] for part in job.figures["classes"]] == [20 * 10**6, 10**7]


@pytest.mark.parametrize(
    ("cluster", "code", "text"),
    [
        ("kinds: [{gpu: H100, gpus: 2}, {gpu: A100}]", "missing-key", "key gpus is missing"),
        ("kinds: [{gpu: H100, gpus: 2}, {gpu: fast, gpus: 2}]", "unknown-gpu", "fast"),
        ("kinds: [{gpu: H100, gpus: 2}, {gpu: A100, gpus: 2}], memory: 8 GB", "duplicate", "memory is stated beside"),
    ],
)
def test_kinds_of_gpus_that_make_no_cluster(tmp_path: Path, cluster: str, code: str, text: str) -> None:
    (tmp_path / "m.yaml").write_text(MODEL.replace("gpu: H100%s", "%s") % ("tied: false", cluster, "tp"))
    with pytest.raises(Refused) as caught:
        plan(Request(str(tmp_path / "m.yaml")))
    (problem,) = caught.value.diagnostics
    assert problem.code == code
    assert text in problem.problem


def test_as_many_gpus_as_the_kinds_have(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="the cluster is 2 × H100 \\+ 2 × A100"):
        unequal(tmp_path, "flops", gpus=8)


def test_passes_by_hand_fit_too_and_place_alone_cannot() -> None:
    """`dagc opt -p 'plan{strategy=pp stages=fit …},place'`; a module's text may still say `stages pp fit`."""
    module = build(find_model("llama-3.1-8b", Path()))
    PlanPass("pp", gpus=4, stages="fit", batch_size=8, seq_len=1024).apply(context(), module)
    made = plan_of(module)
    assert made is not None
    assert made.stages is not None
    assert isinstance(made.stages.layers, tuple)
    assert sum(made.stages.layers) == 32
    annotate(module, plan=replace(made, stages=Stages("pp", "fit")))
    with pytest.raises(Refused, match="how fit cuts the layers is not found yet"):
        PlacePass().apply(context(), module)
