"""Why a value is as it is: every axis, every debt and every move names the rule, its file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dagc import cli

MINE = """\
about: sequences over nodes, heads inside
mesh: {cp: 2, tp: 8}
rules:
  - {at: "*", cut: {cp: {seq_len: zigzag}}}
  - {at: "*", cut: {tp: [heads, ffn, vocab]}}
  - {at: "*.core", cut: {cp: heads}}
"""


def dagc(*args: object) -> Result:
    return CliRunner().invoke(cli.main, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("explain")
    (home / "mine.yaml").write_text(MINE)
    done = dagc("lower", "mixtral-8x7b", "--strategy", home / "mine.yaml", "--strategy", "ep=8,tp=2", "--strategy",
                "tp=16", "--strategy", "ep=4,fsdp=4", "--baseline", "tp-sp=8,dp=2", "--no-svg", "--gpus", 16,
                "--out", home / "out")  # fmt: skip
    assert done.exit_code == 0, done.output
    return home / "out"


def said(folder: Path, name: str, strategy: str) -> dict:
    done = dagc("explain", folder, "--value", name, "--json")
    assert done.exit_code == 0, done.output
    found = [each for each in json.loads(done.output) if each["strategy"].startswith(strategy)]
    assert found, done.output
    return found[0]


def dim(explained: dict, name: str) -> dict:
    return next(each for each in explained["dimensions"] if each["name"] == name)


def test_an_axis_names_its_rule_with_file_and_line(folder: Path) -> None:
    (cut,) = dim(said(folder, "layers.attention.q_proj", "ep=8,tp=2"), "heads")["cuts"]
    assert (cut["axis"], cut["parts"]) == ("tp", 2)
    assert cut["why"] == "rule at *: tp cuts heads, ffn, vocab"
    assert cut["where"] == "strategies/tp.yaml:4"


def test_a_weight_is_found_by_the_end_of_its_path(folder: Path) -> None:
    weight = said(folder, "up_proj.weight", "ep=8,tp=2")
    assert [cut["where"] for cut in dim(weight, "experts")["cuts"]] == ["strategies/ep.yaml:5"]
    assert dim(weight, "hidden") == {"name": "hidden", "global": 4096, "local": 4096, "cuts": [], "copies": []}


def test_an_order_is_said(folder: Path) -> None:
    (cut,) = dim(said(folder, "attention_norm", "mine"), "seq_len")["cuts"]
    assert (cut["axis"], cut["order"]) == ("cp", "zigzag")
    assert cut["where"].endswith("mine.yaml:4")


def test_what_follows_another_dimension_says_which(folder: Path) -> None:
    rows = dim(said(folder, "layers.moe.dispatch", "ep=8,tp=2"), "expert_tokens")
    assert rows["cuts"][0]["why"].startswith("expert_tokens follows batch_size, by rule at *")


def test_grouped_heads_name_the_part_of_the_axis_that_divides_them_and_that_which_holds_copies(folder: Path) -> None:
    heads = dim(said(folder, "layers.attention.k_proj", "tp=16"), "kv_heads")
    assert [(cut["axis"], cut["parts"]) for cut in heads["cuts"]] == [("tp.0", 8)]
    assert "kv_heads follows heads" in heads["cuts"][0]["why"]
    assert [(copy["axis"], copy["parts"], copy["where"]) for copy in heads["copies"]] == [
        ("tp.1", 2, "strategies/tp.yaml:4")
    ]


def test_a_debt_names_the_contraction_and_its_rule(folder: Path) -> None:
    (owed,) = said(folder, "layers.attention.o_proj", "ep=8,tp=2")["owes"]
    assert owed["why"].startswith("o_proj sums over heads, which tp cuts: rule at *")
    assert owed["where"] == "strategies/tp.yaml:4"


def test_a_move_names_both_layouts_the_user_and_both_rules(folder: Path) -> None:
    move = said(folder, node(folder, "all_to_all", "layers.moe.dispatch"), "ep=8,tp=2")["move"]
    assert move["made_by"] == "layers.moe.dispatch"
    assert "layers.moe.experts.up_proj" in move["needed_by"]
    changes = {change["dimension"]: change for change in move["changes"]}
    assert changes["expert_tokens"]["before"]["cuts"][0]["where"] == "strategies/ep.yaml:4"
    assert changes["experts"]["after"]["cuts"][0]["where"] == "strategies/ep.yaml:5"
    assert "rule at *" in changes["experts"]["before"]["why"]


def test_a_move_that_pays_says_what_was_owed_and_for_whom(folder: Path) -> None:
    found = said(folder, node(folder, "all_reduce", "layers.attention.o_proj"), "ep=8,tp=2")["move"]
    assert found["needed_by"] == ["layers.attention_residual"] or "layers.ffn_norm" in found["needed_by"]
    assert found["pays"][0]["where"] == "strategies/tp.yaml:4"


def test_what_enters_a_body_is_for_its_operators(folder: Path) -> None:
    move = said(folder, node(folder, "reduce_scatter", "embed", "tp-sp"), "tp-sp")["move"]
    assert "layers.attention_norm" in move["needed_by"]
    after = next(c for c in move["changes"] if c["dimension"] == "seq_len")["after"]
    assert after["cuts"][0]["where"] == "strategies/tp-sp.yaml:4"


def test_a_stored_weight_names_the_rule_that_stores_it(folder: Path) -> None:
    weight = said(folder, "layers.attention.q_proj.weight", "ep=4,fsdp=4")
    cuts = [cut for each in weight["dimensions"] for cut in each["cuts"]]
    assert any(cut["axis"] == "fsdp" and "fsdp.yaml" in cut["where"] for cut in cuts), cuts


def test_people_read_lines(folder: Path) -> None:
    done = dagc("explain", folder, "--value", node(folder, "all_to_all", "layers.moe.dispatch"))
    assert done.exit_code == 0, done.output
    assert "experts after: ep cuts it into 8: rule at *.experts: ep cuts experts" in done.output
    assert "(strategies/ep.yaml:5)" in done.output


@pytest.mark.parametrize(("name", "near"), [("o_prj", "o_proj"), ("layers.atention.o_proj", "layers.attention.o_proj")])
def test_unknown_names_are_refused_with_near_ones(folder: Path, name: str, near: str) -> None:
    done = dagc("explain", folder, "--value", name)
    assert done.exit_code == 2
    assert "unknown-value" in done.output
    assert near in done.output


def test_every_value_of_every_deployment_can_be_explained(folder: Path) -> None:
    module = next(folder.glob("*/tp-sp*.mlir")).read_text()
    for name in {line.split('at "')[1].split('"')[0] for line in module.splitlines() if 'at "' in line}:
        done = dagc("explain", folder, "--value", name, "--json")
        assert all(cut["why"] for each in json.loads(done.output) for d in each["dimensions"] for cut in d["cuts"])


def test_what_is_no_folder_is_a_diagnostic(tmp_path: Path) -> None:
    done = dagc("explain", tmp_path, "--value", "q_proj")
    assert done.exit_code in (1, 2)
    assert "error[" in done.output


def node(folder: Path, op: str, path: str, strategy: str = "ep=8,tp=2") -> str:
    """The name of a node of a DOT with this operator and path."""
    dot = next(folder.glob(f"*/{strategy}*.spmd.dot")).read_text()
    return next(line.split()[0] for line in dot.splitlines() if line.startswith(f"{op}_") and f'path="{path}"' in line)
