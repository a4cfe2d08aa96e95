"""Strategies that list alternatives: each lowers, the one that sends the fewest bytes is kept, all are reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dagc import cli, driver
from dagc.choosing import EQUAL, FEWEST, MORE, UNBOUND
from dagc.diagnostics import Diagnostic, Refused
from dagc.frontends.alternatives import variants
from dagc.frontends.build import build
from dagc.frontends.source import experiments_of
from dagc.frontends.strategy import alternatives, resolve
from dagc.frontends.strategy_file import parse_strategy
from dagc.frontends.yaml_reader import parse_yaml
from dagc.ir.dialect import context
from dagc.job import Job, Request
from dagc.opt import PlanPass
from dagc.pipeline import text_of
from dagc.planning import plan

PLAIN = Path(__file__).parent / "data" / "starcoder.yaml"
"""Without rotary embedding, so that scores may be reduced where q and k stay cut."""
WAYS = """\
about: two ways to spread heads
mesh: {tp: gpus}
rules:
  - {at: "*", cut: {tp: [ffn, vocab]}}
alternatives:
  by heads: {rules: [{at: "*", cut: {tp: [heads, ffn, vocab]}}]}
  by features:
    rules:
      - {at: "*", cut: {tp: [d_k, ffn, vocab]}}
"""


def compiled(strategy: str, source: str = str(PLAIN), gpus: int = 8, **sizes: object) -> Job:
    request = Request(source, (strategy,), baseline="none", gpus=gpus, **sizes)  # type: ignore[arg-type]
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    return job


@pytest.mark.parametrize(("seq_len", "name"), [(64, "reduce scores"), (1024, "gather q and k")], ids=["short", "long"])
def test_two_level_keeps_what_sends_less(seq_len: int, name: str) -> None:
    """2·B·h·L²·(m−1)/m of scores against B·L·(H + K)·d·(m−1)/m of q and k a layer, of a GPU's heads."""
    job = compiled("two-level", batch_size=16, seq_len=seq_len)
    assert job.status == "valid"
    (kept,) = [one for one in job.considered if one.kept]
    assert (kept.name, kept.why) == (name, FEWEST)
    scores, gathered = 2 * 16 * 12 * seq_len**2 // 2, 16 * seq_len * (12 + 1) * 128 // 2
    others = {one.name: one.bytes_sent_per_gpu for one in job.considered}
    assert others["reduce scores"] - others["gather q and k"] == 2 * 40 * (scores - gathered)
    assert [one.why for one in job.considered if not one.kept] == [MORE]
    assert job.graph is not None
    assert job.graph.facts[-1].endswith(f"over ds: {name}")


def test_bytes_of_unbound_sizes_are_not_compared() -> None:
    job = compiled("two-level", batch_size=16, seq_len="symbolic")
    assert [(one.name, one.kept, one.why) for one in job.considered] == [
        ("gather q and k", True, UNBOUND),
        ("reduce scores", False, UNBOUND),
    ]


@pytest.mark.parametrize(("sizes", "kept"), [
    (" batch_size=16 seq_len=64", "reduce scores"), (" batch_size=16 seq_len=1024", "gather q and k"),
    (' alternative="reduce scores" batch_size=16 seq_len=1024', "reduce scores"), ("", "gather q and k"),
])  # fmt: skip
def test_passes_by_hand_take_what_lower_keeps_and_say_so(tmp_path: Path, sizes: str, kept: str) -> None:
    logical = tmp_path / "logical.mlir"
    (model,) = experiments_of(str(PLAIN))[0].models
    logical.write_text(text_of(build(model)))
    done = CliRunner().invoke(cli.main, ["opt", str(logical), "-p", f"shard{{strategy=two-level gpus=8{sizes}}}"])
    assert done.exit_code == 0, done.output
    (scores,) = [line for line in done.stdout.splitlines() if "= dag.scores" in line]
    assert ("owes sum over [ds]" in scores) is (kept == "reduce scores")
    assert (f"alternative `{kept}` is taken" in done.stderr) is ("alternative=" not in sizes)


def test_passes_by_hand_know_the_alternatives_by_name() -> None:
    with pytest.raises(Refused, match="lists no alternative by magic"):
        PlanPass("two-level", gpus=8, alternative="by magic").apply(
            context(), build(experiments_of(str(PLAIN))[0].models[0])
        )


def test_of_equals_the_first_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "same.yaml"
    file.write_text("mesh: {tp: gpus}\nrules: [{at: '*', cut: {tp: [heads, ffn]}}]\nalternatives: {one: {}, two: {}}\n")
    assert [(one.name, one.kept, one.why) for one in compiled(str(file)).considered] == [
        ("one", True, FEWEST),
        ("two", False, EQUAL),
    ]


