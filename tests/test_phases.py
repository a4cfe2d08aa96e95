"""Prefill and decode are two programs of one model: what a step computes, and how it is asked for and laid out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from mutation.interpreter import run as judge
from small_models import MODELS, STEP_PLANS, STEP_SIZES

from dagc import driver
from dagc.backends.devices import devices
from dagc.cli import main
from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.frontends.model import Model, Phase
from dagc.frontends.source import experiments_of
from dagc.ir.evaluate import Weights, evaluate, random_weights, run
from dagc.ir.module import annotate, operators, plain_path, sizes_of
from dagc.ir.ops.attention import CacheOp
from dagc.job import Job, Request
from dagc.passes.expand import expand
from dagc.pipeline import lower
from dagc.planning import plan

WEIGHTS = random_weights(seed=5)


# What a step computes.


def cached(model: Model, tokens: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
    """What a prefill of all tokens leaves in the caches, by path and layer. Layers are to be bodies of their own."""
    module = build(model)
    values = run(module, {"input": tokens}, WEIGHTS, dict(zip("BS", tokens.shape, strict=True)))
    return {
        (plain_path(op.path.data), repeat.span[0]): values[op.out][0].data
        for op, repeat in operators(module)
        if isinstance(op, CacheOp) and repeat
    }


def with_caches(caches: dict[tuple[str, int], np.ndarray], new: int) -> Weights:
    """Weights, and caches whose last rows are still what was there before."""

    def given(key: tuple[str, int | None], shape: tuple[int, ...]) -> np.ndarray:
        path, _, kind = key[0].rpartition(".")
        if kind != "state":
            return WEIGHTS(key, shape)
        assert key[1] is not None
        cache = caches[path, key[1]].copy()
        cache[:, -new:] = 1e9
        assert cache.shape == shape
        return cache

    return given


@pytest.mark.parametrize("new", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_a_step_gives_the_last_rows_of_a_prefill(name: str, new: int) -> None:
    model = replace(
        MODELS[name], layers=("dense", "moe"), moe=MODELS["pattern"].moe, dense=MODELS["pattern"].dense, vocab=24
    )
    tokens = np.random.default_rng(0).integers(0, 24, (2, 9))
    whole = evaluate(build(model), {"input": tokens}, WEIGHTS, {"B": 2, "S": 9})
    given = with_caches(cached(model, tokens), new)
    step = build(model, Phase.DECODE)
    made = evaluate(step, {"input": tokens[:, -new:]}, given, {"B": 2, "S": new, "K": 9})
    assert np.allclose(made, whole[:, -new:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("strategy", STEP_PLANS)
@pytest.mark.parametrize("name", MODELS)
def test_a_deployed_step_computes_the_model(name: str, strategy: str) -> None:
    if (name, strategy) == ("dense", "ep replicated"):
        pytest.skip("the axis would cut nothing")
    module = build(MODELS[name], Phase.DECODE)
    annotate(module, sizes=sizes_of(module).bind(**STEP_SIZES))
    rng, shape = np.random.default_rng(0), (STEP_SIZES["B"], STEP_SIZES["S"])
    vocab = MODELS[name].vocab
    tokens = {"input": rng.integers(0, vocab, shape) if vocab else rng.normal(size=(*shape, MODELS[name].hidden))}
    whole = evaluate(module, tokens, WEIGHTS)
    annotate(module, plan=STEP_PLANS[strategy])
    lower(module)
    assert np.allclose(evaluate(module, tokens, WEIGHTS), whole, rtol=1e-9, atol=1e-12)
    assert np.allclose(judge(expand(module, name), tokens, WEIGHTS), whole, rtol=1e-9, atol=1e-12)


# How it is asked for.

STEP = Request("llama-3.1-8b", ("tp=8",), "none", batch_size=64, kv_len=8192, phases=("decode",))


def compiled(request: Request) -> Job:
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    assert job.status == "valid", [str(d) for d in job.diagnostics]
    return job


def test_a_step_of_one_token_against_the_cache_given() -> None:
    job = compiled(STEP)
    assert (job.name, job.sizes) == ("tp=8.decode", {"B": 64, "S": 1, "K": 8192})
    (part,) = job.figures["classes"]
    assert part["kv_cache_bytes"] == 32 * 2 * 64 * 8192 * (8 // 8) * 128 * 2
    flops = part["flops_per_layer"]["0-31"]["operators"]
    assert flops["layers.attention.core.scores"] == 2 * 64 * (32 // 8) * 8192 * 128
    assert flops["layers.attention.core.context"] == flops["layers.attention.core.scores"]
    assert part["flops_per_layer"]["0-31"]["operators"]["layers.attention.q_proj"] == 2 * 64 * 4096 * (32 // 8) * 128
    assert part["activation_peak_bytes"] < 64 * 128256 * 4, "neither the cache nor the scores are activations"


def test_append_and_read_are_drawn_with_the_cache_they_keep() -> None:
    graph = compiled(STEP).graph
    assert graph is not None
    append, read = (next(row for row in graph.rows if row.op == name) for name in ("k_cache", "k_cache_read"))
    assert [port.text() for port in append.inputs] == ["[batch_size=64, seq_len=1, kv_heads=1, d_k=128]"]
    cache = "[batch_size=64, kv_len=8192, kv_heads=1, d_k=128]"
    assert {port.text() for row in (append, read) for port in (*row.outputs, *row.state)} == {cache}
    assert not append.parameters


def test_a_cache_cut_along_its_tokens_is_appended_to_by_its_owner_and_merged(tmp_path: Path) -> None:
    rules = 'mesh: {kvp: gpus}\nrules:\n  - {at: "*.core", cut: {kvp: {kv_len: strided}}}\n'
    (tmp_path / "kvp.yaml").write_text(rules)
    job = compiled(replace(STEP, strategies=(str(tmp_path / "kvp.yaml"),), gpus=4))
    assert set(job.figures["per_layer"]["0-31"]) == {"all-reduce"}
    assert job.figures["classes"][0]["kv_cache_bytes"] == 32 * 2 * 64 * (8192 // 4) * 8 * 128 * 2


def test_each_gpu_says_which_positions_of_the_cache_it_owns(tmp_path: Path) -> None:
    rules = 'mesh: {kvp: gpus}\nrules:\n  - {at: "*.core", cut: {kvp: {kv_len: strided}}}\n'
    (tmp_path / "kvp.yaml").write_text(rules)
    job = compiled(replace(STEP, strategies=(str(tmp_path / "kvp.yaml"),), gpus=4))
    assert job.module is not None
    assert job.graph is not None
    caches = [entry["caches"]["layers[0-31].attention.core.k_cache"] for entry in devices(job.module, job.graph)]
    assert [cache["kv_len"] for cache in caches] == [[[rank, 8189 + rank, 4]] for rank in range(4)]
    assert caches[0]["batch_size"] == [0, 64]


@pytest.mark.parametrize("strategy", ["cp=8", "cp-zigzag=8", "ulysses=8", "tp-sp=8", "split-kv=8"])
def test_strategies_that_cut_the_tokens_say_what_works(strategy: str) -> None:
    request = replace(STEP, strategies=(strategy,))
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    (found,) = job.diagnostics
    assert (found.code, found.actual) == ("indivisible", "8")
    assert "does not divide seq_len = 1" in found.problem
    assert "batch_size, heads, or in decode kv_len" in found.hint


def test_both_phases_of_a_request() -> None:
    both = Request("llama-3.1-8b", ("tp=8",), seq_len=512, phases=("prefill", "decode"))
    assert [(job.role, job.name, job.sizes["S"], job.sizes.get("K")) for job in plan(both)] == [
        ("baseline", "tp=8", 512, None),
        ("proposed", "tp=8", 512, None),
        ("baseline", "tp=8.decode", 1, 512),
        ("proposed", "tp=8.decode", 1, 512),
    ]


def test_a_cache_is_of_a_step_and_holds_its_tokens() -> None:
    with pytest.raises(Refused, match="a prefill reads no cache"):
        plan(replace(STEP, phases=()))
    with pytest.raises(Refused, match="a cache of 4 tokens does not hold the 8 new ones"):
        plan(replace(STEP, seq_len=8, kv_len=4))


def test_a_description_names_its_phase(tmp_path: Path) -> None:
    file = tmp_path / "step.yaml"
    file.write_text("models: [llama-3.1-8b]\nstrategies: [tp=8]\nsizes: {phase: decode, kv_len: 8192}\n")
    (experiment,) = experiments_of(str(file))
    assert (experiment.phases, experiment.kv_len) == (("decode",), 8192)
    file.write_text("models: [llama-3.1-8b]\nstrategies: [tp=8]\nsizes: {phase: training}\n")
    with pytest.raises(Refused, match="prefill or decode, or a list of both"):
        experiments_of(str(file))


def test_the_files_of_both_phases_stand_side_by_side(tmp_path: Path) -> None:
    flags = ["--strategy", "tp=2", "--baseline", "none", "--phase", "prefill", "--phase", "decode", "--no-svg"]
    made = CliRunner().invoke(main, ["lower", "llama-3.1-8b", *flags, "--out", str(tmp_path)])
    assert made.exit_code == 0, made.output
    dags = json.loads((tmp_path / "manifest.json").read_text())["dags"]
    assert [(dag["phase"], dag["dot"]) for dag in dags] == [
        ("prefill", "llama-3.1-8b/tp=2.dot"),
        ("decode", "llama-3.1-8b/tp=2.decode.dot"),
    ]
    checked = CliRunner().invoke(main, ["verify", str(tmp_path)])
    assert checked.exit_code == 0, checked.output
    linted = CliRunner().invoke(main, ["lint", str(tmp_path / "llama-3.1-8b" / "tp=2.decode.dot")])
    assert linted.exit_code == 0, linted.output
