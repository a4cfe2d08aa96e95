"""Weights that are kept in parts: what a GPU keeps, what it gathers, when, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from emitted import emitted, row_of, verdict
from plans import MIXED, MOE, logical, plan, rule

from dagc import driver
from dagc.diagnostics import Refused
from dagc.ir.deployment import EdgeKind
from dagc.ir.module import annotate
from dagc.ir.op import tensor_of
from dagc.ir.ops.program import WeightOp
from dagc.job import Job, Request
from dagc.pipeline import lower
from dagc.planning import plan as planned

DP = (rule("*", "dp", "batch_size"),)
STORED = (rule("*", "dp", "hidden", "ffn", "vocab", "heads", "kv_heads", "d_k"),)


def compiled(model: str, strategy: str, gpus: int) -> Job:
    request = Request(model, (strategy,), baseline="none", gpus=gpus)
    (job,) = (driver.compile_job(job, request) for job in planned(request))
    assert job.verdict is not None, job.diagnostics
    assert job.verdict.holds
    return job


def test_a_gpu_keeps_its_part_of_every_weight_and_gathers_the_rest() -> None:
    job = compiled("llama-3.1-8b", "fsdp", 8)
    layer = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336 + 2 * 4096
    (gpus,) = job.figures["classes"]
    assert gpus["parameters"] * 8 == 32 * layer + 2 * 128256 * 4096 + 4096
    sent = [entry["elements_sent_per_gpu"] for entry in job.figures["collectives"] if entry["layers"]]
    assert sum(sent) * 8 == layer * 7


def test_what_was_gathered_is_alive_until_its_last_use_only() -> None:
    whole, kept = (compiled("llama-3.1-8b", f"{name}=8", 8).figures["classes"][0] for name in ("dp", "fsdp"))
    largest = 2 * 128256 * 4096
    assert kept["weight_bytes"] * 8 == whole["weight_bytes"]
    assert kept["activation_peak_bytes"] <= whole["activation_peak_bytes"] + largest


@pytest.mark.parametrize("plan_", ["fsdp", "fsdp in tp, pp", "experts pulled to tokens"])
def test_a_gather_states_its_weight_and_hangs_on_what_runs_before_it(plan_: str) -> None:
    deployment, _, _ = emitted("moe", plan_)
    gathers = [row for row in deployment.rows if row.move and row.weights]
    assert gathers
    for row in gathers:
        (link,) = [link for link in deployment.links if link.target == row.index]
        assert (link.kind, link.source, row.inputs) == (EdgeKind.ORDER, row.index - 1, ())
        assert row.path == row.weights[0].tensor


def test_a_gather_that_waits_for_nothing_dangles() -> None:
    deployment, _, _ = emitted("dense", "fsdp")
    row = row_of(deployment, "all_gather", 3)
    loose = replace(deployment, links=tuple(link for link in deployment.links if link.target != row.index))
    assert {d.code for d in verdict(loose, "dense", "fsdp").diagnostics} == {"DAG3"}


def test_the_first_name_that_divides_is_taken_beside_what_cuts_the_use() -> None:
    module = logical(MOE)
    stored = (
        rule("*", "dp", "d_k", "ffn", "hidden"),
        rule("*.experts", "dp"),
        rule("layers[1].attention.o_proj", "dp", "heads"),
    )
    annotate(
        module, plan=replace(plan("t", (*DP, rule("*", "tp", "heads", "ffn", "vocab")), dp=4, tp=2), stores=stored)
    )
    weights = [op for op in lower(module).walk() if isinstance(op, WeightOp)]

    def cuts(path: str, nth: int = 0) -> dict[str, tuple[str, ...]]:
        found = [tensor_of(op.out) for op in weights if op.path.data == path][nth]
        return {dim.name: dim.cuts for dim in found.dims if dim.cuts}

    assert cuts("layers.attention.q_proj.weight") == {"heads": ("tp",), "d_k": ("dp",)}
    assert cuts("layers.attention.o_proj.weight", 1) == {"heads": ("tp", "dp")}
    assert cuts("layers.moe.shared_expert.up_proj.weight") == {"ffn": ("tp", "dp")}
    assert cuts("layers.moe.experts.up_proj.weight") == {"ffn": ("tp",)}
    assert cuts("layers.attention_norm.weight") == {"hidden": ("dp",)}


def test_a_weight_that_cannot_be_stored_so_is_refused_with_what_would_work() -> None:
    module = logical(MIXED)
    annotate(module, plan=replace(plan("t", DP, dp=16), stores=(rule("*", "dp", "hidden", "d_k"),)))
    with pytest.raises(Refused) as refusal:
        lower(module)
    found = next(d for d in refusal.value.diagnostics if "ffn=48" in d.problem)
    assert found.code == "indivisible"
    assert "divides none of hidden, d_k of the weight [ffn=48]" in found.problem
    assert found.hint.endswith("{at: layers.ffn.up_proj_bias, store: {dp: ~}}")
