"""Latent attention and group-limited routing, against the numbers and the text of the models that have them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from operator_examples import Example, make
from operator_laws import alone, everything
from xdsl.dialects.builtin import FloatAttr, f64

from dagc import driver
from dagc.ir.ops.moe import TopKOp
from dagc.ir.ops.routing import GroupLimitOp, GroupRatingOp
from dagc.job import Job, Request
from dagc.planning import plan


def compiled(strategy: str, model: str = "deepseek-v3", **more: object) -> Job:
    request = Request(model, (strategy,), "none", **more)  # type: ignore[arg-type]
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    assert job.status == "valid", [str(d) for d in job.diagnostics]
    return job


def test_the_weights_of_a_layer_that_tensor_parallel_cuts_and_those_it_copies() -> None:
    """Notes on DeepSeek-V3: 187.1M a layer, of which 172.0M follow heads and 15.1M do not."""
    graph = compiled("tp=8", batch_size=8, seq_len=128).graph
    assert graph is not None
    cut = kept = 0
    for row in graph.rows:
        if row.path.startswith("layers.attention") and row.repeat and row.repeat.first == 3 and "norm" not in row.op:
            for weight in row.weights:
                whole, local = (np.prod([int(n) for n in sizes]) for sizes in (weight.whole, weight.local))
                assert whole in (local, 8 * local)
                cut, kept = (cut + whole, kept) if whole > local else (cut, kept + whole)
    assert (cut, kept) == (1536 * 128 * 192 + 512 * 128 * 256 + 128 * 128 * 7168, 7168 * (1536 + 512 + 64))
    assert (round(cut / 1e6, 1), round(kept / 1e6, 1)) == (172.0, 15.1)


@pytest.mark.parametrize(("phase", "tokens"), [("prefill", 128), ("decode", 4096)])
def test_a_token_takes_576_elements_of_cache_on_every_gpu_of_tensor_parallel(phase: str, tokens: int) -> None:
    sizes = {"seq_len": tokens} if phase == "prefill" else {"kv_len": tokens}
    job = compiled("tp=8", batch_size=8, phases=(phase,), **sizes)
    assert job.figures["classes"][0]["kv_cache_bytes"] == 61 * 8 * tokens * 576 * 2
    assert job.figures["total_parameters"] == 671026404352


def test_the_picture_says_what_scores_are_scaled_by() -> None:
    """192^-0.5 · (0.1 · ln 40 + 1)² (DeepSeek-V3's modeling code), and 128^-0.5 where nothing else is stated."""
    for model, factor in (("deepseek-v3", 192**-0.5 * (0.1 * np.log(40) + 1) ** 2), ("llama-3.1-8b", 128**-0.5)):
        graph = compiled("tp=8", model, batch_size=8, seq_len=128).graph
        assert graph is not None
        assert {row.title for row in graph.rows if row.op == "scale"} == {f"Scale × {factor:.4g}"}


def test_attention_of_a_step_meets_the_latent_itself() -> None:
    job = compiled("tp=8", batch_size=8, kv_len=4096, phases=("decode",))
    flops = job.figures["classes"][0]["flops_per_layer"]["3-60"]["operators"]
    core, pairs = "layers.attention.core.", 2 * 8 * (128 // 8) * 4096
    assert flops[f"{core}scores.nope"] == flops[f"{core}context"] == pairs * 512
    assert flops[f"{core}scores.rope"] == pairs * 64
    assert flops[f"{core}q_absorb"] == flops[f"{core}v_up"] == 2 * 8 * (128 // 8) * 512 * 128
    assert job.figures["per_layer"]["3-60"] == {"all-reduce": 2}


def test_experts_and_latent_attention_side_by_side() -> None:
    job = compiled("ep=8", "deepseek-v2-lite", batch_size=64, kv_len=1024, phases=("decode",))
    assert job.figures["per_layer"]["1-26"] == {"all-to-all": 2, "routing counts: all-to-all": 1}


def test_the_choice_is_drawn_from_the_gate_on() -> None:
    graph = compiled("dp=2", batch_size=8, seq_len=128).graph
    assert graph is not None
    row = {row.op: row.index for row in graph.rows if row.path.startswith("layers.moe")}
    chain = ["gate", "gate_sigmoid", "gate_correction", "group_rating", "group_limit", "top_k", "dispatch"]
    links = {(link.source, link.target): str(link.kind) for link in graph.links}
    assert [links[row[a], row[b]] for a, b in pairwise(chain)] == ["select"] * 6
    assert links[row["gate_sigmoid"], row["top_k"]] == "select", "weights are scores without the correction"


@pytest.mark.parametrize("best", [1, 2])
def test_a_token_chooses_among_its_best_groups(best: int) -> None:
    """As the published modelling code of DeepSeek-V3 (best 2, corrected scores) and -V2 (best 1) chooses."""
    groups, kept, chosen, experts = 4, 2, 3, 16
    rng = np.random.default_rng(0)
    scores, bias = rng.random((2, 5, experts)), rng.normal(size=experts) * (best == 2)
    expected_ids, expected_weights = [], []
    for token in scores.reshape(-1, experts):
        choice = (token + bias).reshape(groups, -1)
        rating = np.sort(choice, axis=1)[:, -best:].sum(axis=1)
        allowed = np.isin(np.arange(groups), np.argsort(rating)[-kept:])
        order = np.argsort(np.where(np.repeat(allowed, experts // groups), choice.ravel(), -np.inf))[::-1][:chosen]
        expected_ids.append(order)
        expected_weights.append(token[order] / token[order].sum() * 2.5)
    made = routed(scores, scores + bias, groups, best, kept, chosen)
    assert np.array_equal(made[..., 0].reshape(-1, chosen), expected_ids)
    assert np.allclose(made[..., 1].reshape(-1, chosen), expected_weights)


def routed(scores: np.ndarray, choice: np.ndarray, groups: int, best: int, kept: int, chosen: int) -> np.ndarray:
    """Ids and weights [.., chosen, 2], by the operators."""
    of = f"batch_size=2 seq_len=5 experts={scores.shape[-1]}"
    rate = make(GroupRatingOp, Example((of,), {"groups": groups, "best": best}))
    ratings = alone(rate, [choice], everything(rate))
    limit = make(GroupLimitOp, Example((of, f"batch_size=2 seq_len=5 expert_groups={groups}"), {"k": kept}))
    limited = alone(limit, [choice, ratings], everything(limit))
    top = make(TopKOp, Example((of, of), {"k": chosen, "normalize": True, "factor": FloatAttr(2.5, f64)}))
    return alone(top, [limited, scores], everything(top))


def test_one_kv_head_for_all_is_kept_by_every_gpu_of_tensor_parallel(tmp_path: Path) -> None:
    """Multi-query attention, in both phases: the axis cuts the queries' heads and copies the one that they share."""
    (tmp_path / "mqa.yaml").write_text(MULTI_QUERY)
    request = Request(str(tmp_path / "mqa.yaml"), baseline="none", batch_size=8)
    prefill, decode = (driver.compile_job(job, request) for job in plan(request))
    assert (prefill.status, decode.status) == ("valid", "valid")
    assert [job.figures["classes"][0]["kv_cache_bytes"] for job in (prefill, decode)] == [
        4 * 2 * 8 * tokens * 64 * 2 for tokens in (1024, 4096)
    ]


MULTI_QUERY = """\
models: [{name: mqa, hidden: 512, layers: 4, heads: 8, kv_heads: 1, d_k: 64, ffn: 2048, activation: gelu, gated: false,
          vocab: 1024, norm: layer_norm, rope: true}]
strategies: [tp=4]
sizes: {phase: [prefill, decode], kv_len: 4096}
"""
