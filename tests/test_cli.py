"""The command line: what it writes, what it refuses, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pygraphviz
import pytest
from click.testing import CliRunner, Result

from dagc import cli
from dagc.codes import CODES
from dagc.frontends.strategy_file import builtin_names, builtin_strategy, parse_strategy
from dagc.frontends.yaml_reader import read_yaml
from dagc.ir.dialect import parse_module

DATA = Path(__file__).parent / "data"
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
    "num_attention_heads": 8, "num_key_value_heads": 4, "num_hidden_layers": 4, "vocab_size": 96, "hidden_act": "silu",
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip


def dagc(*args: object) -> Result:
    return CliRunner().invoke(cli.main, [str(arg) for arg in args])


def config(folder: Path, name: str = "config.json", **changes: object) -> Path:
    data = {key: value for key, value in {**LLAMA, **changes}.items() if value is not None}
    path = folder / name
    path.write_text(json.dumps(data, indent=1))
    return path


def description(folder: Path, text: str) -> Path:
    path = folder / "experiment.yaml"
    path.write_text(text)
    return path


def manifest(out: Path) -> list[dict]:
    return json.loads((out / "manifest.json").read_text())["dags"]


def test_lower_writes_every_file_of_baseline_and_proposal(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = dagc("lower", config(tmp_path), "--strategy", "tp=4", "--baseline", "tp=2,pp=2", "--out", out)
    assert done.exit_code == 0, done.output
    dags = manifest(out)
    assert [(d["strategy"], d["role"], d["status"]) for d in dags] == [
        ("tp=2,pp=2", "baseline", "valid"),
        ("tp=4", "proposed", "valid"),
    ]
    for dag in dags:
        for key in ("dot", "svg", "spmd_dot", "spmd_svg", "ir", "report", "devices"):
            assert (out / dag[key]).is_file(), key
        assert dag["representative_dot"] is None
        graph = pygraphviz.AGraph(str(out / dag["dot"]))
        assert (len(graph.nodes()), len(graph.edges())) == (dag["nodes"], dag["edges"])
        assert b"<svg" in (out / dag["svg"]).read_bytes()
        parse_module((out / dag["ir"]).read_text())
        report = json.loads((out / dag["report"]).read_text())
        assert report["certificate"]["preconditions"]
        assert "seq_len = 1024" in report["assumptions"]
        assert len(json.loads((out / dag["devices"]).read_text())) == 4


def test_more_than_four_gpus_get_a_representative_view(tmp_path: Path) -> None:
    assert (
        dagc("lower", config(tmp_path), "--strategy", "tp=8", "--baseline", "none", "--out", tmp_path / "o").exit_code
        == 0
    )
    (dag,) = manifest(tmp_path / "o")
    assert (tmp_path / "o" / dag["representative_svg"]).is_file()


def test_the_input_is_not_changed_and_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    source, out = config(tmp_path), tmp_path / "out"
    before = source.read_bytes()
    assert dagc("lower", source, "--strategy", "tp=2", "--strategy", "dp=2", "--no-svg", "--out", out).exit_code == 0
    assert dagc("lower", source, "--strategy", "tp=2", "--baseline", "none", "--no-svg", "--out", out).exit_code == 0
    assert source.read_bytes() == before
    assert not list(out.rglob("dp=2*"))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]


def test_a_foreign_folder_is_refused_and_with_force_keeps_its_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    args = ("lower", config(tmp_path), "--strategy", "tp=2", "--no-svg", "--out", out)
    done = dagc(*args)
    assert (done.exit_code, [p.name for p in out.iterdir()]) == (2, ["thesis.txt"])
    assert "unsafe-out" in done.output
    assert dagc(*args, "--force").exit_code == 0
    assert (out / "thesis.txt").read_text() == "mine"


BAD_CONFIGS = [
    ({"hidden_size": None, "num_hidden_layers": None}, "missing-key"),
    ({"num_attention_heads": "many"}, "wrong-type"),
    ({"architectures": ["FooForCausalLM"], "model_type": "foo"}, "unknown-architecture"),
    ({"q_lora_rank": 512}, "unsupported"),
]


@pytest.mark.parametrize(("changes", "code"), BAD_CONFIGS, ids=[code for _, code in BAD_CONFIGS])
def test_a_bad_configuration_is_refused_and_nothing_written(tmp_path: Path, changes: dict, code: str) -> None:
    done = dagc("lower", config(tmp_path, **changes), "--strategy", "tp=2", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert f"error[{code}]" in done.output
    assert "config.json" in done.output
    assert not (tmp_path / "out").exists()


BAD_PLANS = [
    (("--strategy", "tp=3"), "indivisible", "1, 2, 4, 8"),
    (("--strategy", "tp=4", "--gpus", "6"), "OUT6", "idle"),
    (("--strategy", "tp", "--mesh", "tp=0"), "mesh", ""),
    (("--strategy", "pp=3"), "stages", "uneven"),
    (("--strategy", "pp=2", "--stages", "3,2"), "stages", "sum to 4"),
    (("--strategy", "pp=8"), "OUT6", "at most 4"),
    (("--strategy", "ep-replicated=2"), "OUT6", "cuts nothing"),
    (("--strategy", "spiral"), "unknown-strategy", "known"),
    (("--strategy", "tp=2", "--batch-size", "3", "--mesh", "dp=2"), "indivisible", "batch_size"),
]


@pytest.mark.parametrize(("flags", "code", "says"), BAD_PLANS, ids=[" ".join(flags) for flags, _, _ in BAD_PLANS])
def test_a_bad_plan_is_refused_and_nothing_written(tmp_path: Path, flags: tuple, code: str, says: str) -> None:
    done = dagc("lower", config(tmp_path), *flags, "--baseline", "none", "--out", tmp_path / "out")
    assert done.exit_code in (1, 2), done.output
    assert f"error[{code}]" in done.output
    assert says in done.output
    assert not (tmp_path / "out").exists()


def test_a_rule_that_cuts_two_dimensions_or_a_whole_one_names_itself(tmp_path: Path) -> None:
    for rule, code in (("[heads, batch_size]", "conflict"), ("[d_k]", "whole")):
        strategy = tmp_path / "mine.yaml"
        strategy.write_text(f"mesh: {{tp: gpus}}\nrules:\n  - {{at: '*', cut: {{tp: {rule}}}}}\n")
        done = dagc("lower", config(tmp_path), "--strategy", strategy, "--gpus", 2, "--out", tmp_path / "out")
        assert done.exit_code == 1
        assert f"error[{code}]" in done.output
        assert "mine.yaml:3" in done.output


def test_messages_name_the_axis_as_the_user_did(tmp_path: Path) -> None:
    """Over 4 KV heads an axis of 8 is refined into tp.0 and tp.1; no one but the compiler knows these."""
    strategy = tmp_path / "mine.yaml"
    rules = ("{at: '*', cut: {tp: [heads, d_k]}}", "{at: '*', cut: {tp: heads}}\n  - {at: '*.k_rope', cut: {tp: d_k}}")
    for rule, code in zip(rules, ("conflict", "whole"), strict=True):
        strategy.write_text(f"mesh: {{tp: gpus}}\nrules:\n  - {rule}\n")
        done = dagc("lower", config(tmp_path), "--strategy", strategy, "--gpus", 8, "--baseline", "none")
        assert (done.exit_code, done.output.count(f"error[{code}]")) == (1, 1)
        assert "axis tp " in done.output
        assert "tp.0" not in done.output


def test_unknown_source_and_unreadable_files(tmp_path: Path) -> None:
    for source, code in (("no-such-model", "unknown-model"), (tmp_path / "gone.yaml", "file")):
        done = dagc("lower", source, "--strategy", "tp=2", "--out", tmp_path / "out")
        assert done.exit_code in (1, 2)
        assert f"error[{code}]" in done.output


def test_a_strategy_is_needed(tmp_path: Path) -> None:
    done = dagc("lower", config(tmp_path), "--out", tmp_path / "out")
    assert (done.exit_code, "--strategy" in done.output) == (2, True)


def test_a_hostile_name_stays_a_name(tmp_path: Path) -> None:
    source = description(
        tmp_path,
        "model: {name: 'a\"b<script>alert(1)</script>/../../x', hidden: 64, layers: 2, heads: 4, d_k: 16, ffn: 128,\n"
        "        activation: silu, gated: true}\nstrategies: [tp=2]\nbaseline: none\n",
    )
    out = tmp_path / "out"
    assert dagc("lower", source, "--out", out).exit_code == 0
    (dag,) = manifest(out)
    assert all(path.resolve().is_relative_to(out.resolve()) for path in out.rglob("*"))
    assert "<script>" not in (out / dag["svg"]).read_text()
    assert pygraphviz.AGraph(str(out / dag["dot"])).nodes()


def test_one_refused_proposal_does_not_withhold_the_other(tmp_path: Path) -> None:
    done = dagc("lower", config(tmp_path), "-s", "tp=2", "-s", "tp=3", "--no-svg", "--out", tmp_path / "out")
    assert done.exit_code == 1
    status = {dag["strategy"]: dag["status"] for dag in manifest(tmp_path / "out")}
    assert (status["tp=2"], status["tp=3"]) == ("valid", "refused")
    refused = next(dag for dag in manifest(tmp_path / "out") if dag["status"] == "refused")
    assert "indivisible" in refused["reason"][0]


def test_a_plan_that_does_not_fit_is_refused_with_the_arithmetic(tmp_path: Path) -> None:
    source = description(
        tmp_path,
        "model: llama-3.1-70b\ncluster: {gpu: A100, gpus: 2}\nstrategies: [tp]\nbaseline: none\n"
        "sizes: {batch_size: 256, seq_len: 4096}\n",
    )
    done = dagc("lower", source, "--no-svg", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "error[DEP5]" in done.output
    assert "weights 70.6 GB + KV cache" in done.output


def test_imbalance_is_a_warning_or_an_error(tmp_path: Path) -> None:
    args = (
        "lower",
        config(tmp_path),
        "--strategy",
        "pp=4",
        "--baseline",
        "none",
        "--no-svg",
        "--out",
        tmp_path / "out",
    )
    assert "warning[DEP2]" in dagc(*args).output
    refused = dagc(*args, "--max-imbalance", "1.05")
    assert (refused.exit_code, "error[DEP2]" in refused.output) == (1, True)


def test_symbolic_sizes_stay_symbols(tmp_path: Path) -> None:
    flags = ("--batch-size", "symbolic", "--seq-len", "symbolic", "--no-svg", "--baseline", "none")
    assert dagc("lower", config(tmp_path), "-s", "dp=2", *flags, "--out", tmp_path / "o").exit_code == 0
    (dag,) = manifest(tmp_path / "o")
    graph = pygraphviz.AGraph(str(tmp_path / "o" / dag["dot"]))
    node = next(node for node in graph.nodes() if node.attr["op"] == "q_proj")
    assert node.attr["output"] == "[batch_size=batch_size/2, seq_len=seq_len, heads=8, d_k=8]"
    report = json.loads((tmp_path / "o" / dag["report"]).read_text())
    assert any(p["text"] == "dp | batch_size" and p["holds"] is None for p in report["certificate"]["preconditions"])


def test_dumps_parse_back_and_resume_in_opt(tmp_path: Path) -> None:
    args = ("-s", "tp=2", "--baseline", "none", "--no-svg", "--out", tmp_path / "o", "--dump-ir", tmp_path / "ir")
    assert dagc("lower", config(tmp_path), *args).exit_code == 0
    dumps = sorted((tmp_path / "ir").rglob("*.mlir"))
    assert [path.name for path in dumps] == [
        f"0{i}-{n}.mlir" for i, n in enumerate(("logical", "place", "slots", "split", "shard", "communicate", "tidy"))
    ]
    for path in dumps:
        parse_module(path.read_text())
        assert dagc("verify", path).exit_code == 0
    done = dagc("opt", dumps[0], "-p", "shard{strategy=tp gpus=2},communicate,tidy")
    assert done.exit_code == 0, done.output
    assert done.output.count("dag.all_reduce") == 3


def test_opt_refuses_without_a_traceback(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mlir"
    broken.write_text("builtin.module {\n  %x = dag.nothing()\n}")
    for args in (
        (broken,),
        (tmp_path / "gone.mlir",),
        (broken, "-p", "no-such-pass"),
        (broken, "-p", "shard{strategy="),
    ):
        done = dagc("opt", *args)
        assert done.exit_code in (1, 2), done.output
        assert "error[" in done.output


def test_verify_names_what_is_wrong(tmp_path: Path) -> None:
    args = ("-s", "tp=2", "--baseline", "none", "--no-svg", "--out", tmp_path / "o")
    assert dagc("lower", config(tmp_path), *args).exit_code == 0
    text = (tmp_path / "o" / manifest(tmp_path / "o")[0]["ir"]).read_text()
    broken = tmp_path / "broken.mlir"
    broken.write_text(text.replace(", owes sum over [tp]", ""))
    done = dagc("verify", broken)
    assert done.exit_code == 1
    assert "error[layout]" in done.output


def test_json_is_for_machines(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli.main, ["lower", str(config(tmp_path)), "-s", "tp=2", "--no-svg", "--json", "--out", str(tmp_path / "o")]
    )
    data = json.loads(done.stdout)
    assert data["dags"][0]["status"] == "valid"
    assert data["measurements"][
        "config/tp=2" if "config/tp=2" in data["measurements"] else next(iter(data["measurements"]))
    ]


@pytest.mark.parametrize("command", ["models", "strategies"])
def test_lists(command: str) -> None:
    assert dagc(command).exit_code == 0
    assert json.loads(CliRunner().invoke(cli.main, [command, "--json"]).stdout)


@pytest.mark.parametrize("name", builtin_names())
def test_a_strategy_prints_as_a_file_that_lowers_as_it_does(name: str, tmp_path: Path) -> None:
    printed = dagc("strategies", name).stdout
    (tmp_path / "mine.yaml").write_text(printed)
    mine, known = parse_strategy(read_yaml(tmp_path / "mine.yaml"), name), builtin_strategy(name)
    assert (mine.axes, mine.about, mine.needs) == (known.axes, known.about, known.needs)
    assert [(r.at, r.axis, r.cuts) for r in mine.rules] == [(r.at, r.axis, r.cuts) for r in known.rules]


def test_strategies_are_listed_with_what_they_need() -> None:
    assert "needs: experts; ep divides them and batch_size" in dagc("strategies").output


def test_an_unknown_strategy_has_no_file() -> None:
    done = dagc("strategies", "epp")
    assert (done.exit_code, "did you mean" in done.output) == (2, True)


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained(code: str) -> None:
    done = dagc("explain", code.lower())
    assert done.exit_code == 0
    assert CODES[code].meaning in done.output


def test_explaining_nonsense() -> None:
    assert dagc("explain", "OUT66").exit_code == 2


def test_experts_are_drawn_apart_on_request(tmp_path: Path) -> None:
    source = description(
        tmp_path,
        "model: {name: m, hidden: 64, layers: 2, heads: 4, d_k: 16, ffn: 128, experts: 8, top_k: 2, activation: silu,\n"
        "        gated: true}\nstrategies: [ep=4]\nbaseline: none\n",
    )
    assert dagc("lower", source, "--per-expert", "--no-svg", "--out", tmp_path / "o").exit_code == 0
    graph = pygraphviz.AGraph(str(tmp_path / "o" / manifest(tmp_path / "o")[0]["dot"]))
    downs = [node for node in graph.nodes() if node.attr["op"] == "down_proj"]
    assert len(downs) == 8
    assert all("experts=1" in node.attr["input"] for node in downs)
