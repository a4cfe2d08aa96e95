"""Folding that cannot lie: GPUs that no communication connects fall into parts; alike parts are looked at once.

    dp=1024,tp=8: 8,192 GPUs, groups {0-7}, {8-15}, …          one part of 8 GPUs that stands for 1,024

Two parts are alike when the hash of all that was emitted for them is the same: every node's members and turns, and the
share of every value on every GPU, up to the numbering of GPUs. Nothing is assumed: a GPU that deviates in anything
makes its part one of its own, which is then looked at by itself.

A name that parts divide among them (sequences of the batch) is seen from each part as if there were no others: its
shares count from the first that the part holds; of nested cuts in an order, those outermost ones are left out of which
it holds one part. That is sound for names whose points do not meet in any operator, so it is not done for names that an
operator of the rows sums, needs whole, or reads the indices of.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import takewhile
from math import lcm, prod
from zlib import crc32

import numpy as np

from ...ir.deployment import Deployment, Link, Pool, Port, Row, Share, Size
from ...ir.orders import CONTIGUOUS, levels, unequal, uneven

Extent = tuple[str, Size]
"""A dimension as ports state it: its name and its global size."""


@dataclass(frozen=True)
class Part:
    """Connected GPUs, numbered from 0: `gpus` are their real ids, `copies` how many parts it stands for.

    `rows` are the positions of its rows in the deployment it was taken from.
    """

    deployment: Deployment
    gpus: np.ndarray
    copies: int
    rows: tuple[int, ...]


def parts(deployment: Deployment) -> list[Part]:
    """One part of every class of alike parts, the first GPU's first; the host's rows alone where nothing else is."""
    grid = _Grid.of(deployment)
    if not grid.sizes.size:
        return [Part(deployment, np.empty(0, dtype=np.int64), 1, tuple(row.index for row in deployment.rows))]
    if grid.sizes.tolist() == [deployment.gpus]:
        return [Part(deployment, np.arange(deployment.gpus), 1, tuple(row.index for row in deployment.rows))]
    spans = _spans(deployment, grid)
    marks = _hashes(deployment, grid, spans)
    _, first, copies = np.unique(marks, return_index=True, return_counts=True)
    return [_part(deployment, grid, spans, int(c), int(n)) for c, n in sorted(zip(first, copies, strict=True))]


@dataclass(frozen=True)
class _Grid:
    """Which part every GPU is in (-1: none) and its number there."""

    part: np.ndarray
    local: np.ndarray
    sizes: np.ndarray

    @staticmethod
    def of(deployment: Deployment) -> _Grid:
        places = list({id(row.places): row.places for row in deployment.rows if row.places.size}.values())
        used = np.zeros(deployment.gpus, dtype=bool)
        for each in places:
            used[each] = True
        label = _connected(deployment.gpus, places)
        gpus = np.flatnonzero(used)
        _, part, sizes = np.unique(label[gpus], return_inverse=True, return_counts=True)
        order = np.argsort(part, kind="stable")
        numbers = np.empty(len(gpus), dtype=np.int64)
        numbers[order] = np.arange(len(gpus)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        none = np.full(deployment.gpus, -1, dtype=np.int64)
        grid = _Grid(none, none.copy(), sizes)
        grid.part[gpus], grid.local[gpus] = part, numbers
        return grid


def _connected(gpus: int, places: list[np.ndarray]) -> np.ndarray:
    """Per GPU the lowest GPU that communications connect it with."""
    label = np.arange(gpus)
    groups = [group for group in places if group.shape[1] > 1]
    while True:
        before = label.copy()
        for group in groups:
            np.minimum.at(label, group, label[group].min(axis=1, keepdims=True))  # a GPU may stand in several groups
        if np.array_equal(before, label):
            return label


@dataclass
class _Span:
    """What the parts hold of a dimension, in units of its finest cut: from `begin` [parts], `count` units.

    Where it is cut in an order, a unit is what its `levels` outermost cuts leave.
    """

    finest: int
    begin: np.ndarray
    count: int
    levels: int = 0


def ports(row: Row) -> tuple[Port, ...]:
    """Everything a row states."""
    return (*row.inputs, *row.outputs, *row.weights)


def _spans(deployment: Deployment, grid: _Grid) -> dict[Extent, _Span]:
    """The dimensions that parts divide among them and that no operator joins again."""
    pinned = {name for row in deployment.rows for name in _joined(row)}
    shares: dict[Extent, dict[int, Share]] = {}
    whole: set[Extent] = set()
    for row in deployment.rows:
        for port in ports(row):
            for name, size, share in zip(port.names, port.whole, port.shares, strict=False):
                if share is None or name in pinned:
                    whole |= set() if row.on_host else {(name, size)}
                else:
                    shares.setdefault((name, size), {})[id(share)] = share
    found = {key: _spanned(list(each.values()), grid) for key, each in shares.items() if key not in whole}
    return {key: span for key, span in found.items() if span is not None}


def _joined(row: Row) -> set[str]:
    """Names, as the row's ports have them, whose points meet in its operator or are told apart by it."""
    op = row.operator
    if op is None:
        return set()
    joint = op.whole() | op.sums() | op.indexed()
    own = {n for i in range(len(op.operands)) for n, j in op.operand_names(i).items() if j in joint}
    return own | joint


