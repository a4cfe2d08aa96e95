"""`dagc grade`: folders that dagc wrote, folders made by hand, and folders that are broken in every way."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dagc import cli
from dagc.codes import CODES, RULES

DATA = Path(__file__).parent / "data"
Change = Callable[[Path], object]


def dagc(*args: object) -> Result:
    return CliRunner().invoke(cli.main, [str(arg) for arg in args])


def graded(folder: Path, *flags: object) -> tuple[int, dict[str, Any]]:
    """Exit code and verdict."""
    done = dagc("grade", folder, "--json", *flags)
    assert "Traceback" not in done.output
    return done.exit_code, json.loads(done.stdout)


def found(folder: Path, *flags: object) -> set[tuple[str, str]]:
    """Code and file of every error."""
    data = graded(folder, *flags)[1]
    return {(f["code"], Path(f["file"]).name) for f in data["findings"] if f["severity"] == "error"}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What dagc writes."""
    out = tmp_path_factory.mktemp("grade") / "out"
    assert dagc("lower", DATA / "large_ep.yaml", "--out", out).exit_code == 0
    return out


@pytest.fixture
def theirs(ours: Path, tmp_path: Path) -> Path:
    """What a person might hand in: two graphs, their pictures and a JSON."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name, theirs in (("tp=8,pp=2", "baseline_tp8_pp2"), ("ep", "proposed_ep16")):
        for kind in ("dot", "svg"):
            shutil.copy(ours / "large-ep" / f"{name}.{kind}", folder / f"{theirs}.{kind}")
    listing = {
        "baseline": {"status": "valid", "dot": "baseline_tp8_pp2.dot", "svg": "./baseline_tp8_pp2.svg"},
        "proposed": {"status": "valid", "dot": "proposed_ep16.dot", "svg": "proposed_ep16.svg"},
    }
    (folder / "paths.json").write_text(json.dumps(listing))
    return folder


def rewritten(name: str, change: Callable[[Any], Any]) -> Change:
    """Its JSON changed."""
    return lambda folder: (folder / name).write_text(json.dumps(change(json.loads((folder / name).read_text()))))


def test_what_dagc_writes_is_complete_and_every_rule_has_a_verdict(ours: Path) -> None:
    code, data = graded(ours, "--paper", DATA / "large_ep.yaml")
    assert (code, data["complete"], data["findings"]) == (0, True, [])
    assert [rule["code"] for rule in data["rules"]] == [*RULES, "unreadable"]
    assert {rule["verdict"] for rule in data["rules"]} == {"holds"}
    assert [(row["role"], row["errors"]) for row in data["deployments"]] == [("proposed", 0), ("baseline", 0)]
    assert all(row["edges"] == row["named"] for row in data["deployments"])


def test_a_folder_made_by_hand_is_complete_too(theirs: Path) -> None:
    code, data = graded(theirs)
    assert (code, data["findings"]) == (0, [])
    verdicts = {rule["code"]: rule["verdict"] for rule in data["rules"]}
    assert {code for code, verdict in verdicts.items() if verdict != "holds"} == {
        "OUT1",
        "OUT6",
        "DEP2",
        "DEP3",
        "DEP5",
    }
    assert verdicts["DEP3"] == "not judged"
    assert graded(theirs, "--paper", DATA / "large_ep.yaml")[0] == 0


def test_text_says_what_is_missing_and_which_rules_hold(theirs: Path) -> None:
    (theirs / "proposed_ep16.svg").unlink()
    done = dagc("grade", theirs)
    assert done.exit_code == 1
    assert "has no SVG beside it" in done.stdout
    assert "\nDAG1        holds       " in done.stdout
    assert done.stdout.endswith("wrong or missing: OUT3, OUT4\n")
    for style in ("github", "sarif"):
        assert "OUT3" in dagc("grade", theirs, "--format", style).stdout


BREAKS: list[tuple[str, Change, set[tuple[str, str]]]] = [
    ("no svg", lambda f: (f / "proposed_ep16.svg").unlink(), {("OUT3", "proposed_ep16.dot"), ("OUT4", "paths.json")}),
    ("no json", lambda f: (f / "paths.json").unlink(), {("OUT4", "theirs")}),
    ("a json of something else", lambda f: (f / "paths.json").write_text('{"a": [1, "x.png?"]}'), {("OUT4", "theirs")}),
    ("a json cut off", lambda f: (f / "paths.json").write_text('{"baseline": {"dot": "bas'),
     {("OUT5", "paths.json"), ("OUT4", "theirs")}),
    ("a json too deep", lambda f: (f / "paths.json").write_text("[" * 10**5 + "]" * 10**5),
     {("OUT5", "paths.json"), ("OUT4", "theirs")}),
    ("a path that is not there", rewritten("paths.json", lambda data: {**data, "more": ["gone.dot"]}),
     {("OUT4", "paths.json")}),
    ("a path out of the folder", rewritten("paths.json", lambda data: {**data, "more": ["../../../etc/x.svg"]}),
     {("OUT4", "paths.json")}),
    ("a graph that is not listed", rewritten("paths.json", lambda data: {"baseline": data["baseline"]}),
     {("OUT4", "proposed_ep16.dot"), ("OUT4", "proposed_ep16.svg")}),
    ("no baseline", lambda f: [(f / f"baseline_tp8_pp2.{kind}").unlink() for kind in ("dot", "svg")],
     {("OUT2", "theirs"), ("OUT4", "paths.json")}),
    ("the same graph twice", lambda f: (f / "baseline_tp8_pp2.dot").write_bytes((f / "proposed_ep16.dot").read_bytes()),
     {("OUT2", "proposed_ep16.dot")}),
    ("an empty svg", lambda f: (f / "proposed_ep16.svg").write_bytes(b""), {("OUT5", "proposed_ep16.svg")}),
    ("a picture that is none", lambda f: (f / "proposed_ep16.svg").write_bytes(b"GIF89a\0\1"),
     {("OUT3", "proposed_ep16.svg")}),
    ("a picture cut off", lambda f: os.truncate(f / "proposed_ep16.svg", 5000), {("OUT5", "proposed_ep16.svg")}),
    ("an empty dot", lambda f: (f / "proposed_ep16.dot").write_bytes(b""), {("OUT5", "proposed_ep16.dot")}),
    ("a binary dot", lambda f: (f / "proposed_ep16.dot").write_bytes(bytes(range(256)) * 9),
     {("syntax", "proposed_ep16.dot")}),
    ("a dot cut off", lambda f: os.truncate(f / "proposed_ep16.dot", 5000), {("syntax", "proposed_ep16.dot")}),
    ("a huge dot", lambda f: os.truncate(f / "proposed_ep16.dot", 1 << 40), {("too-large", "proposed_ep16.dot")}),
    ("a huge json", lambda f: os.truncate(f / "paths.json", 1 << 40),
     {("too-large", "paths.json"), ("OUT4", "theirs")}),
    ("a link out of the folder", lambda f: (f / "x.svg").symlink_to("/etc/passwd"), {("OUT3", "x.svg")}),
    ("a link that leads nowhere", lambda f: (f / "x.dot").symlink_to("gone.dot"), {("file", "x.dot")}),
    ("a link to itself", lambda f: (f / "loop").symlink_to(f / "loop"), {("file", "loop")}),
    ("a link to a folder outside", lambda f: (f / "all").symlink_to("/"), {("OUT3", "all")}),
    ("a pipe", lambda f: os.mkfifo(f / "x.dot"), {("file", "x.dot")}),
    ("nothing", lambda f: [path.unlink() for path in f.iterdir()], {("OUT3", "theirs"), ("OUT4", "theirs")}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "expected"), BREAKS, ids=[case[0] for case in BREAKS])
def test_what_is_missing_or_broken(name: str, change: Change, expected: set[tuple[str, str]], theirs: Path) -> None:
    change(theirs)
    assert found(theirs) == expected
    assert graded(theirs)[0] == 1


def test_a_graph_that_breaks_rules_is_named_with_node_and_line(theirs: Path) -> None:
    dot = theirs / "proposed_ep16.dot"
    dot.write_text(
        dot.read_text().replace("shape=ellipse", "shape=box").replace('tensor="layers.', 'tensor="" x="layers.', 3)
    )
    code, data = graded(theirs)
    assert code == 1
    lines = dot.read_text().splitlines()
    for each in data["findings"]:
        assert each["code"] in ("NODE1", "DIM1")
        assert each["node"].split(" -> ")[-1] in lines[each["line"] - 1]
    rules = {rule["code"]: rule for rule in data["rules"]}
    assert rules["NODE1"]["nodes"][0].startswith("all_to_all")
    (row,) = (row for row in data["deployments"] if row["role"] == "proposed")
    assert row["edges"] - row["named"] == 3


def test_paths_of_another_place_are_found_by_their_end_and_said(theirs: Path) -> None:
    def move(data: dict[str, Any]) -> dict[str, Any]:
        return {key: {**value, "dot": f"/home/someone/outputs/theirs/{value['dot']}"} for key, value in data.items()}

    rewritten("paths.json", move)(theirs)
    code, data = graded(theirs)
    assert code == 0
    assert {(f["code"], f["severity"]) for f in data["findings"]} == {("OUT4", "warning")}
    assert {rule["verdict"] for rule in data["rules"] if rule["code"] == "OUT4"} == {"warned"}


def test_what_is_no_path_of_the_folder_is_no_finding(theirs: Path) -> None:
    def more(data: dict[str, Any]) -> dict[str, Any]:
        words = [
            "dot -Tsvg a.dot -o a.svg",
            "https://x.org/a.svg",
            "*.dot",
            ".dot",
            "/in/paper.md",
            "a\nb.dot",
            "x" * 5000 + ".dot",
        ]
        return {**data, "notes": words, "deep": {"paper": "paper.md", "n": [None, 1, 1e9, True]}}

    rewritten("paths.json", more)(theirs)
    assert found(theirs) == set()


def test_pictures_in_a_folder_of_their_own_and_names_of_other_tools(theirs: Path) -> None:
    (theirs / "svg").mkdir()
    (theirs / "proposed_ep16.svg").rename(theirs / "svg" / "proposed_ep16.svg")
    (theirs / "baseline_tp8_pp2.svg").rename(theirs / "baseline_tp8_pp2.dot.svg")
    names = {"dot": ["baseline_tp8_pp2.dot", "proposed_ep16.dot"], "status": "valid",
             "svg": ["baseline_tp8_pp2.dot.svg", "svg/proposed_ep16.svg"]}  # fmt: skip
    (theirs / "paths.json").write_text(json.dumps(names))
    assert found(theirs) == set()


TWO = """\
models:
  - {name: big, hidden: 64, layers: 2, heads: 8, d_k: 8, ffn: 128, activation: gelu, gated: false}
  - {name: small, hidden: 32, layers: 2, heads: 4, d_k: 8, ffn: 64, activation: gelu, gated: false}
