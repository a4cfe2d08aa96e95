"""Unequal parts at small size: fewer units, dealt so that every GPU has as many more or fewer than others as before.

    1024 units over 12, 4 × 86 + 8 × 85        16 units, 4 × 2 + 8 × 1
    sizes (512, 256, 256)                      sizes (2, 1, 1)

An uneven cut keeps what its units leave over when they are divided by the number of parts, and by whatever else divides
the dimension; so GPUs that had equally much still do, and those that had not still have not. Sizes keep their ranks.
Of experts in slots there are as many as their table lists, at any size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import lcm

from ....ir import orders
from ....ir.deployment import Deployment, Share
from ..parts import Extent, ports


@dataclass(frozen=True)
class Units:
    """How many units there are for as many that were dealt; what is cut in the orders in `kept` is not made smaller."""

    of: Mapping[int, int] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()

    @staticmethod
    def among(deployment: Deployment) -> Units:
        """Those of everything that is stated of a deployment."""
        shares = [(key, share) for key, share in _shares(deployment) if share is not None]
        chunks: dict[Extent, int] = defaultdict(lambda: 1)
        for key, share in shares:
            if not orders.unequal(share.order):
                chunks[key] = lcm(chunks[key], share.parts, orders.divisor(share.order))
        periods: dict[int, int] = defaultdict(lambda: 1)
        least: dict[int, int] = defaultdict(int)
        for key, share in shares:
            for parts, units in ((n, orders.units(order)) for n, order in share.order if orders.units(order)):
                periods[units] = lcm(periods[units], share.parts, chunks[key])
                least[units] = max(least[units], parts)
        listed = {(port.names[0], port.whole[0]) for row in deployment.rows for port in ports(row) if port.slots}
        kept = frozenset(order for key, share in shares if key in listed for _, order in share.order)
        return Units({units: _fewer(units, period, least[units]) for units, period in periods.items()}, kept)

    def small(self, cuts: orders.Levels) -> orders.Levels:
        """Nested cuts as they are at small size."""
        return tuple((parts, self._order(order)) for parts, order in cuts) if orders.unequal(cuts) else cuts

    def _order(self, order: str) -> str:
        if order in self.kept:
            return order
        if sizes := orders.listed_sizes(order):
            ranks = sorted(set(sizes))
            return orders.listed(ranks.index(size) + 1 for size in sizes)
        units = orders.units(order)
        return orders.uneven(self.of.get(units, units)) if units else order


def _fewer(units: int, period: int, least: int) -> int:
    """The fewest units, at least so many, that leave as much over."""
    few = units % period
    return few + max(0, -(-(least - few) // period)) * period


def _shares(deployment: Deployment) -> Iterable[tuple[Extent, Share | None]]:
    for row in deployment.rows:
        for port in ports(row):
            yield from zip(zip(port.names, port.whole, strict=False), port.shares, strict=False)