def _spanned(shares: list[Share], grid: _Grid) -> _Span | None:
    return _nested(shares, grid) if any(share.order for share in shares) else _span(shares, grid)


def _nested(shares: list[Share], grid: _Grid) -> _Span | None:
    """The most outermost cuts, the same in all shares, of which every part holds one part."""
    orders = [share.order or ((share.parts, CONTIGUOUS),) for share in shares]
    common = [cuts[0] for cuts in takewhile(lambda cuts: len(set(cuts)) == 1, zip(*orders, strict=False))]
    for outermost in range(len(common), 0, -1):
        units = prod(count for count, _ in common[:outermost])
        low, high = _extremes([Share(units, share.of // (share.parts // units)) for share in shares], grid, units)
        if (high - low == 1).all() and not any(unequal(cuts[outermost:]) for cuts in orders):
            return _Span(units, low, 1, outermost)
    return None


def _extremes(shares: list[Share], grid: _Grid, finest: int) -> tuple[np.ndarray, np.ndarray]:
    """Per part the first unit that it holds, and the one after the last."""
    low, high = np.full(len(grid.sizes), finest), np.zeros(len(grid.sizes), dtype=np.int64)
    for share in shares:
        inside = (grid.part >= 0) & (share.of >= 0)
        unit, part, of = finest // share.parts, grid.part[inside], share.of[inside]
        np.minimum.at(low, part, of * unit)
        np.maximum.at(high, part, (of + 1) * unit)
    return low, high


def _span(shares: list[Share], grid: _Grid) -> _Span | None:
    finest = lcm(*(share.parts for share in shares))
    low, high = _extremes(shares, grid, finest)
    wide = np.unique(high - low)
    coarsest = max(finest // share.parts for share in shares)
    if len(wide) > 1 or wide[0] < 1 or (low % coarsest).any() or wide[0] % coarsest or wide[0] == finest:
        return None
    return _Span(finest, low, int(wide[0]))


def _hashes(deployment: Deployment, grid: _Grid, spans: dict[Extent, _Span]) -> np.ndarray:
    """Per part the hash of what was emitted for it: places, turns and shares of all rows, each array once."""
    marks = _Marks(grid, np.zeros(len(grid.sizes), dtype=np.uint64))
    for row in deployment.rows:
        if not row.on_host:
            marks.nodes(row.places, None)
        if row.turns is not None and not row.on_host:
            marks.nodes(row.places, row.turns)
        if row.pairs is not None:
            marks.nodes(row.pairs, None)
        for port in ports(row):
            for name, size, share in zip(port.names, port.whole, port.shares, strict=False):
                marks.share(share, spans.get((name, size)), (name, size))
            marks.share(port.addend, None, ("", ""))
    return marks.made + grid.sizes.astype(np.uint64)


@dataclass
class _Marks:
    """Sums, part by part, the hashes of numbers together with what and whose they are."""

    grid: _Grid
    made: np.ndarray
    seen: dict[object, int] = field(default_factory=dict)

    def nodes(self, places: np.ndarray, turns: np.ndarray | None) -> None:
        """Every member of every node, or its turn; nodes of a part are told apart by their order."""
        if not self._new((id(places), None if turns is None else id(turns))):
            return
        numbers = self.grid.local[places] if turns is None else turns
        part = self.grid.part[places[:, 0]]
        order = np.argsort(part, kind="stable")
        counts = np.bincount(part, minlength=len(self.grid.sizes))
        rank = np.empty(len(part), dtype=np.int64)
        rank[order] = np.arange(len(part)) - np.repeat(np.cumsum(counts) - counts, counts)
        for member in range(places.shape[1]):
            self._add(part, rank, numbers[:, member], member)

    def share(self, share: Share | None, span: _Span | None, key: Extent) -> None:
        """The share of every GPU, counted from the first of its part."""
        if share is None or not self._new((id(share), key, "share")):
            return
        gpus = np.flatnonzero(self.grid.part >= 0)
        part, of = self.grid.part[gpus], share.of[gpus]
        if span is not None:
            of = np.where(of < 0, of, of - span.begin[part] * share.parts // span.finest)
        self._add(part, self.grid.local[gpus], of, crc32(repr((share.parts, share.order, share.steps)).encode()))
        if share.merged is not None:
            for which, column in enumerate(np.packbits(share.merged[gpus], axis=1).T):
                self._add(part, self.grid.local[gpus], column, which)

    def _new(self, key: object) -> bool:
        fresh = key not in self.seen
        self.seen.setdefault(key, len(self.seen))
        return fresh

    def _add(self, part: np.ndarray, rank: np.ndarray, numbers: np.ndarray, what: int) -> None:
        mixed = _mixed(rank, numbers, np.int64(len(self.seen)), np.int64(what))
        np.add.at(self.made, part, mixed)


def _mixed(*numbers: np.ndarray | np.int64) -> np.ndarray:
    """One 64-bit hash of each tuple of numbers (splitmix64, Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        made = np.uint64(0x9E3779B97F4A7C15)
        for number in numbers:
            made = made + np.asarray(number).astype(np.uint64) * np.uint64(0xD1B54A32D192ED03) + np.uint64(1)
            made = (made ^ (made >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            made = (made ^ (made >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            made = made ^ (made >> np.uint64(31))
        return np.asarray(made)


def _part(deployment: Deployment, grid: _Grid, spans: dict[Extent, _Span], which: int, copies: int) -> Part:
    """The rows, links and shares of one part, for GPUs numbered from 0."""
    gpus = np.flatnonzero(grid.part == which)
    taken = _Taken(grid, spans, which, gpus)
    kept = [row for row in deployment.rows if row.on_host or (grid.part[row.places[:, 0]] == which).any()]
    number = {row.index: i for i, row in enumerate(kept)}
    rows = tuple(replace(taken.row(row), index=i) for i, row in enumerate(kept))
    links = tuple(
        Link(number[k.source], number[k.target], k.output, k.input, k.kind, k.tensor)
        for k in deployment.links
        if k.source in number and k.target in number
    )
    pools = tuple(Pool(pool.name, local) for pool in deployment.pools if (local := taken.local(pool.gpus)).size)
    made = replace(deployment, gpus=len(gpus), rows=rows, links=links, pools=pools)
    return Part(made, gpus, copies, tuple(row.index for row in kept))


@dataclass
class _Taken:
    grid: _Grid
    spans: dict[Extent, _Span]
    which: int
    gpus: np.ndarray
    made: dict[object, Share] = field(default_factory=dict)
    cut: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def local(self, gpus: np.ndarray) -> np.ndarray:
        return np.sort(self.grid.local[gpus[self.grid.part[gpus] == self.which]])

    def row(self, row: Row) -> Row:
        if not row.on_host:
            mine = self.grid.part[row.places[:, 0]] == self.which
            turns = None if row.turns is None else row.turns[mine]
            spread = [row.spread[i] for i in np.flatnonzero(mine).tolist()] if len(row.spread) else ()
            places, pairs = self.grid.local[row.places[mine]], self._pairs(row.pairs)
            row = replace(row, places=places, turns=turns, spread=spread, pairs=pairs)
        changed = {name: tuple(map(self._port, getattr(row, name))) for name in ("inputs", "outputs", "weights")}
        return replace(row, **changed)

    def _pairs(self, pairs: np.ndarray | None) -> np.ndarray | None:
        return None if pairs is None else self.grid.local[pairs[self.grid.part[pairs[:, 0]] == self.which]]

    def _port(self, port: Port) -> Port:
        dims = zip(port.names, port.whole, port.shares, strict=False)
        shares = tuple(self._share(share, (name, size)) for name, size, share in dims)
        return replace(port, shares=shares, addend=self._share(port.addend, ("", "")))

    def _share(self, share: Share | None, key: Extent) -> Share | None:
        if share is None:
            return None
        if (id(share), key) not in self.made:
            self.made[id(share), key] = self._rebased(share, self.spans.get(key))
        made = self.made[id(share), key]
        return made if made.parts > 1 or (made.of < 0).any() else None

    def _rebased(self, share: Share, span: _Span | None) -> Share:
        of = share.of[self.gpus]
        if span is None:
            return replace(share, of=of, merged=None if share.merged is None else share.merged[self.gpus])
        begin = int(span.begin[self.which]) * share.parts // span.finest
        order = levels(share.order[span.levels :])
        if unequal(share.order[: span.levels]):  # ports of parts of other sizes speak of no GPU here
            order = ((1, uneven(1)), *share.order[span.levels :])
        parts = share.parts * span.count // span.finest
        return Share(parts, np.where(of < 0, of, of - begin), order, steps=share.steps)
