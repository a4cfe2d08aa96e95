"""The page: turns (along, across) into Graphviz's (x, y) in points, with margins for title, legend and names."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import overload

from ..ir.view import View
from . import legend
from .bands import bands, brackets
from .lanes import Layout
from .look import TEXT
from .metrics import BOLD, text_width
from .pen import Coordinate

MARGIN = 24
LINE = 14
_NARROWEST = 560
_BETWEEN = 26
"""From the heading's last line to the legend's first, from the legend to what it explains."""
_ABOVE_ROWS = 66
"""Room above lanes that are rows: brackets and modules' names."""
_PER_BRACKET = 30
"""Room for another bracket above rows."""


@dataclass(frozen=True)
class Page:
    """`heading`: the lines of the title block, the first is the title; `entries`: the rows of the legend."""

    narrow: bool
    left: int
    top: int
    width: int
    height: int
    heading: list[str]
    entries: list[list[legend.Look]]
    brackets: list[int]
    """How far outside of the innermost those of each kind stand."""

    @overload
    def xy(self, along: int, across: int) -> tuple[int, int]: ...

    @overload
    def xy(self, along: Coordinate, across: Coordinate) -> tuple[Coordinate, Coordinate]: ...

    def xy(self, along: Coordinate, across: Coordinate) -> tuple[Coordinate, Coordinate]:
        if self.narrow:
            return self.left + across, self.height - self.top - along
        return self.left + along, self.height - self.top - across

    @property
    def title_base(self) -> int:
        return self.height - MARGIN - TEXT.title

    @property
    def legend_middle(self) -> int:
        return self.title_base - LINE * (len(self.heading) - 1) - _BETWEEN


def page_of(layout: Layout) -> Page:
    """Room for the layout and for what is written around it."""
    narrow, across = layout.scene.narrow, layout.across.width
    flow = layout.along.end[-1] + layout.along.space.tail if layout.along.end else 0
    left, (*out, right) = _beside(layout)
    width = max(_NARROWEST, (across if narrow else flow) + left + right)
    heading = _heading(layout.scene.view, width - 2 * MARGIN)
    entries = legend.rows(layout, min(width, 1400) - 2 * MARGIN)
    top = MARGIN + TEXT.title + LINE * (len(heading) - 1) + 2 * _BETWEEN + legend.ROW * (len(entries) - 1)
    top += 0 if narrow else _ABOVE_ROWS + max(out, default=0)
    height = top + (flow if narrow else across) + MARGIN
    return Page(narrow, left, top, width, height, heading, entries, out)


def _beside(layout: Layout) -> tuple[int, list[int]]:
    """Room left of the lanes, and right of them up to the brackets of each kind, and in all: in columns, for the names
    of modules and what brackets say. Of rows, how far above the innermost other brackets stand.
    """
    found = brackets(layout)
    if not layout.scene.narrow:
        return MARGIN, [*(_PER_BRACKET * number for number in range(len(found))), MARGIN]
    names = [text_width(name, TEXT.band) * BOLD for name, _ in bands(layout)]
    notes = [int(max(text_width(each.of, TEXT.band) for each in kind) * BOLD) + 34 for kind in found]
    *out, right = accumulate(notes, initial=0)
    return MARGIN + int(max(names, default=0)) + 14, [*out, MARGIN + right]


def _heading(view: View, width: int) -> list[str]:
    deployment = view.deployment
    lines = [f"{deployment.model} · {deployment.strategy}" if deployment.strategy else deployment.model]
    line = ""
    for fact in (*deployment.facts, f"view: {_about(view)}"):
        longer = f"{line} · {fact}" if line else fact
        if line and text_width(longer, TEXT.note) > min(width, 1000):
            lines.append(line)
            longer = fact
        line = longer
    return [*lines, line]


def _about(view: View) -> str:
    gpus, lanes = view.deployment.gpus, len(view.lanes)
    if view.merged:
        kind = "stage" if view.deployment.pools[0].name.startswith("stage") else "pool"
        return f"{view.name} (one lane stands for {'all GPUs' if lanes == 1 else 'all GPUs of a ' + kind})"
    return f"{view.name} ({lanes} of {gpus} GPUs drawn)" if lanes < gpus else f"{view.name} (every GPU drawn)"
