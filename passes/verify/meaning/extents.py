"""Small sizes to run a part at. Whatever the plan leaves free gets a local extent of 2 or more, all different.

    heads = 64 over tp = 8, d_k = 128, hidden = 8192          heads = 8 · 2 · 3, d_k = 5, hidden = 7

Parts that are not equal stay so, of fewer `units`. A size is what the names and cuts demand (parts · local), what
relations demand (heads = kv_heads · group; rows of experts and their counts = tokens, so that none is dropped and each
is told apart), or fixed by the model (`top_k`).
Names whose local extents are equal in one tensor, or 1, are listed (`lacks`): what swaps them may go unseen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from math import lcm, prod

from ....ir.deployment import Deployment, Port, Share
from ....ir.dims import Size, Sizes
from ....ir.local import plain
from ....ir.op import Operator, tensor_of
from ....ir.ops import RELATIONS
from ....ir.orders import divisor, portions, unequal
from ..parts import Extent, ports
from .kin import Kin
from .units import Units

COUNTING = frozenset(name for name, relation in RELATIONS.items() if relation.counts)
"""Names that number the parts of others."""
LOCAL = ((2, 3, 4, 5, 7, 11, 13, 17, 19, 23, 29, 31), (3, 2, 5, 4, 8, 7, 17, 13, 23, 19, 31, 29))
"""Local extents in the order they are given out, for two sets of sizes."""
SPARE = (37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83)
"""Given where two that were given out meet in one tensor."""
GROUP = (2, 3)
"""Query heads per KV head, where they differ."""


@dataclass
class Extents:
    """What every dimension of a part and of its model is at small size."""

    sizes: Sizes
    kin: Kin
    units: Units
    of: dict[Extent, int] = field(default_factory=dict)

    def key(self, name: str, size: Size) -> Extent:
        """A dimension of an operator of the model, as ports state it."""
        return _key(self.sizes, name, size)

    def shape(self, op: Operator) -> tuple[int, ...]:
        """Extents of an operator's undivided result."""
        return tuple(self.of[self.key(dim.name, dim.size)] for dim in tensor_of(op.results[0]).dims)

    def beyond(self, op: Operator) -> dict[str, int]:
        """Extents that an operator's meaning reads of names that it does not have."""
        return {name: self.of[self.key(name, size)] for name, size in op.beyond().items()}

    def local(self, port: Port) -> dict[Extent, int]:
        """What a GPU holds along each dimension of a port."""
        keys = zip(zip(port.names, port.whole, strict=True), port.shares, strict=True)
        return {key: self._local(share, self.of[key]) for key, share in keys}

    def _local(self, share: Share | None, extent: int) -> int:
        if share is None or not unequal(share.order):
            return extent // (share.parts if share else 1)
        whole, held = portions(self.units.small(share.order))
        return extent * int(held[share.of.max()]) // whole

    def lacks(self, deployment: Deployment) -> list[str]:
        """Where local extents are 1, or meet in one tensor.

        That a GPU has one of the parts that a name numbers is no lack: that is what it means, and nothing else is 1.
        """
        tensors = [self.local(port) for row in deployment.rows for port in ports(row)]
        ones = {
            f"{key[0]} = 1" for local in tensors for key, size in local.items() if size == 1 and key[0] not in COUNTING
        }
        return sorted(ones | {f"{a[0]} = {b[0]}" for a, b in self.clashes(deployment)})

    def clashes(self, deployment: Deployment) -> Iterator[tuple[Extent, Extent]]:
        """Dimensions of one tensor, not one in the model, of which a GPU holds equally many."""
        for row in deployment.rows:
            for port in ports(row):
                for (a, size), (b, other) in combinations(self.local(port).items(), 2):
                    if size == other and self.kin.root(a) != self.kin.root(b):
                        yield a, b


def choose(model: Iterable[Operator], deployment: Deployment, sizes: Sizes, which: int) -> Extents:
    """The extents of one of the two sets (`which` 0 or 1), for the model's operators and what was emitted."""
    units = Units.among(deployment)
    kin = Kin.of(model, lambda name, size: _key(sizes, name, size), finest(deployment, units))
    chosen, ranked = Extents(sizes, kin, units), _ranked(kin, deployment)
    fresh = iter([size for size in (*LOCAL[which], *SPARE) if size not in kin.fixed.values()])
    given = dict(zip(ranked, fresh, strict=False))
    while True:
        chosen.of = kin.extents(given, GROUP[which])
        lighter = _lighter(chosen, deployment, ranked)
        size = next(fresh, None)
        if lighter is None or size is None:
            return chosen
        given[lighter] = size


def _key(sizes: Sizes, name: str, size: Size) -> Extent:
    return name, plain(sizes.shown(size))


def finest(deployment: Deployment, units: Units) -> dict[Extent, int]:
    """Into how many equal runs every dimension is cut at its finest; of parts that are not equal, units."""
    found: dict[Extent, int] = {}
    for row in deployment.rows:
        for port in ports(row):
            for name, size, share in zip(port.names, port.whole, port.shares, strict=False):
                runs = _runs(share, units) if share else 1
                found[name, size] = lcm(found.get((name, size), 1), runs)
    return found


def _runs(share: Share, units: Units) -> int:
    return divisor(units.small(share.order)) if unequal(share.order) else lcm(share.parts, divisor(share.order))


def _lighter(chosen: Extents, deployment: Deployment, ranked: list[Extent]) -> Extent | None:
    """Of the first two dimensions that clash the free one that costs less to enlarge."""
    for pair in chosen.clashes(deployment):
        decide = {root for key in pair for root in chosen.kin.chosen_by(key)}
        found = max((ranked.index(root) for root in decide if root in ranked), default=None)
        if found is not None:
            return ranked[found]
    return None


def _ranked(kin: Kin, deployment: Deployment) -> list[Extent]:
    """Free dimensions; those of the largest tensors first, for they get least."""
    weight: Counter[Extent] = Counter()
    for row in deployment.rows:
        for port in row.outputs:
            keys = list(zip(port.names, port.whole, strict=True))
            cuts = zip(keys, port.shares, strict=True)
            volume = prod(max(kin.parts[key] // (share.parts if share else 1), 1) for key, share in cuts)
            for root in (root for key in keys for root in kin.chosen_by(key)):
                weight[root] += volume * row.places.size
    return sorted(kin.free(), key=lambda root: (-weight[root], str(root)))
