"""`dagc read` and `dagc lower` of papers: the YAML is the experiment, the folder holds it, refusals write nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from dagc import cli
from dagc.frontends import json_schema

PAPER = """\
# Experts of their own

## Setup
We serve a decoder of 4 layers, model width 64, 4 heads, and 8 experts per layer with top-2 routing. The hidden size of
an expert is 128 (two matrices, GELU). The batch holds 16 sequences of 32 tokens in BF16. We use 8 A100 GPUs.

## Method
Every GPU hosts exactly one expert of each layer: tokens are sent to the GPU of their expert by an all-to-all and come
back.
Our baseline uses TP=4, PP=2.

## Conclusion
Our 6-layer model is faster.
"""


def run(*args: str) -> Result:
    return CliRunner().invoke(cli.main, [*args])


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    (tmp_path / "paper.md").write_text(PAPER)
    return tmp_path / "paper.md"


def test_what_is_read_is_the_yaml_that_a_person_would_write(paper: Path) -> None:
    found = yaml.safe_load(run("read", str(paper)).output)
    (model,) = found["models"]
    stated = {"hidden": 64, "layers": 4, "heads": 4, "experts": 8, "top_k": 2, "ffn": 128, "gated": False}
    assert stated.items() <= model.items()
    assert found["cluster"] == {"gpu": "A100", "gpus": 8}
    assert (found["baseline"], found["strategies"]) == ("tp=4,pp=2", ["ep=8"])
    assert found["sizes"] == {"batch_size": 16, "seq_len": 32}


def test_every_value_has_its_line_and_words(paper: Path) -> None:
    text = run("read", str(paper)).output
    assert '# line 4: "4 layers"' in text
    assert "# contradiction " in text
    assert "line 4" in text.split("contradiction ", 1)[1].split("models:")[0]


def test_a_paper_is_lowered_as_its_yaml_is(paper: Path) -> None:
    out, other = paper.parent / "a", paper.parent / "b"
    assert run("lower", str(paper), "--no-svg", "--out", str(out)).exit_code == 0
    assert run("read", str(paper), "-o", str(paper.parent / "x.yaml")).exit_code == 0
    assert run("lower", str(paper.parent / "x.yaml"), "--no-svg", "--out", str(other)).exit_code == 0
    dots = sorted(path.relative_to(out) for path in out.rglob("*.dot"))
    assert dots == sorted(path.relative_to(other) for path in other.rglob("*.dot"))
    assert all((out / dot).read_bytes() == (other / dot).read_bytes() for dot in dots)
    manifest = json.loads((out / "manifest.json").read_text())
    assert [(dag["role"], dag["status"]) for dag in manifest["dags"]] == [("baseline", "valid"), ("proposed", "valid")]
    assert (out / manifest["experiment"]).read_text() == (paper.parent / "x.yaml").read_text()
    for folder in (out, paper.parent):
        assert (folder / "experiment.schema.json").read_text() == json_schema.text()
    assert "line 4" in (out / manifest["note"]).read_text()
    assert paper.read_text() == PAPER


@pytest.mark.parametrize("command", [("read",), ("lower", "--out")])
def test_a_paper_about_no_deployment_is_refused_and_nothing_written(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "paper.md").write_text("# On soup\n\nWe cook 12 soups in 3 pots.\n")
    extra = [*command[1:], str(tmp_path / "out")] if command[1:] else ["-o", str(tmp_path / "out")]
    result = run(command[0], str(tmp_path / "paper.md"), *extra)
    assert result.exit_code == 1
    assert "error[paper]" in result.output
    assert "no model is described" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["paper.md"]


def test_the_paper_is_never_overwritten(paper: Path) -> None:
    result = run("read", str(paper), "-o", str(paper))
    assert result.exit_code == 1
    assert paper.read_text() == PAPER


def test_an_answer_names_its_point(paper: Path) -> None:
    assert "POINT=OPTION" in run("read", str(paper), "--reading", "attention").output
    assert "unknown-value" in run("read", str(paper), "--reading", "attention=sideways").output


def test_what_does_not_fit_the_memory_is_drawn_and_said(paper: Path) -> None:
    paper.write_text(PAPER.replace("8 A100 GPUs", "8 A100 GPUs with 100 KB of memory each"))
    out = str(paper.parent / "out")
    result = run("lower", str(paper), "--no-svg", "--baseline", "none", "--out", out)
    assert "warning[DEP5]" in result.output
    assert (paper.parent / "out" / "paper" / "ep=8.dot").exists()
    assert "error[DEP5]" in run("lower", str(paper), "--no-svg", "--strict", "--out", out).output


def test_every_reading_stands_in_one_table_with_the_lines_it_keeps(paper: Path) -> None:
    out = paper.parent / "out"
    assert run("lower", str(paper), "--all-readings", "--no-svg", "--out", str(out)).exit_code == 0
    head, _, *rows = [line for line in (out / "report.md").read_text().splitlines() if line.startswith("|")][:6]
    assert "lines of the paper" in head
    assert len(rows) > 2
    assert all("line" in row.split("|")[-3] for row in rows[:3])