cluster: {gpu: H100, gpus: 4}
baseline: tp=2,pp=2
strategies: [tp=4]
sizes: {batch_size: 4, seq_len: 16}
"""


def test_every_model_of_the_paper_has_its_graphs(tmp_path: Path) -> None:
    paper, out = tmp_path / "paper.yaml", tmp_path / "out"
    paper.write_text(TWO)
    assert dagc("lower", paper, "--out", out).exit_code == 0
    assert graded(out, "--paper", paper)[0] == 0
    shutil.rmtree(out / "small")
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["generator"] = "someone"
    manifest["dags"] = [dag for dag in manifest["dags"] if dag["model"] == "big"]
    manifest["files"] = [name for name in manifest["files"] if not name.startswith("small")]
    (out / "manifest.json").write_text(json.dumps(manifest))
    (out / "report.json").unlink()
    assert ("OUT1", "out") in found(out, "--paper", paper)
    assert graded(out)[0] == 0


def test_one_graph_of_two_models_is_told(theirs: Path) -> None:
    said, names = {"status": "valid", "models": "large-ep and other"}, ("baseline_tp8_pp2", "proposed_ep16")
    data = {"dags": [{**said, "dot": f"{name}.dot", "svg": f"{name}.svg"} for name in names]}
    (theirs / "paths.json").write_text(json.dumps(data))
    paper = theirs.parent / "paper.yaml"
    paper.write_text(TWO.replace("name: big", "name: large-ep").replace("name: small", "name: other"))
    assert ("OUT1", "proposed_ep16.dot") in found(theirs, "--paper", paper)


def test_altered_files_of_dagc_are_caught_by_its_own_check(ours: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ours, copy)
    dot = copy / "large-ep" / "ep.dot"
    dot.write_text(dot.read_text().replace("// ", "/// ", 1) + "\n// more\n")
    assert ("certificate", "ep.dot") in found(copy)


def test_reports_that_someone_wrote_over_are_no_bug(ours: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ours, copy)
    (copy / "large-ep" / "ep.report.json").write_text('{"errors": 3, "certificate": []}')
    code, _ = graded(copy)
    assert code == 1


def test_what_is_no_folder_or_no_paper_is_refused(tmp_path: Path, theirs: Path) -> None:
    assert (dagc("grade", tmp_path / "none").exit_code, dagc("grade").exit_code) == (1, 2)
    assert dagc("grade", theirs / "paths.json").exit_code == 1
    code, data = graded(theirs, "--paper", tmp_path / "none.yaml")
    assert code == 1
    assert [each["code"] for each in data["findings"]] == ["file"]


def test_nothing_is_written_or_changed(theirs: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in theirs.iterdir()}
    graded(theirs)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in theirs.iterdir()} == before


def test_its_codes_are_explained() -> None:
    for code in ("OUT1", "OUT2", "OUT3", "OUT4", "OUT5"):
        assert CODES[code].mend
        assert dagc("explain", code).exit_code == 0
