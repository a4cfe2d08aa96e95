"""The examples in docstrings hold."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import dagc

ROOT = Path(dagc.__path__[0])
OTHERS = {"tests", "benchmarks", "build", ".venv"}
SOURCES = [path.relative_to(ROOT) for path in ROOT.rglob("*.py") if OTHERS.isdisjoint(path.relative_to(ROOT).parts)]
MODULES = sorted(".".join(path.with_suffix("").parts) for path in SOURCES if ">>> " in (ROOT / path).read_text())


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"dagc.{name}"))
    assert (found.failed, found.attempted > 0) == (0, True)
