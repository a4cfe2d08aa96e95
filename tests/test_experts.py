"""Where experts are and how tokens come to them: strategies with the volumes of their papers, odd ones of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagc import driver
from dagc.job import Job, Request
from dagc.planning import plan

DATA = Path(__file__).parent / "data" / "strategies"
WIDE = """\
model: {name: wide, hidden: 96, layers: 2, heads: 24, kv_heads: 12, d_k: 8, ffn: 96, activation: silu, gated: true,
        vocab: 96}
strategies: [tp=2]
"""


def compiled(model: str, strategy: str, **given: int) -> Job:
    request = Request(model, (strategy,), baseline="none", **given)  # type: ignore[arg-type]
    (job,) = plan(request)
    return driver.compile_job(job, request)


def sent(job: Job, kind: str, after: str) -> int:
    """Elements that a GPU sends in the collective of this kind after this operator of a layer."""
    assert job.status == "valid", [str(d) for d in job.diagnostics]
    found = [c for c in job.figures["collectives"] if c["collective"] == kind and c["after"] == f"layers.{after}"]
    (one,) = found
    return int(one["elements_sent_per_gpu"])


TOKENS, HIDDEN, CHOSEN = 64 * 128, 2048, 8
"""Of the whole batch; of qwen3-30b-a3b."""


def test_all_gather_dispatcher_sends_every_token_to_every_other_gpu() -> None:
    job = compiled("qwen3-30b-a3b", "ep-allgather", gpus=8, batch_size=64, seq_len=128)
    every = TOKENS // 8 * HIDDEN * 7
    assert sent(job, "all-gather", "ffn_norm") == sent(job, "reduce-scatter", "moe.combine") == every


def test_deepseek_prefill_unit_sends_what_its_report_says() -> None:
    job = compiled("qwen3-30b-a3b", "deepseek-prefill", gpus=32, batch_size=64, seq_len=128)
    rows = TOKENS // 32 * CHOSEN * HIDDEN * 31 // 32
    assert sent(job, "all-to-all", "moe.dispatch") == sent(job, "all-to-all", "moe.experts.down_proj") == rows
    tokens = TOKENS // 8 * HIDDEN * 3 // 4
    assert sent(job, "all-gather", "attention_norm") == sent(job, "reduce-scatter", "attention.o_proj") == tokens


@pytest.mark.parametrize("mesh", [None, "etp=4,tp=1"])
def test_folded_experts_send_each_row_to_its_group_once_and_inside_it_to_all(mesh: str | None) -> None:
    request = Request("qwen3-30b-a3b", ("ep-folded",), baseline="none", mesh=mesh, gpus=8, batch_size=64, seq_len=128)
    (job,) = plan(request)
    job, etp = driver.compile_job(job, request), 4 if mesh else 2
    ep, rows = 8 // etp, TOKENS // 8 * CHOSEN * HIDDEN
    exchanged = rows * (ep - 1) // ep
    assert sent(job, "all-to-all", "moe.dispatch") == sent(job, "all-to-all", "moe.experts.down_proj") == exchanged
    inside = rows * (etp - 1)
    assert sent(job, "all-gather", "moe.dispatch") == sent(job, "reduce-scatter", "moe.experts.down_proj") == inside


def test_a_zigzag_of_experts_puts_both_ends_of_the_list_on_one_node() -> None:
    job = compiled("qwen3-30b-a3b", str(DATA / "zigzag-experts.yaml"), batch_size=64, seq_len=128)
    assert job.status == "valid", [str(d) for d in job.diagnostics]
    assert job.graph is not None
    row = next(row for row in job.graph.rows if row.path.endswith("experts.down_proj"))
    assert row.spread[0] == "experts 0-7, 120-127"
    assert row.spread[4] == "experts 32-39, 88-95"


def test_sequence_and_heads_cut_at_once_on_an_odd_mesh(tmp_path: Path) -> None:
    model = tmp_path / "wide.yaml"
    model.write_text(WIDE)
    job = compiled(str(model), str(DATA / "odd-mesh.yaml"), batch_size=4, seq_len=48)
    assert job.status == "valid", [str(d) for d in job.diagnostics]
    assert list(job.figures["per_layer"].values()) == [{"all-reduce": 2, "all-to-all": 4}]


def test_a_sum_of_rows_is_not_scattered_while_rows_outside_of_its_part_are_elsewhere(tmp_path: Path) -> None:
    strategy = tmp_path / "late.yaml"
    strategy.write_text("""\
mesh: {dp: 2, tp: 2}
rules:
  - {at: "*",                         cut: {dp: batch_size, tp: batch_size}}
  - {at: ["*.dispatch", "*.experts"], cut: {tp: ffn}}
  - {at: "*.experts",                 cut: {dp: experts}}
""")
    job = compiled("qwen3-30b-a3b", str(strategy), batch_size=64, seq_len=128)
    assert "rows of one part do not lie together" in str(job.diagnostics[0])
