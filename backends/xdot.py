"""Writes `_background`: shapes and text behind a graph, which no linter mistakes for nodes. Format: graphviz.org/docs/
outputs/xdot. Strings carry their length in bytes; y runs upwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from .look import FONT, INK
from .metrics import BOLD, text_width
from .quoting import drawn_text

XY = tuple[float, float]


class Canvas:
    """Collects drawing operations."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def __str__(self) -> str:
        return " ".join(self.parts)

    def polygon(self, points: Sequence[XY], fill: str, line: str = "", style: str = "") -> None:
        self._style(style or "solid")
        self._do(f"c {_counted(line or fill)} C {_counted(fill)} P {_points(points)}")

    def box(self, low: XY, high: XY, fill: str, line: str = "", style: str = "") -> None:
        self.polygon([low, (high[0], low[1]), high, (low[0], high[1])], fill, line, style)

    def ellipse(self, middle: XY, half: XY, fill: str, line: str) -> None:
        self._style("solid")
        self._do(f"c {_counted(line)} C {_counted(fill)} E {_points([middle, half]).split(' ', 1)[1]}")

    def line(self, points: Sequence[XY], color: str, style: str = "solid", width: str = "1") -> None:
        self._style(style)
        self._do(f"S {_counted(f'setlinewidth({width})')} c {_counted(color)} L {_points(points)}")
        self._do(f"S {_counted('setlinewidth(1)')}")

    def text(self, at: XY, text: str, size: int, bold: bool = False, align: int = -1, color: str = INK) -> None:
        """`align`: -1 begins at the point, 0 is centred on it, 1 ends there. `at` is on the baseline."""
        shown = drawn_text(text)
        width = text_width(shown, size) * (BOLD if bold else 1)
        self._do(f"c {_counted(color)} F {size} {_counted(FONT)} t {int(bold)}")
        self._do(f"T {_number(at[0])} {_number(at[1])} {align} {width:.0f} {_counted(shown)}")

    def _style(self, style: str) -> None:
        self._do(f"S {_counted(style)}")

    def _do(self, operation: str) -> None:
        self.parts.append(operation)


def _counted(text: str) -> str:
    return f"{len(text.encode())} -{text}"


def _points(points: Sequence[XY]) -> str:
    return f"{len(points)} " + " ".join(f"{_number(x)} {_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e5 else f"{value:.0f}"
