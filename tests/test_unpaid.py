"""Plans that leave a debt unpaid: refused with what they would compute; as they are written, drawn and never valid."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from small_models import SIZES, SPLIT_KV, TWO_LEVEL, WEIGHTS, plan, rule

from dagc import cli, driver
from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.frontends.model import Attention, FeedForward, Model
from dagc.frontends.strategy import resolve
from dagc.ir.dialect import parse_module
from dagc.ir.evaluate import evaluate
from dagc.ir.module import annotate, sizes_of
from dagc.ir.ops.move import UnpaidOp
from dagc.ir.plan import Plan, Rule
from dagc.job import Request
from dagc.passes.expand import expand
from dagc.passes.verify import verify
from dagc.pipeline import lower, text_of
from dagc.planning import plan as planned

HEADS, SIZE = 4, 4
MODEL = Model("plain", 8, ("dense",), Attention(HEADS, HEADS, SIZE, rope=False), "rms_norm", "bf16",
              dense=FeedForward(8, "relu", gated=False))  # fmt: skip
SLICED: tuple[Rule, ...] = (rule("*", "hg", "heads", "ffn"), rule("*", "ds", "d_k", "ffn"))
"""Two-level without gathering anything: scores owe a sum over ds."""
LITERAL = """\
mesh: {hg: gpus, ds: 2}
rules:
  - {at: "*", cut: {hg: [heads, ffn, vocab], ds: [d_k, ffn, vocab]}}
  - {at: "*.scores", unpaid: ds}