def test_a_refused_alternative_is_reported_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "ways.yaml"
    file.write_text(WAYS + "  by layers: {mesh: {pp: 3}, stages: {axis: pp}}\n")
    job = compiled(str(file))
    assert job.status == "valid"
    found = {one.name: one for one in job.considered}
    assert found["by heads"].kept
    assert "parts for 8 GPUs" in found["by layers"].why or "not divide" in found["by layers"].why
    assert found["by layers"].bytes_sent_per_gpu is None


def test_where_all_are_refused_all_reasons_are_said(tmp_path: Path) -> None:
    file = tmp_path / "none.yaml"
    file.write_text(WAYS.replace("ffn, vocab", "vocab"))
    job = compiled(str(file), gpus=5)
    assert job.status == "refused"
    said = [d.problem for d in job.diagnostics]
    assert any("divide heads" in problem for problem in said)
    assert any("divide d_k" in problem for problem in said)
    assert not any(one.kept for one in job.considered)


def test_an_alternative_is_the_file_with_what_it_says() -> None:
    ways = variants(parse_yaml(WAYS, "ways.yaml"))
    assert list(ways) == ["by heads", "by features"]
    made = parse_strategy(ways["by features"], "ways")
    assert [(rule.cuts, rule.where) for rule in made.rules] == [
        (("ffn", "vocab"), "ways.yaml:4"),
        (("d_k", "ffn", "vocab"), "ways.yaml:9"),
    ]


def test_alternatives_may_have_meshes_of_their_own() -> None:
    text = {"mesh": {}, "alternatives": {"a": {"mesh": {"x": 2}}, "b": {"mesh": {"y": "gpus", "x": 2}}}}
    inline = {"mine": text}
    assert alternatives("mine", inline=inline) == ("a", "b")
    assert [axis.name for axis in resolve("mine", gpus=4, inline=inline, alternative="b").axes] == ["y", "x"]
    with pytest.raises(Refused) as refusal:
        resolve("mine", gpus=4, mesh="y=2", inline=inline, alternative="a")
    assert "a has no axis y" in str(refusal.value)


def test_products_combine_alternatives() -> None:
    assert alternatives("two-level,pp=2") == ("gather q and k", "reduce scores")
    rules = [resolve("two-level,ds=2,hg=2,pp=2", gpus=8, alternative=name).rules for name in alternatives("two-level")]
    assert len(rules[0]) == len(rules[1]) + 1


@pytest.mark.parametrize("value", ["[a, b]", "{}", "{a: 3}", "x"])
def test_what_are_no_alternatives(value: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse_strategy(parse_yaml(f"mesh: {{tp: 2}}\nalternatives: {value}\n", "s.yaml"), "s")
    assert [(d.code, d.where) for d in refusal.value.diagnostics] == [("wrong-type", "s.yaml:2")]


def test_what_is_wrong_in_common_is_said_once_and_in_alternatives_where_it_stands() -> None:
    text = WAYS.replace("ffn, vocab]}}\nalt", "fnn, vocab]}}\nalt").replace("d_k, ffn", "dk, ffn")
    with pytest.raises(Refused) as refusal:
        parse_strategy(parse_yaml(text, "s.yaml"), "s")
    assert [d.where for d in refusal.value.diagnostics] == ["s.yaml:4", "s.yaml:9"]


def test_reports_and_json_say_what_was_considered(tmp_path: Path) -> None:
    flags = ["lower", str(PLAIN), "--strategy", "two-level", "--gpus", "8", "--batch-size", "16", "--no-svg", "--json"]
    done = CliRunner().invoke(cli.main, [*flags, "--seq-len", "64", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.stderr
    printed = json.loads(done.stdout)
    (entry,) = [entry for entry in printed["dags"] if entry["strategy"] == "two-level"]
    assert entry["alternative"] == "reduce scores"
    report = json.loads((tmp_path / "out" / entry["report"]).read_text())
    assert [one["kept"] for one in report["alternatives"]] == [False, True]
    assert printed["alternatives"] == {"starcoder/two-level": report["alternatives"]}


def test_the_diagnostic_of_an_alternative_names_it() -> None:
    job = compiled("two-level", gpus=64, batch_size=16, seq_len=64)
    assert job.status == "refused"
    assert all(isinstance(d, Diagnostic) and "two-level (" in d.where for d in job.diagnostics)
