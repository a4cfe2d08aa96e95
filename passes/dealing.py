"""Parts that are not equal: in which units an uneven cut deals a dimension, what it gives, and when it cannot.

batch_size = 1024 over 12      1,024 units: 4 × 86 + 8 × 85, and so many sequences' rows go to every expert
heads = 32 over 3              8 units, for 8 KV heads: 12, 12 and 8 heads, and 3, 3 and 2 KV heads
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from ..ir import orders
from ..ir.dims import Sizes, as_number
from ..ir.op import Operator
from ..ir.plan import Rule


@dataclass
class Dealt:
    """The sizes of names that others follow, and of names that group another (KV heads of heads)."""

    sizes: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def of(ops: Iterable[Operator], sizes: Sizes) -> Dealt:
        """As operators relate names; sizes that are no numbers are left out."""
        dealt = Dealt()
        for op in ops:
            space = {name: as_number(sizes.shown(size)) for name, size in op.joint().items()} if op.derived() else {}
            for name, relation in op.derived().items():
                known = {source: size for source in relation.sources if isinstance(size := space[source], int)}
                dealt.sizes |= known
                if not relation.unordered and isinstance(count := space[name], int):
                    dealt.groups |= dict.fromkeys(known, count)
        return dealt

    def units(self, name: str) -> int | None:
        """Into how many units a name is taken apart, that a cut leaves whole: groups, where there are several."""
        return self.groups.get(name, 0) if self.groups.get(name, 0) > 1 else self.sizes.get(name)

    def unequally(self, rule: Rule, parts: int, names: Iterable[str]) -> bool:
        """Does a rule cut one of these names into so many parts that are not equal?"""
        cut = [name for name in names if orders.is_unequal(rule.order(name))]
        return any(rule.order(name) != orders.UNEVEN or self.sizes.get(name, 1) % parts for name in cut)


def undealt(cuts: orders.Levels, size: int | Fraction | None) -> str:
    """Why a size is not cut so, or nothing."""
    (parts, order) = cuts[-1]
    if not isinstance(size, int):
        return "needs its size as a number"
    if order != orders.UNEVEN and (problem := orders.problem(order, parts)):
        return problem
    if any(orders.passes_by(order) for _, order in cuts):
        return "would pass by in time"
    listed, outer = sum(orders.listed_sizes(order)), orders.divisor(cuts[:-1])
    if orders.unequal(cuts[:-1]) and orders.is_unequal(order):
        return "lie inside of parts that are not equal"
    if listed and listed * outer != size:
        return f"list sizes that add up to {listed}"
    try:
        return "" if size % orders.divisor(cuts) == 0 else "are not whole"
    except ValueError as error:
        return f"cannot be: {error}"


def said(units: int, parts: int, each: int = 1) -> str:
    """
    >>> said(1024, 12), said(8, 3, 4)
    ('4 × 86 + 8 × 85', '2 × 12 + 1 × 8')
    """
    _, held = orders.portions(((parts, orders.uneven(units)),))
    counts = Counter((held * each).tolist())
    return " + ".join(f"{count} × {size}" for size, count in sorted(counts.items(), reverse=True))