"""
STARCODER = str(Path(__file__).parent / "data" / "starcoder.yaml")


def unpaid(rules: tuple[Rule, ...], *left: Rule, as_written: bool = True, **axes: int) -> Plan:
    return replace(plan(rules, **axes), unpaid=left, as_written=as_written)


def lowered(made: Plan) -> tuple[Any, Any]:
    logical = build(MODEL)
    annotate(logical, plan=made, sizes=sizes_of(logical).bind(**SIZES))
    return logical, lower(logical.clone())


def values(module: Any) -> np.ndarray:
    given = {"input": np.random.default_rng(0).normal(size=(SIZES["B"], SIZES["S"], 8))}
    return evaluate(module, given, WEIGHTS)


def test_a_slice_for_the_whole_is_attention_of_more_and_smaller_heads() -> None:
    """h heads of size d cut into m slices: what 2h heads of size d/2 compute, but for the scale 1/√d."""
    logical, module = lowered(unpaid(SLICED, rule("*.scores", "ds"), hg=2, ds=2))
    assert not np.allclose(values(module), values(logical), rtol=1e-3)

    def finer(key: tuple[str, int | None], shape: tuple[int, ...]) -> np.ndarray:
        cut = {"q_proj": 1, "k_proj": 1, "v_proj": 1, "o_proj": 0}.get(key[0].split(".")[-2])
        if cut is None:
            return WEIGHTS(key, shape)
        whole = WEIGHTS(key, (*shape[:cut], HEADS, SIZE, *shape[cut + 2 :])).reshape(shape)
        return whole * 2**-0.25 if key[0].split(".")[-2] in ("q_proj", "k_proj") else whole

    many = build(replace(MODEL, attention=replace(MODEL.attention, heads=2 * HEADS, kv_heads=2 * HEADS, d_k=SIZE // 2)))
    annotate(many, sizes=sizes_of(many).bind(**SIZES))
    given = {"input": np.random.default_rng(0).normal(size=(SIZES["B"], SIZES["S"], 8))}
    assert np.allclose(values(module), evaluate(many, given, finer), rtol=1e-9)


@pytest.mark.parametrize(
    ("made", "left"),
    [
        (unpaid(SLICED, rule("*.scores", "ds"), hg=2, ds=2), "layers.attention.core.scores"),
        (unpaid(SPLIT_KV, rule("*.softmax", "cp"), cp=4), "layers.attention.core.softmax.lse"),
        (unpaid((rule("*", "tp", "heads", "ffn"),), rule("*.down_proj", "tp"), tp=2), "layers.ffn.down_proj"),
    ],
    ids=["softmax over a slice", "split keys without the merge", "no all-reduce"],
)
def test_no_layer_of_defence_lets_it_pass(made: Plan, left: str) -> None:
    logical, module = lowered(made)
    assert [op.path.data for op in module.walk() if isinstance(op, UnpaidOp)] == [left]
    assert not np.allclose(values(module), values(logical), rtol=1e-3)
    verdict = verify(module, logical, expand(module, "plain"), sizes_of(module))
    assert {layer.name for layer in verdict.layers if not layer.holds} == {"layouts", "meaning"}
    assert [d.code for d in verdict.diagnostics] == ["unpaid", "DEP3"]
    text = text_of(module)
    assert "dag.unpaid" in text
    assert text_of(parse_module(text)) == text
    with pytest.raises(Refused) as refusal:
        lowered(replace(made, as_written=False))
    assert [d.code for d in refusal.value.diagnostics] == ["unpaid"]
    assert refusal.value.diagnostics[0].where.endswith(left)


def test_a_rule_that_leaves_nothing_unpaid_is_refused() -> None:
    with pytest.raises(Refused) as refusal:
        lowered(unpaid(TWO_LEVEL, rule("*.scores", "ds"), hg=2, ds=2))
    assert [(d.code, "nothing is owed over ds" in d.problem) for d in refusal.value.diagnostics] == [("rule", True)]


def test_the_plan_round_trips() -> None:
    made = resolve("mine", gpus=4, inline={"mine": {"mesh": {"tp": 4}, "rules": [{"at": "*.scores", "unpaid": "tp"}]}})
    assert [(r.at, r.axis) for r in made.unpaid] == [(("*.scores",), "tp")]
    module = build(MODEL)
    annotate(module, plan=replace(made, as_written=True))
    assert ", as_written" in text_of(module)
    assert text_of(parse_module(text_of(module))) == text_of(module)


@pytest.fixture
def literal(tmp_path: Path) -> str:
    (tmp_path / "literal.yaml").write_text(LITERAL)
    return str(tmp_path / "literal.yaml")


def test_it_is_written_stamped_and_never_ok(literal: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    flags = ["lower", STARCODER, "--strategy", literal, "--gpus", "8", "--baseline", "none", "--no-svg", "--json"]
    refused = CliRunner().invoke(cli.main, [*flags, "--out", str(out)])
    assert (refused.exit_code, out.exists()) == (1, False)
    done = CliRunner().invoke(cli.main, [*flags, "--out", str(out), "--as-written"])
    assert done.exit_code == 1
    (entry,) = json.loads(done.stdout)["dags"]
    assert entry["status"] == "as-written"
    assert any("DEP3" in reason for reason in entry["reason"])
    report = json.loads((out / entry["report"]).read_text())
    assert not report["certificate"]["valid"]
    assert "NOT THE MODEL'S" in (out / entry["dot"]).read_text()
    again = CliRunner().invoke(cli.main, ["verify", str(out)])
    assert again.exit_code == 1
    assert "DEP3" in again.output
    assert "certificate" not in again.output
    assert CliRunner().invoke(cli.main, ["lint", str(out / entry["dot"])]).exit_code == 0


def test_what_pays_is_kept_before_what_does_not(literal: str, tmp_path: Path) -> None:
    text = LITERAL.replace('  - {at: "*.scores", unpaid: ds}\n', "")
    text += "alternatives:\n  literal: {rules: [{at: '*.scores', unpaid: ds}]}\n  exact: {}\n"
    Path(literal).write_text(text)
    for as_written in (False, True):
        request = Request(STARCODER, (literal,), baseline="none", gpus=8, as_written=as_written)
        (job,) = (driver.compile_job(job, request) for job in planned(request))
        assert job.status == "valid"
        assert [(one.name, one.kept, "[unpaid]" in one.why) for one in job.considered] == [
            ("literal", False, True),
            ("exact", True, False),
        ]
