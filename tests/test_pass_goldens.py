"""What each pass does to a small module, held against patterns (names of values may differ, never what is done)."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from filecheck.matcher import Matcher
from filecheck.options import Options

from dagc.frontends.build import build
from dagc.frontends.description import read_description
from dagc.frontends.strategy import resolve
from dagc.ir.dialect import context
from dagc.ir.module import annotate, sizes_of
from dagc.pipeline import PIPELINE, text_of

MODEL = """\
model: {name: m, hidden: 64, layers: 4, heads: 8, kv_heads: 4, d_k: 8, ffn: 128, activation: silu, gated: true,
        experts: 4, top_k: 2}
strategies: [tp=2]
"""
GOLDENS = {
    ("place", "tp=2,pp=2"): """
        CHECK: dag.mesh = #dag.mesh<[stage0 [tp = 2], stage1 [tp = 2]], stages pp>
        CHECK: dag.input() at "input" : -> {{.*}}on host
        CHECK: dag.repeat {{.*}} layers 0 to 1 period 1 : {{.*}}on stage0
        CHECK: dag.move({{.*}}on stage0> -> {{.*}}on stage1>
        CHECK: dag.repeat {{.*}} layers 2 to 3 period 1 : {{.*}}on stage1
        """,
    ("place", "tp=8"): """
        CHECK: dag.mesh = #dag.mesh<[all [tp.0 = 4, tp.1 = 2]]>
        """,
    ("split", "split-kv=2"): """
        CHECK: %mask = dag.mask
        CHECK-NEXT: %lse = dag.log_sum_exp(%mask) at "layers.attention.core.softmax.lse" {over = "kv_len"}
        CHECK-NEXT: %softmax = dag.exp_minus(%mask, %lse) at "layers.attention.core.softmax" :
        CHECK: dag.softmax({{.*}} at "layers.moe.gate_softmax"
        """,
    ("slots", "ep-redundant=2"): """
        CHECK: [T = "B*S/3" exactly "B*S/3"]
        CHECK: %top_k = dag.top_k
        CHECK-NEXT: %assign = dag.assign(%top_k) at "layers.moe.assign" {slots = array<i64: 0, 1, 2, 2, 3, 0>}
        CHECK: dag.dispatch({{.*}}, %assign) {{.*}} {experts = 6 : i64} {{.*}} -> !dag.tensor<[experts = 6,
        CHECK: dag.count(%assign){{.*}}sources = P, experts = 6]
        CHECK: gate_proj.weight" {slots = array<i64: 0, 1, 2, 2, 3, 0>} : -> !dag.tensor<[experts = 6, hidden = 64,
        CHECK: dag.combine({{.*}}, %assign)
        """,
    ("communicate", "split-kv=2"): """
        CHECK: dag.all_gather({{.*}} at "layers.attention.q_proj" {axes = ["cp"], dim = "seq_len"}
        CHECK: dag.all_reduce({{.*}}softmax.lse" {axes = ["cp"], merge = "lse"} {{.*}}owes lse over [cp], on all>
        CHECK: dag.reduce_scatter({{.*}} at "layers.attention.core.context" {axes = ["cp"], dim = "seq_len"}
        """,
    ("shard", "tp=8"): """
        CHECK: at "layers.attention.q_proj"{{.*}}heads = 8 / tp.0 / tp.1, d_k
        CHECK: at "layers.attention.k_proj"{{.*}}kv_heads = 4 / tp.0, d_k
        CHECK: at "layers.attention.o_proj"{{.*}}owes sum over [tp.0, tp.1]
        CHECK: dag.move({{.*}}owes sum over [tp.0, tp.1], on all> -> {{.*}}hidden = 64], bf16, on all>
        """,
    ("shard", "ep=4"): """
        CHECK: [P = "4" exactly "4", T = "P*ceildiv(B*S, 2*P)" exactly "B*S/2"]
        CHECK: dag.dispatch{{.*}} -> !dag.tensor<[experts = 4, expert_tokens = T / ep, hidden = 64]
        CHECK: dag.move({{.*}}[experts = 4, expert_tokens = T / ep, {{.*}} -> {{.*}}[experts = 4 / ep,
        """,
    ("communicate", "ep=2,tp=2"): """
        CHECK: dag.all_reduce({{.*}} at "layers.attention.o_proj" {axes = ["tp"]}
        CHECK: dag.all_to_all({{.*}} at "layers.moe.dispatch" {axes = ["ep"], dim = "expert_tokens", to = "experts"}
        CHECK: dag.all_to_all({{.*}} at "layers.moe.dispatch.count" {axes = ["ep"], dim = "sources", to = "experts"}
        CHECK: dag.all_to_all({{.*}} at "layers.moe.experts.down_proj"{{.*}}owes{{.*}} -> {{.*}}owes sum over [tp]
        CHECK: dag.combine
        CHECK: dag.all_reduce({{.*}} at "layers.moe.combine" {axes = ["tp"]}
        CHECK-NOT: dag.move
        """,
    ("tidy", "tp-sp=2"): """
        CHECK: dag.all_gather({{.*}} at "layers.attention_norm" {axes = ["tp"], dim = "seq_len"}
        CHECK-NOT: dag.all_gather
        CHECK: dag.reduce_scatter({{.*}} at "layers.attention.o_proj" {axes = ["tp"], dim = "seq_len"}
        CHECK: dag.all_gather({{.*}} at "layers.ffn_norm"
        CHECK: dag.reduce_scatter({{.*}} at "layers.moe.combine"
        CHECK: dag.yield
        """,
}  # fmt: skip


@pytest.mark.parametrize(("last", "strategy"), GOLDENS, ids=[" ".join(key) for key in GOLDENS])
def test_pass(last: str, strategy: str, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MODEL)
    module = build(read_description(tmp_path / "m.yaml")[0].models[0])
    annotate(module, plan=resolve(strategy, gpus=None), sizes=sizes_of(module))
    for step in PIPELINE:
        step.apply(context(), module)
        if step.name == last:
            break
    (tmp_path / "module").write_text(text_of(module, locations=False))
    (tmp_path / "golden").write_text(GOLDENS[last, strategy])
    matcher = Matcher.from_opts(Options(match_filename=f"{tmp_path}/golden", input_file=f"{tmp_path}/module"))
    matcher.stderr = StringIO()
    assert matcher.run() == 0, matcher.stderr.getvalue()
