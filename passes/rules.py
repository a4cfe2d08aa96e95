"""Where a strategy's rules apply: which dimensions an axis cuts at a module path.

rule at "*.experts" : ep cuts experts        matches layers.moe.experts and everything beneath it
rule at "layers[0-15].attention" : …         only in these layers
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

from ..ir.module import plain_path
from ..ir.plan import Placing, Plan, Rule, user_axis

_RANGE = re.compile(r"\[(\d+)(?:-(\d+))?\]")


@lru_cache(maxsize=1024)
def pattern(at: str) -> re.Pattern[str]:
    """`*` stands for any number of segments; the pattern matches a path and everything beneath it."""
    parts = [r"(?:[^.]+\.)*" if s == "*" else re.escape(_RANGE.sub("", s)) + r"\." for s in at.split(".")]
    return re.compile("".join(parts))


@lru_cache(maxsize=1024)
def layer_range(at: str) -> tuple[int, int] | None:
    """First and last layer that a pattern addresses, or None for all."""
    match = _RANGE.search(at)
    return (int(match[1]), int(match[2] or match[1])) if match else None


def matches(at: str, path: str, layer: int | None) -> bool:
    """Does a pattern address this path (in this layer)?"""
    within = layer_range(at)
    if within and (layer is None or not within[0] <= layer <= within[1]):
        return False
    return at == "*" or pattern(at).match(plain_path(path) + ".") is not None


def pool_of(places: Sequence[Placing], path: str, layer: int | None) -> str:
    """The pool that the last placing that addresses a place names; nothing where none does."""
    found = (p.on for p in reversed(places) if any(matches(at, path, layer) for at in p.at))
    return next(found, "")


def boundaries(plan: Plan) -> set[int]:
    """Layers at which a rule or a placing starts or stops to apply."""
    said = (*plan.rules, *plan.stores, *plan.unpaid, *plan.places, *plan.keeps)
    ranges = [layer_range(at) for each in said for at in each.at]
    return {edge for r in ranges if r for edge in (r[0], r[1] + 1)}


@dataclass(frozen=True)
class Rules:
    """Rules of a plan, by axis, over a mesh whose axes may have been refined (`tp` into `tp.0`, `tp.1`)."""

    rules: tuple[Rule, ...]
    axes: tuple[str, ...]

    @cached_property
    def _of(self) -> dict[str, list[Rule]]:
        return {axis: [rule for rule in self.rules if rule.axis == user_axis(axis)] for axis in self.axes}

    def rule(self, axis: str, path: str, layer: int | None) -> Rule | None:
        """The last rule of an axis that addresses this place."""
        found = (r for r in reversed(self._of[axis]) if any(matches(at, path, layer) for at in r.at))
        return next(found, None)

    def at(self, path: str, layer: int | None, axes: tuple[str, ...]) -> Iterator[tuple[str, Rule]]:
        """Per axis of these, those of a pool, outermost first, the rule that holds here."""
        for axis in axes:
            rule = self.rule(axis, path, layer)
            if rule is not None and rule.cuts:
                yield axis, rule


def data_parallel_size(plan: Plan) -> int:
    """Into how many parts attention cuts batch_size: the sequences that are served side by side."""
    rules = Rules(plan.rules, tuple(axis.name for axis in plan.axes))
    pool = pool_of(plan.places, "layers.attention", 0)
    axes = next((each.axes for each in plan.pools if each.name == pool), rules.axes)
    return prod(plan.size(axis) for axis, rule in rules.at("layers.attention", 0, axes) if "batch_size" in rule.cuts)
