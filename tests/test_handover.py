"""Prefill and decode apart: what is handed over, that a step finds it where it was left and computes with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from small_models import MODELS
from xdsl.dialects.builtin import ModuleOp

from dagc import driver
from dagc.backends.terminal import collectives_table, short
from dagc.cli import main
from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.frontends.model import Model, Phase
from dagc.frontends.phases import in_phase, is_apart
from dagc.frontends.strategy import resolve
from dagc.ir.deployment import Deployment
from dagc.ir.evaluate import Piece, Weights, evaluate, random_weights, run
from dagc.ir.module import annotate, operators, plain_path, sizes_of
from dagc.ir.ops.attention import KeepOp
from dagc.ir.ops.program import StateOp
from dagc.job import Job, Request
from dagc.passes.expand import expand
from dagc.passes.verify import handover
from dagc.passes.verify.wellformed import check as well_formed
from dagc.pipeline import lower
from dagc.planning import plan

WEIGHTS = random_weights(seed=7)
PROMPT, NEW, BATCH = 6, 2, 4
MESHES = [
    *("tp=2,dp=2", "tp=1,dp=4", "tp=4,dp=1", "tp=4,dp=2,dtp=2", "tp=1,dp=1,dtp=4", "tp=2,dp=2,kvp=2"),
    "tp=4,dp=1,dtp=4,kvp=2",
]
"""More prefill GPUs than KV heads, and fewer; sequences, heads and positions cut anew, with and without copies."""
Cache = tuple[str, int]


# What is computed.


def two_layers(name: str) -> Model:
    """Layers of two kinds, each a body of its own, so that values of all rounds are there to look at."""
    other = MODELS["pattern"]
    return replace(MODELS[name], layers=("dense", "moe"), moe=other.moe, dense=other.dense, vocab=24)


def lowered(model: Model, phase: Phase, mesh: str, **sizes: int) -> ModuleOp:
    made = in_phase(resolve("pd", gpus=None, mesh=mesh), phase)
    module = build(model, phase, leaves=bool(made.keeps))
    annotate(module, plan=made, sizes=sizes_of(module).bind(**sizes))
    return lower(module)


def resident(module: ModuleOp, kind: type[KeepOp | StateOp], given: Weights, tokens: np.ndarray) -> Iterator[
    tuple[Cache, dict[int, Piece]]
]:  # fmt: skip
    """What is kept, or found, of every cache on every GPU."""
    values = run(module, {"input": tokens}, given)
    for op, repeat in operators(module):
        if isinstance(op, kind) and repeat:
            yield (plain_path(op.path.data).rpartition(".")[0], repeat.span[0]), values[op.out]


def whole(pieces: dict[int, Piece], rows: int) -> np.ndarray:
    """A cache put together, and after the prompt what must not be read."""
    shape = [max(int(piece.held[axis].max()) for piece in pieces.values()) + 1 for axis in range(len(piece_of(pieces)))]
    cache = np.full([shape[0], rows, *shape[2:]], 1e9)
    for piece in pieces.values():
        cache[np.ix_(*piece.held)] = piece.data
    return cache


def piece_of(pieces: dict[int, Piece]) -> tuple[np.ndarray, ...]:
    return next(iter(pieces.values())).held


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("name", ["dense", "pattern", "latent", "hidden"])
def test_a_step_with_what_was_left_gives_the_last_rows_of_a_prefill(name: str, mesh: str) -> None:
    model, total = two_layers(name), PROMPT + NEW
    tokens = np.random.default_rng(0).integers(0, 24, (BATCH, total))
    expected = evaluate(build(model), {"input": tokens}, WEIGHTS, {"B": BATCH, "S": total})[:, -NEW:]
    prefill = lowered(model, Phase.PREFILL, mesh, B=BATCH, S=PROMPT)
    left = dict(resident(prefill, KeepOp, WEIGHTS, tokens[:, :PROMPT]))
    caches = {cache: whole(pieces, total) for cache, pieces in left.items()}

    def given(key: tuple[str, int | None], shape: tuple[int, ...]) -> np.ndarray:
        path, _, kind = key[0].rpartition(".")
        return caches[path, key[1] or 0] if kind == "state" else WEIGHTS(key, shape)

    step = lowered(model, Phase.DECODE, mesh, B=BATCH, S=NEW, K=total)
    assert np.allclose(evaluate(step, {"input": tokens[:, -NEW:]}, given), expected, rtol=1e-9, atol=1e-12)
    for cache, found in resident(step, StateOp, given, tokens[:, -NEW:]):
        assert found.keys() == left[cache].keys()
        for gpu, piece in found.items():
            mine = left[cache][gpu]
            kept = np.take(piece.data, np.flatnonzero(piece.held[1] < PROMPT), axis=1)
            assert np.array_equal(kept, mine.data), f"GPU {gpu} does not find {cache} as it was left"


# What is said of it.


def request(model: str = "llama-3.1-8b", strategy: str = "pd,tp=4,dp=4", **more: Any) -> Request:
    return replace(Request(model, (strategy,), "none", batch_size=16, seq_len=512), **more)


def compiled(asked: Request) -> list[Job]:
    return [driver.compile_job(job, asked) for job in plan(asked)]


def test_a_strategy_that_has_the_phases_apart_gives_both_programs() -> None:
    prefill, decode = compiled(request())
    assert [prefill.status, decode.status] == ["valid", "valid"], [*prefill.diagnostics, *decode.diagnostics]
    assert [(job.name, job.sizes) for job in (prefill, decode)] == [
        ("pd,tp=4,dp=4", {"B": 16, "S": 512}), ("pd,tp=4,dp=4.decode", {"B": 16, "S": 1, "K": 512}),
    ]  # fmt: skip
    assert prefill.graph is not None
    assert decode.graph is not None
    assert [(pool.name, pool.gpus.tolist()) for pool in prefill.graph.pools] == [
        ("prefill", [0, 1, 2, 3]), ("decode", [4, 5, 6, 7]),
    ]  # fmt: skip
    assert [(pool.name, pool.gpus.tolist()) for pool in decode.graph.pools] == [("decode", [4, 5, 6, 7])]
    assert any("idle here: prefill" in fact for fact in decode.graph.facts)
    assert decode.verdict is not None
    assert (decode.verdict.layers[-1].name, decode.verdict.layers[-1].facts) == (
        "handover", ["64 caches on 4 GPUs, found as 64 were left there"],
    )  # fmt: skip


def test_one_phase_is_made_where_one_is_asked_for() -> None:
    (job,) = plan(request(phases=("decode",)))
    assert (job.phase, job.after) == (Phase.DECODE, ())
    (job,) = compiled(request(phases=("prefill",)))
    assert job.figures["handover"]


@pytest.mark.parametrize(("model", "kept", "caches"), [
    ("llama-3.1-8b", 2 * 8 * 128, 2), ("deepseek-v2-lite", 512 + 64, 2), ("mixtral-8x7b", 2 * 8 * 128, 2),
])  # fmt: skip
def test_what_is_handed_over_is_what_the_formula_says(model: str, kept: int, caches: int) -> None:
    """2·L·K·d a sequence and layer of grouped heads, L·(rank + rope) of a latent, in sum over the GPUs that send."""
    prefill, _ = compiled(request(model))
    each = prefill.figures["handover"]
    layers = len(prefill.model.layers)
    assert sum(entry["elements_per_layer"] * entry["repeat"] for entry in each) == layers * 16 * 512 * kept
    assert sum(entry["bytes"] for entry in each) == layers * 16 * 512 * kept * 2
    sends = [entry for entry in prefill.figures["collectives"] if entry["to"] == "decode"]
    assert sum(4 * entry["elements_sent_per_gpu"] * entry["repeat"] for entry in sends) == layers * 16 * 512 * kept
    home, there = prefill.figures["classes"]
    assert there["kv_cache_bytes"] == there["bytes_received"] == layers * 4 * 512 * kept * 2
    assert (there["parameters"], there["fits"], home["fits"]) == (0, True, home["fits"])
    assert set(prefill.figures["balance"].values()) == {1.0}, "GPUs that compute are those that are compared"


def test_a_gpu_that_keeps_copies_is_sent_them() -> None:
    prefill, _ = compiled(request(strategy="pd,tp=2,dp=1,dtp=16"))
    assert sum(entry["elements_per_layer"] for entry in prefill.figures["handover"]) == 2 * (16 * 512 * 2 * 8 * 128)


def test_the_table_of_communication_has_what_is_handed_over() -> None:
    prefill, decode = compiled(request("llama-3.1-8b"))
    table = collectives_table([("prefill", prefill.figures), ("decode", decode.figures)])
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    size = short(32 * 16 * 512 * 2 * 8 * 128 * 2, "B")
    (row,) = [row for row in rows if "handover" in str(row[2])]
    assert row == ("prefill", "all", "handover, 64 transfers", "", "prefill → decode", f"{size} by all")


def test_both_pools_are_drawn_and_the_program_waits_for_what_it_hands_over() -> None:
    prefill, _ = compiled(request())
    graph = prefill.graph
    assert graph is not None
    kept = [row for row in graph.rows if isinstance(row.operator, KeepOp)]
    assert [row.title for row in kept] == ["K cache kept for decode", "V cache kept for decode"]
    assert {port.text() for row in kept for port in row.state} == {"[batch_size=4, kv_len=512, kv_heads=8, d_k=128]"}
    ends = [graph.rows[link.target].op for row in kept for link in graph.links if link.source == row.index]
    assert ends == ["output", "output"]


# Where it is not found.


def emitted(phase: Phase, mesh: str, **sizes: int) -> Deployment:
    module = lowered(MODELS["dense"], phase, mesh, **sizes)
    return expand(module, "dense")


SIZES = {"B": 4, "S": 2, "K": 8}


@pytest.mark.parametrize(("mesh", "sizes", "words"), [
    ("tp=2,dp=2", SIZES, ""),
    ("tp=2,dp=2", {"S": 2, "K": 8}, ""),
    ("tp=2,dp=2", SIZES | {"K": 6}, "finds another kv_len than was left"),
    ("tp=2,dp=2", SIZES | {"B": 8}, "finds another batch_size than was left"),
    ("tp=4,dp=2", SIZES, "is looked for on other GPUs than it was left on"),
    ("tp=2,dtp=2,dp=1", SIZES, "looks for another part of batch_size than was left there"),
])  # fmt: skip
def test_caches_that_are_not_found_as_they_were_left(mesh: str, sizes: dict[str, int], words: str) -> None:
    prefill = emitted(Phase.PREFILL, "tp=2,dp=2", **({"B": 4, "S": 8} if "B" in sizes else {"S": 8}))
    found = handover.check(prefill, emitted(Phase.DECODE, mesh, **sizes))
    assert all(each.code == "handover" for each in found)
    assert bool(found) == bool(words)
    assert all(any(words in each.problem for each in found) for _ in found)


def test_caches_that_are_lacking_are_named_with_their_layers() -> None:
    prefill, decode = emitted(Phase.PREFILL, "tp=2,dp=2", B=4, S=8), emitted(Phase.DECODE, "tp=2,dp=2", **SIZES)
    rows = tuple(replace(row, operator=None) if row.op == "v_kept" else row for row in prefill.rows)
    (found,) = handover.check(replace(prefill, rows=rows), decode)
    assert "the cache of layers 0-2 is found, but is not left by the prefill" in found.problem
    rows = tuple(replace(row, weights=()) if row.op == "k_cache" else row for row in decode.rows)
    (found,) = handover.check(prefill, replace(decode, rows=rows))
    assert "is left by the prefill, but is not found" in found.problem


def test_a_cache_that_grows_is_not_cut_in_runs(tmp_path: Path) -> None:
    text = (Path(driver.__file__).parent / "frontends" / "strategies" / "pd.yaml").read_text()
    (tmp_path / "runs.yaml").write_text(text.replace("kv_len: strided", "kv_len: contiguous"))
    asked = request(strategy=str(tmp_path / "runs.yaml"), mesh="tp=2,dp=2,kvp=2")
    assert [job.status for job in compiled(asked)] == ["valid", "valid"]
    prefill, decode = compiled(replace(asked, kv_len=1024))
    assert (prefill.status, decode.status) == ("valid", "refused")
    assert decode.verdict is not None
    assert decode.verdict.caught_by == "handover"
    assert "GPU 2 looks for another part of kv_len" in decode.diagnostics[0].problem
    assert [job.status for job in compiled(request(strategy="pd,tp=2,dp=2,kvp=2", kv_len=1024))] == ["valid", "valid"]


def test_what_is_kept_needs_no_user_and_everything_else_does() -> None:
    module = lowered(MODELS["dense"], Phase.PREFILL, "tp=2,dp=2", B=4, S=8)
    assert not well_formed(module)
    keep = next(op for op, _ in operators(module) if isinstance(op, KeepOp))
    keep.detach()
    keep.erase()
    assert [found.code for found in well_formed(module)] == ["DAG3"]


# How it is asked for.


def test_a_phase_is_one_of_the_two(tmp_path: Path) -> None:
    pools = "pools: {a: {mesh: {tp: 2}}, b: {mesh: {dp: 2}}}\n"
    (tmp_path / "s.yaml").write_text(f"{pools}place: [{{at: '*', on: a, phase: training}}]")
    with pytest.raises(Refused, match=r"place.0.phase"):
        resolve("s.yaml", gpus=None, base=tmp_path)


def test_part_of_a_model_decodes_elsewhere(tmp_path: Path) -> None:
    """Only attention's core is elsewhere in decode, cut by positions: caches go there, and nothing else does."""
    (tmp_path / "s.yaml").write_text(
        "pools: {a: {mesh: {tp: 4}}, caches: {mesh: {kvp: 4}}}\n"
        "place: [{at: '*', on: a}, {at: '*.core', on: caches, phase: decode}]\n"
        "rules: [{at: '*', cut: {tp: [heads, ffn, vocab]}}, {at: '*.core', cut: {kvp: {kv_len: strided}}}]\n"
    )
    made = resolve("s.yaml", gpus=None, base=tmp_path)
    assert is_apart(made)
    assert [pool.idle for pool in in_phase(made, Phase.PREFILL).pools] == [False, False]
    prefill, decode = compiled(request(strategy=str(tmp_path / "s.yaml"), kv_len=1024))
    assert [prefill.status, decode.status] == ["valid", "valid"], [*prefill.diagnostics, *decode.diagnostics]
    assert [entry["elements_per_layer"] for entry in prefill.figures["handover"]] == 2 * [16 * 512 * 8 * 128]


