"""The examples in the docstrings of the frontends hold."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import dagc.frontends

MODULES = sorted(path.stem for path in Path(dagc.frontends.__path__[0]).glob("*.py") if ">>> " in path.read_text())


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"dagc.frontends.{name}")).failed == 0
