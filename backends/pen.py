"""The pen: draws one spline of straight runs, soft changes of column and rounded corners, for many edges at once.

Coordinates are (along, across). Each is a number or one number per edge, so a thousand lanes cost as much as one.
A spline has 3k+1 points, as `pos` of a Graphviz edge wants them.
"""

from __future__ import annotations

import numpy as np

Coordinate = int | np.ndarray
Point = tuple[Coordinate, Coordinate]


class Pen:
    def __init__(self, along: Coordinate, across: Coordinate, corner: int) -> None:
        self.points: list[Point] = [(along, across)]
        self.corner = corner
        self._straight = False

    @property
    def at(self) -> Point:
        return self.points[-1]

    def forward(self, along: Coordinate) -> None:
        """Straight along the flow. Two straight runs become one."""
        here, across = self.at
        if _same(here, along):
            return
        if self._straight:
            here = self.points[-4][0]
            del self.points[-3:]
        self.points += [(here, across), (along, across), (along, across)]
        self._straight = True

    def sway(self, along: Coordinate, across: Coordinate) -> None:
        """Forward, softly changing over to another position across the flow."""
        here, before = self.at
        if _same(before, across):
            self.forward(along)
            return
        half = (here + along) // 2
        self.points += [(half, before), (half, across), (along, across)]
        self._straight = False

    def run(self, bus: Coordinate, across: Coordinate) -> None:
        """Forward to a bus, along it to a position across the flow, and forward again: two rounded corners."""
        before = self.at[1]
        bend = np.clip((np.asarray(across) - before) // 2, -self.corner, self.corner)
        self.forward(bus - self.corner)
        self._corner((bus, before), (bus, before + bend))
        self._line(bus, across - bend)
        self._corner((bus, across), (bus + self.corner, across))

    def _corner(self, tip: Point, end: Point) -> None:
        self.points += [tip, tip, end]
        self._straight = False

    def _line(self, along: Coordinate, across: Coordinate) -> None:
        self.points += [self.at, (along, across), (along, across)]


def _same(a: Coordinate, b: Coordinate) -> bool:
    return np.array_equal(a, b) if np.ndim(a) == np.ndim(b) else bool(np.all(np.equal(a, b)))
