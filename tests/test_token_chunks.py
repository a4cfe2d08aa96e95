"""A prompt in chunks of tokens: one program run m times over growing caches; figures of all, proven to be it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from plans import at
from small_models import KV_CUT, MODELS, SIZES, WEIGHTS, plan, rule
from xdsl.dialects.builtin import BoolAttr, ModuleOp

from dagc import cli, driver, planning
from dagc.backends.dot import dot_text
from dagc.checking import check
from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.frontends.dot.graphviz import Graphviz
from dagc.frontends.dot.reader import read_dot
from dagc.frontends.model import Phase
from dagc.frontends.strategy import resolve
from dagc.ir.deployment import EdgeKind
from dagc.ir.dialect import parse_module
from dagc.ir.evaluate import evaluate
from dagc.ir.module import annotate, plan_of, sizes_of
from dagc.ir.ops.attention import AppendOp
from dagc.job import Job, Request
from dagc.passes import views
from dagc.passes.expand import expand
from dagc.passes.lint import lint
from dagc.passes.verify import Field, chunks, verify
from dagc.pipeline import lower, text_of

BATCH, TOKENS, LAYERS, HIDDEN, HEADS, KV_HEADS, D = 8, 1024, 32, 4096, 32, 8, 128
"""Of Llama 3.1 8B, as published."""


@cache
def compiled(strategy: str = "token-pipeline=2", model: str = "llama-3.1-8b", **asked: Any) -> Job:
    request = Request(model, (strategy,), baseline="none", **{"batch_size": BATCH, "seq_len": TOKENS} | asked)
    (job,) = (driver.compile_job(job, request) for job in planning.plan(request))
    return job


def problems(job: Job) -> list[str]:
    return [f"{d.code}: {d.problem}" for d in job.diagnostics if d.severity == "error"]


# What it costs: TeraPipe (Li et al. 2021, §3.2).


def test_a_hop_carries_every_chunk_by_itself_and_as_much_in_all() -> None:
    job = compiled()
    (hop,) = [each for each in job.figures["collectives"] if each["collective"] == "send/recv"]
    assert hop["elements_sent_per_gpu"] == BATCH * TOKENS // 4 * HIDDEN
    assert job.figures["token_chunks"] == 4
    first, _ = job.figures["classes"]
    assert first["bytes_sent"] == 2 * BATCH * TOKENS * HIDDEN


def test_a_stage_holds_the_caches_of_all_tokens_and_values_of_a_chunk() -> None:
    (chunked, _), (whole, _) = (compiled(s).figures["classes"] for s in ("token-pipeline=2", "pp=2"))
    assert chunked["kv_cache_bytes"] == whole["kv_cache_bytes"] == 2 * 2 * BATCH * TOKENS * KV_HEADS * D * LAYERS // 2
    assert chunked["activation_peak_bytes"] * 3.5 < whole["activation_peak_bytes"]


def test_a_chunk_attends_to_those_before_it_and_to_no_more() -> None:
    """Scores and context: 2·H·d FLOPs a query and key, of m chunks (1 + 2 + … + m)·(S/m)² pairs a sequence."""
    (chunked, _), (whole, _) = (compiled(s).figures["classes"] for s in ("token-pipeline=2", "pp=2"))
    (layer,), (at_once,) = (each["flops_per_layer"].values() for each in (chunked, whole))
    pairs = (1 + 2 + 3 + 4) * (TOKENS // 4) ** 2
    for name in ("scores", "context"):
        assert layer["operators"][f"layers.attention.core.{name}"] == 2 * BATCH * pairs * HEADS * D
    for name in ("q_proj", "o_proj"):
        path = f"layers.attention.{name}"
        assert layer["operators"][path] == at_once["operators"][path] == 2 * BATCH * TOKENS * HIDDEN * HEADS * D


# That it is right.


@pytest.mark.parametrize(
    ("strategy", "model"),
    [("token-pipeline=2", "llama-3.1-8b"), ("token-pipeline=2,ep=2", "mixtral-8x7b"), ("token-pipeline=2,tp-sp=2",
     "llama-3.1-8b"), ("token-pipeline=1,ep=8", "deepseek-v3")],
)  # fmt: skip
def test_it_is_proven_and_drawn_once_with_its_number(strategy: str, model: str, tmp_path: Path) -> None:
    job = compiled(strategy, model)
    assert job.status == "valid", problems(job)
    assert job.verdict is not None
    assert "token chunks" in [layer.name for layer in job.verdict.layers]
    assert job.graph is not None
    assert job.graph.rows[0].outputs[0].local == (BATCH, TOKENS // 4)
    text = dot_text(views.spmd(job.graph))
    assert 'token_chunks="4"' in text
    assert "chunks of tokens" in text
    assert clean(text, tmp_path)


def clean(text: str, folder: Path) -> bool:
    (folder / "a.dot").write_text(text)
    with Graphviz() as graphviz:
        found = [str(d) for drawing in read_dot(folder / "a.dot", graphviz) for d in lint(drawing)]
    assert not found, found[0]
    return True


@pytest.mark.parametrize("name", MODELS)
def test_in_one_run_over_all_tokens_it_is_the_prefill(name: str) -> None:
    model = MODELS[name]
    rng, shape = np.random.default_rng(5), (SIZES["B"], SIZES["S"])
    given = {"input": rng.integers(0, model.vocab, shape) if model.vocab else rng.normal(size=(*shape, model.hidden))}
    whole = evaluate(build(model), given, WEIGHTS, SIZES)
    once = evaluate(build(model, chunks=2), given, WEIGHTS, SIZES | {"K": SIZES["S"]})
    assert np.allclose(once, whole, rtol=1e-9, atol=1e-12)


def small(name: str = "dense", **asked: Any) -> ModuleOp:
    """The logical module of a small model, in three chunks."""
    module = build(replace(MODELS[name], **asked), chunks=3)
    annotate(module, plan=plan((), tp=1), sizes=sizes_of(module).bind(B=2, S=4))
    plan_of_it = plan_of(module)
    assert plan_of_it is not None
    annotate(module, plan=replace(plan_of_it, token_chunks=3))
    return module


def found_in(module: ModuleOp) -> list[str]:
    return [
        f"{d.code} {d.where}" for d in chunks.check(expand(lower(module.clone()), "m"), module, sizes_of(module), Field)
    ]


@pytest.mark.parametrize("name", MODELS)
def test_chunks_are_the_prompt(name: str) -> None:
    assert not found_in(small(name))


def test_attention_that_looks_ahead_is_caught_at_the_first_chunk() -> None:
    module = small()
    at(module, "layers.attention.core.mask").properties["causal"] = BoolAttr.from_bool(False)
    (found,) = found_in(module)
    assert found == "token-chunks layers.attention.core.softmax"


def test_positions_that_start_anew_with_every_chunk_are_caught() -> None:
    module = small()
    del at(module, "layers.attention.k_rope").properties["kv_len"]
    assert found_in(module) == ["token-chunks layers.attention.k_rope"]


def test_a_program_that_leaves_nothing_to_the_next_chunk_is_caught() -> None:
    module = build(MODELS["pattern"])
    annotate(module, plan=replace(plan((), tp=1), token_chunks=3), sizes=sizes_of(module).bind(B=2, S=4))
    kept = [f"layers.{layer}.attention.core.{name}" for layer in (0, 1) for name in ("k_cache", "v_cache")]
    assert found_in(module) == [f"token-chunks {path}" for path in kept]


@pytest.mark.parametrize(
    ("order", "said"),
    [("strided", ""), ("contiguous", "does not stay where it is"), ("zigzag", "does not stay where it is")],
)
def test_caches_grow_in_place(order: str, said: str) -> None:
    rules = KV_CUT if order == "strided" else (rule("*.core", "cp", kv_len=order),)
    made = replace(plan(rules, cp=2, **({"tp": 2} if order == "strided" else {})), token_chunks=2)
    logical = build(MODELS["dense"], chunks=2)
    annotate(logical, plan=made, sizes=sizes_of(logical).bind(B=2, S=8))
    module = lower(logical.clone())
    verdict = verify(module, logical, expand(module, "m"), sizes_of(module))
    assert all(said in d.problem for d in verdict.diagnostics)
    assert verdict.holds == (not said)
    assert {d.code for d in verdict.diagnostics} <= {"token-chunks"}


def test_a_cache_in_more_parts_than_a_chunk_has_tokens_is_refused() -> None:
    logical = build(MODELS["dense"], chunks=2)
    made = replace(plan((rule("*.core", "cp", kv_len="strided"),), cp=4), token_chunks=2)
    annotate(logical, plan=made, sizes=sizes_of(logical).bind(B=2, S=2))
    module = lower(logical.clone())
    found = verify(module, logical, expand(module, "m"), sizes_of(module)).diagnostics
    assert {(d.code, d.expected, d.actual) for d in found} == {("token-chunks", "a multiple of 4", "2")}


# What is refused, and how it is said.


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"phases": ("decode",), "kv_len": 4096, "seq_len": 1}, "takes its new tokens at once"),
        ({"token_chunks": 3}, "a prompt of 1024 tokens does not go through in 3 equal chunks"),
        ({"strategy": "pd,tp=2,dp=2", "phases": ("prefill",), "token_chunks": 2}, "not left to another program"),
        ({"strategy": "token-pipeline=2,cp=2"}, "append needs seq_len whole"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_reason(asked: dict[str, object], said: str) -> None:
    job = compiled(**asked)
    assert any(said in problem for problem in problems(job)), problems(job)


def test_a_model_that_looks_ahead_is_refused_before_anything_is_lowered() -> None:
    job = compiled()
    model = replace(job.model, attention=replace(job.model.attention, causal=False))
    again = driver.compile_job(replace(job, model=model, diagnostics=[], graph=None), Request())
    assert again.graph is None
    assert problems(again) == [
        "token-chunks: attention that looks ahead (it is not causal) needs the whole prompt, not token chunks"
    ]


def test_a_strategy_may_state_them_and_a_flag_overrides() -> None:
    inline = {"mine": {"mesh": {"tp": 2}, "rules": [{"at": "*", "cut": {"tp": "heads"}}],
                       "micro_batches": {"batch_size": 2, "seq_len": 3}}}  # fmt: skip
    made = resolve("mine", gpus=2, inline=inline)
    assert (made.micro_batches, made.token_chunks, made.runs) == (2, 3, 6)
    assert resolve("mine", gpus=2, inline=inline, token_chunks=5).token_chunks == 5
    other = {"other": {"mesh": {"dp": 2}, "rules": [], "micro_batches": {"seq_len": 2}}}
    with pytest.raises(Refused, match="2 and 3 token-chunks"):
        resolve("mine,other", gpus=4, inline=inline | other)
    for wrong in ({"seq_len": 0}, "many"):
        with pytest.raises(Refused, match="micro_batches"):
            resolve("bad", gpus=2, inline={"bad": {"mesh": {"tp": 2}, "rules": [], "micro_batches": wrong}})


def test_their_number_is_in_the_text_of_a_module() -> None:
    module = build(MODELS["dense"], chunks=4)
    annotate(module, plan=resolve("token-pipeline=3", gpus=3))
    read = parse_module(text_of(module), "module")
    assert (made := plan_of(read)) is not None
    assert made.token_chunks == 4
    assert sizes_of(read) == sizes_of(module)


# Drawn apart.


@pytest.mark.parametrize(("strategy", "asked"), [("token-pipeline=2,tp=2", {}), ("pp=2", {"micro_batches": 2,
    "token_chunks": 2}), ("token-pipeline=2", {"seq_len": "symbolic"})])  # fmt: skip
def test_runs_apart_are_proven_and_lint_clean(strategy: str, asked: dict[str, object], tmp_path: Path) -> None:
    job = compiled(strategy, unroll=True, **asked)
    assert job.status == "valid", problems(job)
    assert job.graph is not None
    for view in (views.gpus, views.spmd, views.representative):
        assert clean(dot_text(view(job.graph)), tmp_path)


def test_a_chunk_reads_what_the_one_before_left_and_waits_for_it() -> None:
    graph = compiled(unroll=True).graph
    assert graph is not None
    between = [
        (link, *ends) for link in graph.links
        if None not in (ends := (graph.rows[link.source].run, graph.rows[link.target].run)) and ends[0] != ends[1]
    ]  # fmt: skip
    assert all((a.chunk or 0) + 1 == b.chunk for _, a, b in between if a and b)
    read = [link for link, *_ in between if link.kind is EdgeKind.DATA]
    assert len(read) == 3 * 2 * 2  # chunks that have one before them × stages × keys and values
    for link in read:
        source, target = graph.rows[link.source], graph.rows[link.target]
        assert isinstance(target.operator, AppendOp)
        assert source.path == target.path
        names, sizes = target.inputs[1].names, [port.local for port in (*target.inputs, *target.outputs)]
        new, found, kept = (size[names.index("kv_len")] for size in sizes)
        assert isinstance(new, int)
        assert isinstance(found, int)
        assert new + found == kept
    order = [link for link, *_ in between if link.kind is EdgeKind.ORDER]
    assert len(order) == 3 * 2


def test_a_folder_with_chunks_apart_is_checked_from_its_files(tmp_path: Path) -> None:
    asked = ["lower", "llama-3.1-8b", "--strategy", "token-pipeline=2", "--baseline", "none", "--no-svg"]
    flags = ["--token-chunks", "2", "--unroll-micro-batches", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(cli.main, [*asked, *flags])
    assert done.exit_code == 0, done.output
    assert all(not found.diagnostics for found in check(Request(str(tmp_path / "out"))))
    (dag,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["dags"]
    assert "Q projection, chunk 1" in (tmp_path / "out" / dag["dot"]).read_text()


def test_the_phase_is_a_prefill() -> None:
    assert compiled().phase is Phase.PREFILL
