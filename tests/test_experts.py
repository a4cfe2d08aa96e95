"""Where experts are and how tokens come to them: strategies with the volumes of their papers, odd ones of our own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_models import EP, MODELS, PLANS, WEIGHTS, rule
from small_models import plan as small
from xdsl.dialects.builtin import DenseArrayBase, i64

from dagc import driver
from dagc.backends.devices import devices
from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.ir.deployment import EdgeKind
from dagc.ir.evaluate import evaluate
from dagc.ir.module import annotate, sizes_of
from dagc.ir.ops.assign import AssignOp
from dagc.ir.ops.program import WeightOp
from dagc.ir.slots import Slots
from dagc.job import Job, Request
from dagc.passes.verify import coverage, verify_module
from dagc.pipeline import lower
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


def test_deepseek_v3s_own_units_hold_the_slots_of_its_report() -> None:
    """Prefill: 32 GPUs, 256 experts and 32 copies; decode: 320 GPUs, one slot on each (section 3.4)."""
    prefill = compiled("deepseek-v3", "deepseek-prefill", gpus=32, batch_size=64, seq_len=4096)
    assert sent(prefill, "all-to-all", "moe.dispatch") == 64 * 4096 // 32 * 8 * 7168 * 31 // 32
    request = Request("deepseek-v3", ("deepseek-decode",), baseline="none", gpus=320, batch_size=5120, kv_len=4096,
                      phases=("decode",))  # fmt: skip
    (job,) = plan(request)
    decode = driver.compile_job(job, request)
    assert sent(decode, "all-to-all", "moe.dispatch") == -(-5120 // 320 * 8 * 7168 * 319 // 320)
    figures = [job.figures["slots"] for job in (prefill, decode)]
    assert [(f["slots"], f["slots_per_gpu"], len(f["replicated"])) for f in figures] == [(288, 9, 32), (320, 1, 64)]


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


# Slots.


def placed(strategy: str, gpus: int, model: str = "mixtral-8x7b") -> Job:
    return compiled(model, strategy, gpus=gpus, batch_size=64, seq_len=128)


def written(path: Path, experts: str, axis: str = "experts") -> str:
    """A strategy file: expert parallel, its experts placed so."""
    path.write_text(f"""\
mesh: {{ep: gpus}}
rules:
  - {{at: "*",         cut: {{ep: batch_size}}}}
  - {{at: "*.experts", cut: {{ep: {axis}}}}}
