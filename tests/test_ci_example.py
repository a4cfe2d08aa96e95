"""The example of a CI job: its commands are run as they stand, and print the annotations that are shown beside it."""

from __future__ import annotations

import shlex
from glob import glob
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from dagc.cli import main

FOLDER = Path(__file__).parent.parent / "examples" / "ci"


def commands() -> list[list[str]]:
    """The arguments of every dagc command of the job, patterns expanded as a shell does."""
    steps = yaml.safe_load((FOLDER / "dagc.yml").read_text())["jobs"]["dagc"]["steps"]
    words = [shlex.split(step["run"]) for step in steps if step.get("run", "").startswith("dagc ")]
    return [[file for word in line[1:] for file in (sorted(glob(word)) or [word])] for line in words]


def test_the_job_prints_the_annotations_that_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    printed = ""
    for words in commands():
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 1, done.output
        printed += f"$ dagc {' '.join(words)}\n{done.stdout}"
    assert printed == (FOLDER / "annotations.txt").read_text()


def test_a_right_description_alone_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    done = CliRunner().invoke(main, ["verify", "deployments/serving.yaml"])
    assert done.exit_code == 0, done.output
    assert "meaning" in done.stdout
