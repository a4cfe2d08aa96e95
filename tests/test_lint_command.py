"""`dagc lint` at the command line: exit codes, choice of rules, and the formats that other tools take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dagc import cli
from dagc.backends.annotations import WRITERS
from dagc.backends.annotations.place import Place, place_of
from dagc.diagnostics import Diagnostic

DATA = Path(__file__).parent / "data" / "lint"
BROKEN, RIGHT = DATA / "DAG9.broken.dot", DATA / "DAG9.right.dot"


def lint(*args: object) -> Result:
    return CliRunner().invoke(cli.main, ["lint", *map(str, args)])


def test_exit_codes(tmp_path: Path) -> None:
    assert (lint(RIGHT).exit_code, lint(BROKEN).exit_code) == (0, 1)
    assert (lint(DATA / "unreadable.broken.dot").exit_code, lint().exit_code) == (0, 2)
    assert (lint(tmp_path).exit_code, lint(tmp_path / "none.dot").exit_code) == (1, 1)
    assert (lint(RIGHT, "--select", "DAG99").exit_code, lint(RIGHT, "--format", "xml").exit_code) == (2, 2)


def test_text_says_where_what_and_how_many() -> None:
    assert lint(RIGHT).stdout == f"{RIGHT}: ok\n"
    said = lint(BROKEN, RIGHT).stdout
    assert f"error[DAG9] {BROKEN}:" in said
    assert said.endswith("2 files: 1 error (DAG9)\n")


def test_a_house_states_its_rules_in_words(tmp_path: Path) -> None:
    (tmp_path / "rules.md").write_text("- The graph must be acyclic.\n- Communication nodes are ellipses.\n")
    assert lint(BROKEN, "--knowledge", tmp_path).exit_code == 0
    (tmp_path / "more.md").write_text("Data between GPUs must pass through a communication node.\n")
    assert "error[DAG9]" in lint(BROKEN, "--knowledge", tmp_path).output
    (tmp_path / "none").mkdir()
    assert "states a rule of drawn graphs" in lint(BROKEN, "--knowledge", tmp_path / "none").output
    assert lint(BROKEN, "--knowledge", tmp_path / "nowhere").exit_code == 1


def test_rules_are_chosen_and_left_out(tmp_path: Path) -> None:
    assert lint(BROKEN, "--ignore", "dag9").exit_code == 0
    assert lint(BROKEN, "--select", "DIM1,DIM5").exit_code == 0
    assert lint(BROKEN, "--select", "DIM1", "--select", "DAG9").exit_code == 1
    (tmp_path / "bad.dot").write_text("digraph {")
    assert lint(tmp_path / "bad.dot", "--select", "DIM1").exit_code == 1


def test_json() -> None:
    data = json.loads(lint(BROKEN, RIGHT, "--json").stdout)
    assert data["files"] == [str(BROKEN), str(RIGHT)]
    (found,) = data["findings"]
    assert set(found) == {"code", "severity", "file", "line", "node", "message", "expected", "actual", "hint"}
    assert (found["code"], found["severity"], found["file"], found["node"]) == (
        "DAG9", "error", str(BROKEN), "norm0 -> up1",
    )  # fmt: skip
    assert BROKEN.read_text().splitlines()[found["line"] - 1].strip().startswith("norm0 -> up1")


def test_sarif_names_rules_and_lines() -> None:
    run = json.loads(lint(BROKEN, "--format", "sarif").stdout)["runs"][0]
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "DAG9"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("DAG9.broken.dot")
    assert place["region"]["startLine"] > 1


def test_github_escapes_what_users_wrote() -> None:
    odd = Diagnostic("DAG1", "50% a\nb: c, d", "a:b,c.dot:4 at x::y,\nz", hint="try", severity="warning")
    assert WRITERS["github"]([odd], []) == (
        "::warning file=a%3Ab%2Cc.dot,line=4,title=DAG1 at x%3A%3Ay%2C%0Az::50%25 a%0Ab: c, d%0Ahint: try\n"
    )


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("x.dot:3 at a -> b", Place("x.dot", 3, "a -> b")),
        ("C:/x.dot:3", Place("C:/x.dot", 3, "")),
        ("my at dir/x.dot:12 at n:4", Place("my at dir/x.dot", 12, "n:4")),
        ("m.mlir at layers.q", Place("m.mlir", 0, "layers.q")),
        ("m.mlir", Place("m.mlir", 0, "")),
        ("", Place("", 0, "")),
    ],
)
def test_places(where: str, place: Place) -> None:
    assert place_of(Diagnostic("DAG1", "p", where)) == place


@pytest.mark.parametrize("style", WRITERS)
def test_every_format_takes_diagnostics_without_a_place(style: str) -> None:
    said = WRITERS[style]([Diagnostic("mesh", "no mesh"), Diagnostic("DAG1", "a cycle", "x.dot")], ["x.dot"])
    assert said.endswith("\n")
    if style in ("json", "sarif"):
        json.loads(said)


@pytest.mark.parametrize(("style", "shown"), [("text", 20), ("github", 10), ("json", 1000), ("sarif", 1000)])
def test_of_many_findings_the_first_are_shown_and_the_others_counted(style: str, shown: int) -> None:
    found = [Diagnostic("DAG1", f"cycle {n}", f"{file}.dot:{n}") for file in "ab" for n in range(1, 1501)]
    said = WRITERS[style](found, ["a.dot", "b.dot"])
    assert said.count("cycle ") == 2 * shown
    if style in ("text", "github"):
        assert said.count(f"… and {1500 - shown:,} more (DAG1)") == 2
    else:
        assert said.count('"count": 500') == 2
    assert style != "text" or said.endswith("2 files: 3000 errors (DAG1 × 3000)\n")


def test_hostile_names_are_data(tmp_path: Path) -> None:
    path = tmp_path / "x.dot"
    path.write_text('digraph { "\\"]; evil <b>::error %0A" -> "__import__(\'os\')" [label="{{7*7}}"] }')
    for style in WRITERS:
        done = lint(path, "--format", style)
        assert done.exit_code == 1
        assert "Traceback" not in done.output
