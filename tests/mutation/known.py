"""What a graph computes, remembered: of a mutant only what its fault changes is computed again.

A result is found by the very objects it was made of (operator, ports, pieces) and by what else is said of it. A mutant
shares the objects that its fault leaves alone, and a piece made of others is another object: so what comes after the
fault is never found.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Made = TypeVar("Made")


@dataclass
class Known:
    """Results of one run, for these inputs and weights; others look them up once `learns` is over."""

    learns: bool = True
    made: dict[Hashable, tuple[Any, tuple[object, ...]]] = field(default_factory=dict)
    """Results, with the objects they were made of: they must live, or others could have their ids."""

    def of(self, objects: Iterable[object], said: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` makes of these objects and of nothing else but what is said."""
        of = tuple(objects)
        key = (said, *map(id, of))
        if key in self.made:
            return self.made[key][0]
        result = make()
        if self.learns:
            self.made[key] = result, of
        return result
