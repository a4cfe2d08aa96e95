"""What the note is told of one deployment, and how numbers are written in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...ir.deployment import Deployment
from ...judgement import Judgement, Standing
from .division import Division, divisions
from .steps import Body, bodies


@dataclass(frozen=True)
class Deployed:
    """`report`: its report and its entry of the manifest, as plain data; `graph`: collectives as one node a group, None
    where it was refused; `checks`: a verdict on every rule of it.
    """

    report: Mapping[str, Any]
    graph: Deployment | None
    checks: Sequence[Judgement]
    unread: Sequence[tuple[str, int]] = ()
    """DOT files that were too large to be judged, with their nodes."""

    @property
    def name(self) -> str:
        """The strategy, its setting where there are several, and the phase where that is not prefill."""
        phase, setting = self.report["phase"], self.report["setting"]
        return self.report["strategy"] + f" at {setting}" * bool(setting) + f", {phase}" * (phase != "prefill")

    @property
    def title(self) -> str:
        """The heading of its section."""
        return f"{self.report['model']}: {self.name} ({self.report['role']})"

    @property
    def figures(self) -> Mapping[str, Any]:
        return self.report["measurements"]

    @cached_property
    def divisions(self) -> list[Division]:
        """Of every module; none where the deployment was refused."""
        return divisions(self.graph, self.figures["modules"]) if self.graph and self.figures else []

    @cached_property
    def bodies(self) -> list[Body]:
        """The steps of the program; none where the deployment was refused."""
        return bodies(self.graph) if self.graph else []

    @property
    def broken(self) -> list[Judgement]:
        return [each for each in self.checks if each.standing is Standing.BROKEN]


UNITS = ((10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def short(value: int | float | str | None, unit: str = "") -> str:
    """
    >>> short(939524096, "B"), short(12), short("2*B", "B"), short(None)
    ('939.5 MB', '12', '2*B', '–')
    """
    if value is None or isinstance(value, str):
        return value or "–"
    for size, letter in UNITS:
        if value >= size:
            return f"{value / size:.1f} {letter}{unit}"
    return f"{value:,} {unit}".strip()


def exact(value: int | str | None) -> str:
    """
    >>> exact(939524096)
    '939,524,096'
    """
    return f"{value:,}" if isinstance(value, int) else value or "–"


def filled(part: Mapping[str, Any]) -> float | None:
    """Which share of its memory a class of GPUs needs; None where that is not known."""
    peak, capacity = part["peak_bytes"], part["capacity_bytes"]
    return peak / capacity if capacity and isinstance(peak, int) else None
