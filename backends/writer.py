"""Writes many statements of DOT at once: one template, and a column of values for each of its blanks.

    Template().add("a_gpu").fill([0, 1]).add(" [pos=x]").lines(2)      → ["a_gpu0 [pos=x]", "a_gpu1 [pos=x]"]

What is the same in every line is written into the template, so that a line costs one string operation.
"""

from __future__ import annotations

import numpy as np

from .pen import Coordinate


class Template:
    def __init__(self) -> None:
        self.text: list[str] = []
        self.columns: list[list[str]] = []
        self._known: dict[bytes, list[str]] = {}

    def add(self, text: str) -> Template:
        """Text that is the same in every line."""
        self.text.append(text.replace("%", "%%"))
        return self

    def fill(self, values: list[str]) -> Template:
        """Text that differs from line to line."""
        self.text.append("%s")
        self.columns.append(values)
        return self

    def number(self, value: Coordinate) -> Template:
        """A position in whole points: one for all lines, or one per line."""
        array = np.atleast_1d(value)
        first = int(array[0])
        if len(array) == 1 or (array == first).all():
            return self.add(str(first))
        key = array.tobytes()
        if key not in self._known:
            self._known[key] = list(map(str, array.tolist()))
        return self.fill(self._known[key])

    def lines(self, count: int) -> list[str]:
        """The statements. All columns have `count` values."""
        template = "".join(self.text)
        if not self.columns:
            return [template % ()] * count
        return [template % values for values in zip(*self.columns, strict=True)]
