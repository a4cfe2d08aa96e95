"""The answer key of the paper on layers grouped by a cache: every fact in it, for both deployments, and its flags.

The key leaves norm gains out; dagc counts their 8,192 bytes a layer. Its footprint is `passes/footprint.py`'s.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from key_walk import (
    DATA,
    SOURCES,
    check_collectives,
    check_core,
    check_operators,
    check_pipeline,
    compiled,
    key_of,
    parameters,
    products,
)

from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.ir.module import annotate, sizes_of
from dagc.job import Job, Request
from dagc.passes.footprint import Footprint, footprint
from dagc.passes.partition import fewest
from dagc.pipeline import lower
from dagc.planning import plan

KEY = key_of("layerwise_cache")
OF = ("weights", "activations", "buffers")
GAINS = 2 * KEY["model"]["D"] * KEY["model"]["bytes_per_value"]
"""Bytes of a layer's two norms."""
ROLES = pytest.mark.parametrize("role", ["baseline", "proposed"])


@pytest.fixture(scope="module", params=SOURCES)
def jobs(request: pytest.FixtureRequest) -> dict[str, Job]:
    return compiled("layerwise_cache", request.param)


@pytest.fixture(scope="module")
def layers(jobs: dict[str, Job]) -> Footprint:
    """The model on one accelerator."""
    job = jobs["proposed"]
    assert job.plan is not None
    logical = build(job.model)
    sizes = replace(sizes_of(logical), bound=tuple(job.bound.items()))
    annotate(logical, sizes=sizes, plan=replace(job.plan, axes=(), stages=None))
    return footprint(lower(logical))


@ROLES
def test_dims_of_every_operator(jobs: dict[str, Job], role: str) -> None:
    assert jobs[role].status == "valid"
    check_operators(jobs[role], KEY[role])
    check_core(jobs[role], KEY[role])


@ROLES
def test_collectives_and_volumes(jobs: dict[str, Job], role: str) -> None:
    check_collectives(jobs[role], KEY[role])


@ROLES
def test_stages_and_boundaries(jobs: dict[str, Job], role: str) -> None:
    groups = [{"gpus": [group["gpu"]], "layers": group["layers"]} for group in KEY["proposed"]["groups"]]
    check_pipeline(jobs[role], {"stages": groups} | KEY[role])


@ROLES
def test_parameters_flops_and_balance(jobs: dict[str, Job], role: str) -> None:
    key, figures = KEY[role], jobs[role].figures
    count = key.get("repeat_per_stage") or key["repeat_per_gpu"]
    assert parameters(jobs[role], KEY["model"]["D"], count) == {key["params_per_gpu"]}
    flops = sum(products(jobs[role]).values())
    assert flops == key.get("flops_per_gpu_per_layer", key.get("flops_per_gpu", 0) // count)
    assert figures["balance"]["parameters"] == figures["balance"]["flops"] == 1.0
    if role == "proposed":
        assert figures["total_parameters"] - 2 * 2048 * 32 == key["params_total_unique"]


def test_parts_match_the_accelerators(jobs: dict[str, Job]) -> None:
    for module in jobs["baseline"].figures["modules"]:
        if module["module"] in ("layers.attention", "layers.ffn"):
            assert module["parts"] == KEY["baseline"]["parts"]["attention"]["distinct"]
    stages = jobs["proposed"].figures["classes"]
    assert len(stages) == KEY["proposed"]["parts"]["layers"]["distinct"]
    assert all(module["matches"] for job in jobs.values() for module in job.figures["modules"])


def test_the_footprint_of_a_layer(layers: Footprint) -> None:
    key = KEY["footprint"]
    for part in OF:
        gains = GAINS if part == "weights" else 0
        assert set((layers.parts[part] - gains).tolist()) == {key[part]}
    assert layers.load(OF).starting(0)[0] - GAINS == key["size_per_layer"]


def test_groups_and_what_they_take(jobs: dict[str, Job], layers: Footprint) -> None:
    key, load, budget = KEY["footprint"], layers.load(OF), KEY["cluster"]["budget_bytes"]
    assert (load.starting(0) <= budget).sum() == key["layers_that_fit"]
    assert fewest(load, budget) == key["greedy_group_sizes"]
    counts = jobs["proposed"].plan.stages.layers  # type: ignore[union-attr]
    assert list(counts) == [len(group["layers"]) for group in KEY["proposed"]["groups"]]  # type: ignore[arg-type]
    sizes = [taken - 2 * GAINS for taken in load.stages(counts)]  # type: ignore[arg-type]
    assert sizes == [group["bytes"] for group in KEY["proposed"]["groups"]]
    assert max(sizes) == KEY["proposed"]["max_group_bytes"]


def test_greedy_against_balanced_is_said(jobs: dict[str, Job]) -> None:
    (said,) = (text for text in jobs["proposed"].assumed if "stages = " in text)
    assert "11 would fit; the fullest takes 537 MB of 900 MB: weights + activations + buffers" in said


def test_filling_leaves_five_accelerators_idle(tmp_path: Path) -> None:
    text = (DATA / "layerwise_cache.yaml").read_text().replace("how: balanced", "how: fewest")
    (tmp_path / "greedy.yaml").write_text(text)
    with pytest.raises(Refused, match=r"11 stages hold the layers, but pp = 16: 5 GPUs idle"):
        plan(Request(str(tmp_path / "greedy.yaml")))


def test_no_grouping_fits_the_l2_cache_of_an_h100(tmp_path: Path) -> None:
    """The second platform: infeasible on 16 GPUs; what would work is said, and nothing is drawn."""
    text = (DATA / "layerwise_cache.yaml").read_text().replace("cache: 900 MB", "gpu: H100")
    (tmp_path / "l2.yaml").write_text(text)
    with pytest.raises(Refused) as caught:
        plan(Request(str(tmp_path / "l2.yaml")))
    (flag,) = (flag for flag in KEY["flags_expected"] if flag["id"] == "h100_l2")
    problem = caught.value.diagnostics[0]
    assert problem.code == "capacity"
    assert problem.expected == "at most 50 MB (the cache of H100)"
    assert problem.actual == "weights 101 MB + activations 33.6 MB + buffers 134 MB = 268 MB"
    assert f"tp={flag['minimal_intra_layer_tp']}" in problem.hint
    assert f"{flag['size_per_gpu_at_that_tp'] / 1e6:.3g} MB" in problem.hint
    assert f"on {flag['gpus_needed']} GPUs" in problem.hint


def test_what_is_left_out_is_declared() -> None:
    jobs = compiled("layerwise_cache", "yaml")
    said = " ".join(jobs["proposed"].assumed)
    for words in ("vocab", "norm", "micro_batches = 1", "of 16 stages one works at a time"):
        assert words in said, words