def test_files_of_both_programs_are_checked_together(tmp_path: Path) -> None:
    flags = ["--strategy", "pd,tp=2,dp=2", "--baseline", "none", "--seq-len", "64", "--no-svg", "--out", str(tmp_path)]
    made = CliRunner().invoke(main, ["lower", "llama-3.1-8b", *flags, "--unroll-micro-batches", "--micro-batches", "2"])
    assert made.exit_code == 0, made.output
    dags = json.loads((tmp_path / "manifest.json").read_text())["dags"]
    assert [(dag["phase"], dag["status"]) for dag in dags] == [("prefill", "valid"), ("decode", "valid")]
    for dag in dags:
        linted = CliRunner().invoke(main, ["lint", str(tmp_path / dag["dot"])])
        assert linted.exit_code == 0, linted.output
    checked = CliRunner().invoke(main, ["verify", str(tmp_path)])
    assert checked.exit_code == 0, checked.output
    assert "meaning, handover, micro-batches)" in checked.output
    for dag in dags:
        made = CliRunner().invoke(
            main, ["opt", str(tmp_path / dag["logical"]), "-p", 'shard{strategy="pd,tp=2" gpus=4}']
        )
        assert made.exit_code == 0, made.output
    logical = tmp_path / dags[0]["logical"]
    logical.write_text(logical.read_text().replace('keeps [["*"] on decode]', 'keeps [["*"] on prefill]'))
    assert CliRunner().invoke(main, ["verify", str(tmp_path)]).exit_code == 1