experts: {experts}
""")
    return str(path)


def held(job: Job) -> list[str]:
    """Per GPU the experts that its down projections are of, as the graph says."""
    assert job.status == "valid", [str(d) for d in job.diagnostics]
    assert job.graph is not None
    rows = [row for row in job.graph.rows if row.path.endswith("experts.down_proj") and row.spread]
    found = {int(gpu): text for row in rows for gpu, text in zip(row.gpus, row.spread, strict=True)}
    return [found[gpu] for gpu in sorted(found)]


def test_redundant_experts_are_dealt_out_to_gpus_that_have_not_got_them() -> None:
    assert held(placed("ep-redundant", 4)) == [
        "experts 0-2 (copy 1/2 of 0, 1/2 of 2)",
        "experts 2-3, 0 (copy 2/2 of 2, 2/2 of 0)",
        "experts 4-6 (copy 1/2 of 4, 1/2 of 6)",
        "experts 6-7, 4 (copy 2/2 of 6, 2/2 of 4)",
    ]


def test_hot_experts_have_the_slots_that_are_listed(tmp_path: Path) -> None:
    job = placed(written(tmp_path / "hot.yaml", "{slots: 12, replicas: {3: 4, 5: 2}}"), 4)
    assert [text.count("/4") for text in held(job)] == [1, 1, 1, 1]
    assert job.figures["slots"]["replicated"] == {"3": 4, "5": 2}
    assert job.figures["slots"]["uniform_rows_balance"] == 1.125


@pytest.mark.parametrize(
    ("gpus", "replicas", "each"), [(4, "", 2), (8, ", replicas: {3: 4}", 2), (2, ", replicas: {3: 2}", 5)]
)
def test_every_gpu_has_as_few_slots_as_hold_all_experts(tmp_path: Path, gpus: int, replicas: str, each: int) -> None:
    job = placed(written(tmp_path / "few.yaml", f"{{slots: gpus{replicas}}}"), gpus)
    assert job.status == "valid", [str(d) for d in job.diagnostics]
    assert (job.figures["slots"]["slots"], job.figures["slots"]["slots_per_gpu"]) == (gpus * each, each)


def test_with_more_gpus_than_experts_each_has_one(tmp_path: Path) -> None:
    job = placed(written(tmp_path / "wide.yaml", "{slots: gpus}"), 16)
    assert sorted(held(job)) == [f"expert {i} (copy {copy}/2)" for i in range(8) for copy in (1, 2)]
    assert job.figures["slots"]["uniform_rows_balance"] == 1.0
    assert job.figures["total_parameters"] == placed("ep", 8).figures["total_parameters"]


@pytest.mark.parametrize("order", ["experts", "{experts: zigzag}"])
def test_a_placement_is_what_gpus_hold_in_whatever_order_experts_are_cut(tmp_path: Path, order: str) -> None:
    (tmp_path / "table.yaml").write_text("[[7, 0, 3, 5], [1, 2, 3, 4], [4, 5, 3, 2], [6, 0, 3, 1]]")
    job = placed(written(tmp_path / "placed.yaml", "{placement: table.yaml}", order), 4)
    assert job.module is not None
    found = [entry["experts"] for entry in devices(job.module, job.graph)]
    second, third = [[1, 5]], [[4, 6], [3, 4], [2, 3]]
    assert found == [[[7, 8], [0, 1], [3, 4], [5, 6]], second, third, [[6, 7], [0, 1], [3, 4], [1, 2]]]


def test_a_placement_says_how_many_experts_each_gpu_has(tmp_path: Path) -> None:
    job = placed(written(tmp_path / "unequal.yaml", "{placement: [[7, 0, 3, 5], [1], [2, 3, 4], [6, 0]]}"), 4)
    wanted = ["7, 0, 3, 5 (copy 1/2 of 0, 1/2 of 3)", "1", "2-4 (copy 2/2 of 3)", "6, 0 (copy 2/2 of 0)"]
    assert [text.partition(" ")[2] for text in held(job)] == wanted
    figures = job.figures["slots"]
    assert (figures["slots"], figures["fewest_slots_per_gpu"], figures["slots_per_gpu"]) == (10, 1, 4)
    assert job.figures["balance"]["flops"] > 1.1
    sizes = {part["gpus"]: part["parameters"] for part in job.figures["classes"]}
    matrices = 32 * 3 * 4096 * 14336
    assert [sizes[gpu] - sizes["1"] for gpu in ("0", "2", "3")] == [3 * matrices, 2 * matrices, matrices]


@pytest.mark.parametrize(("gpus", "experts", "each"), [(3, "{redundant: 2}", [4, 3, 3]), (3, "", [3, 3, 2])])
def test_experts_and_copies_are_dealt_unevenly_where_they_do_not_divide(
    tmp_path: Path, gpus: int, experts: str, each: list[int]
) -> None:
    file = tmp_path / "uneven.yaml"
    written(file, experts or "~", "{experts: uneven}")
    file.write_text(file.read_text().replace("experts: ~\n", "").replace("ep: batch_size", "ep: {batch_size: uneven}"))
    job = placed(str(file), gpus)
    assert job.status == "valid", [str(d) for d in job.diagnostics]
    assert job.graph is not None
    rows = [row for row in job.graph.rows if row.path.endswith("experts.down_proj") and row.move is None]
    found = {int(gpu): row.outputs[0].local[0] for row in rows for gpu in row.gpus}
    assert [int(found[gpu]) for gpu in range(gpus)] == each


def test_rows_of_slots_are_shared_out_and_volumes_stay() -> None:
    one, other = placed("ep", 4), placed("ep-redundant", 4)
    for after in ("moe.dispatch", "moe.experts.down_proj"):
        assert sent(one, "all-to-all", after) == sent(other, "all-to-all", after)
    assert one.figures["classes"][0]["flops"] == other.figures["classes"][0]["flops"]
    assert other.figures["classes"][0]["weight_bytes"] > one.figures["classes"][0]["weight_bytes"]


def test_a_flag_says_how_many_copies_there_are() -> None:
    def slots(strategy: str, count: int) -> dict[str, object] | None:
        return compiled("mixtral-8x7b", strategy, gpus=4, batch_size=64, seq_len=128, redundant_experts=count).figures[
            "slots"
        ]

    copies = slots("ep", 8)
    assert copies is not None
    assert (copies["slots"], copies["slots_per_gpu"]) == (16, 4)
    assert slots("ep-redundant", 0) is None
    refused = compiled("mixtral-8x7b", "ep", gpus=4, batch_size=64, seq_len=128, redundant_experts=3).diagnostics
    assert ["11 slots are not shared equally" in d.problem for d in refused] == [True]


def test_the_gate_reaches_every_slot_by_dashed_edges() -> None:
    graph = placed("ep-redundant", 4).graph
    assert graph is not None
    names = {row.index: row.op for row in graph.rows}
    dashed = {(names[link.source], names[link.target]) for link in graph.links if link.kind is EdgeKind.SELECT}
    assert {("top_k", "assign"), ("assign", "dispatch"), ("assign", "count"), ("assign", "combine")} <= dashed


WRONG = {
    "{placement: [[0, 1, 2], [3, 4, 5], [6, 7, 9], [0, 8, 1]]}": ["the model has no expert 8, 9"],
    "{placement: [[0, 1, 2], [3, 4, 5], [6, 0, 1], [0, 2, 3]]}": ["no slot holds expert 7"],
    "{placement: [[0, 1, 2, 3], [4, 5, 6]]}": [
        "the placement lists 2 GPUs, experts are cut into 4", "no slot holds expert 7",
    ],
    "{slots: 10}": ["10 slots are not shared equally by 4 parts of GPUs"],
    "{slots: 8, replicas: {1: 3}}": ["8 slots do not hold 8 experts and 2 replicas"],
    "{redundant: 2}": ["10 slots are not shared equally"],
    "{redundant: 4, replicas: {8: 2}}": ["the model has no expert 8"],
    "{slots: 8, redundant: 2}": ["slots and redundant both say how many slots there are"],
    "{placement: [[0]], replicas: {1: 2}}": ["placement and replicas both say"],
    "{redundant: many}": ["experts.redundant has a wrong value"],
    "{replicas: {hot: 2}}": ["experts.replicas has a wrong value"],
    "{placement: gone.yaml}": ["no such file"],
    "{copies: 2}": ["unknown key 'copies'"],
}  # fmt: skip


@pytest.mark.parametrize("experts", WRONG)
def test_slots_that_cannot_be_are_refused_with_all_that_is_wrong(tmp_path: Path, experts: str) -> None:
    strategy = written(tmp_path / "s.yaml", experts)
    try:
        found = placed(strategy, 4).diagnostics
    except Refused as refused:
        found = list(refused.diagnostics)
    assert len(found) == len(WRONG[experts]), found
    assert all(expected in d.problem for d, expected in zip(found, WRONG[experts], strict=True)), found
    assert all(d.hint or d.code in ("wrong-type", "file") for d in found)


def test_unequal_lists_do_not_go_with_an_order_of_equal_parts(tmp_path: Path) -> None:
    job = placed(written(tmp_path / "s.yaml", "{placement: [[0, 1, 2], [3, 4, 5, 6, 7]]}", "{experts: zigzag}"), 2)
    assert [d.problem for d in job.diagnostics] == ["GPUs hold from 3 to 5 experts"]
    sizes = "{placement: [[0, 1, 2], [3, 4, 5, 6, 7]]}", "{experts: {sizes: [4, 4]}}"
    job = placed(written(tmp_path / "s.yaml", *sizes), 2)
    assert [d.problem for d in job.diagnostics] == ["the placement lists other numbers of experts than the cut gives"]


def test_two_strategies_do_not_both_place_experts() -> None:
    with pytest.raises(Refused, match="2 strategies say which experts GPUs hold"):
        placed("ep-redundant=2,deepseek-prefill", 16)


ZIGZAG = (rule("*", "ep", "batch_size"), rule("*.experts", "ep", experts="zigzag"))
UNEQUAL = (rule("*", "ep", "seq_len"), rule("*.experts", "ep", experts="(1, 4, 2, 1)"))
UNEQUALLY = Slots(placement=((2,), (3, 0, 1, 1), (1, 2), (3,)))
PLACED = Slots(placement=((3, 0, 1, 1), (2, 3, 0, 2)))


def test_experts_elsewhere_than_the_plan_places_them_are_found() -> None:
    logical = build(MODELS["moe"])
    hot = PLANS["slots of hot experts"]
    placed = small(ZIGZAG, slots=PLACED, ep=2), small(UNEQUAL, slots=UNEQUALLY, ep=4)
    for made, problem in (*((each, "the placement lists") for each in placed), (hot, "slots of expert")):
        annotate(logical, plan=made, sizes=sizes_of(logical).bind(B=4, S=8))
        module = lower(logical.clone())
        inputs = {"input": np.random.default_rng(0).integers(0, 24, (4, 8))}
        assert np.allclose(evaluate(module, inputs, WEIGHTS), evaluate(logical, inputs, WEIGHTS), rtol=1e-9)
        assert verify_module(module, logical).holds
        for op in module.walk():
            if isinstance(op, WeightOp | AssignOp) and op.slots:
                op.properties["slots"] = DenseArrayBase.from_list(i64, [0, 1, 2, 3] * (len(op.table) // 4))
        found = verify_module(module, logical).diagnostics
        assert found
        assert all(problem in str(d) for d in found)


def test_every_expert_has_a_slot_or_the_program_is_not_the_models() -> None:
    logical = build(MODELS["moe"])
    annotate(logical, plan=small(EP, slots=Slots(total=6), ep=2), sizes=sizes_of(logical).bind(B=4, S=8))
    module = lower(logical.clone())
    for op in module.walk():
        if isinstance(op, WeightOp | AssignOp) and op.slots:
            op.properties["slots"] = DenseArrayBase.from_list(i64, [0, 1, 2, 0, 1, 2])
    assert any("moe.assign" in str(d) for d in coverage.check(module, logical))
