"""The project's own rules: packages listed, layers of imports, style, types, file sizes, error codes tested."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = [
    path
    for path in ROOT.rglob("*.py")
    if not {"tests", "build", "benchmarks", ".venv"} & set(path.relative_to(ROOT).parts[:-1])
]


def run(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_is_listed() -> None:
    found = {".".join(("dagc", *path.relative_to(ROOT).parts[:-1])) for path in SOURCES if path.name == "__init__.py"}
    assert found == set(PROJECT["tool"]["setuptools"]["packages"])


def test_imports_flow_one_way() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([str(lint), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_style() -> None:
    run("ruff", "check", ".")
    run("ruff", "format", "--check", ".")


def test_types() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable], cwd=ROOT, capture_output=True, text=True
    )
    if "error:" not in done.stdout and done.returncode != 0:
        pytest.skip(f"pyright could not be fetched: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "path", [*SOURCES, *(ROOT / "tests").glob("*.py")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_files_are_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    assert text.lstrip().startswith('"""')


def test_every_code_is_used_and_tested() -> None:
    from dagc.codes import CODES

    source = "\n".join(path.read_text() for path in SOURCES if path.name != "codes.py")
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py") if path != Path(__file__))
    for code in CODES:
        assert re.search(rf'"{re.escape(code)}"', source), f"{code} is never used"
        assert re.search(rf"\b{re.escape(code)}\b", tests), f"{code} has no test"
