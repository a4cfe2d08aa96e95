"""The shape of a strategy's file as it is written: with alternatives, before they are joined (`alternatives.py`)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from .alternatives import LONGEST, MOST
from .strategy_file import StrategyText


class AlternativeText(StrategyText):
    """What an alternative says beside the rest of its file; a mapping may say a part."""

    pools: dict[str, dict[str, Any]] = {}  # pyright: ignore[reportIncompatibleVariableOverride]
    """What it says of pools."""
    stages: dict[str, Any] = {}  # pyright: ignore[reportIncompatibleVariableOverride]
    """What it says of stages."""


_Name = Annotated[str, Field(min_length=1, max_length=LONGEST)]


class StrategyFile(StrategyText):
    """A parallel strategy: named axes over the GPUs, and rules of what each cuts where."""

    alternatives: Annotated[dict[_Name, AlternativeText], Field(min_length=1, max_length=MOST)] | None = None
    """Ways to do it: all are proven, the one that sends the fewest bytes is kept."""
