"""A strategy, resolved: a mesh of named axes and rules that say which dimensions each axis cuts, and where.

    mesh [pp = 2, tp = 8]               axes outermost first; the last varies fastest over GPU ids
    rule at *: tp cuts heads, ffn, vocab
    stored at *: fsdp cuts hidden, else ffn
    stages over pp: even
    micro_batches 4
    token_chunks 2                      every sequence in so many parts, one after the other
    pools attention [dp], experts [ep]  disjoint sets of GPUs in the order of their ids, each a mesh of its own axes
    *.experts on experts
    keeps * on decode                   where the program that comes next looks for caches

Plans are pure data. `passes/place.py` and `passes/shard.py` read them; frontends make them from YAML.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from .orders import CONTIGUOUS
from .slots import Slots


@dataclass(frozen=True)
class Axis:
    """A named axis of the mesh and the number of parts it makes."""

    name: str
    size: int


@dataclass(frozen=True)
class Rule:
    """At module paths matching any of `at`, `axis` cuts the dimensions in `cuts`; none of them lifts the axis there.

    `where` is the file:line the rule came from. `orders` holds the order of a dimension whose parts are not contiguous.
    Later rules override earlier ones of the same axis.
    """

    at: tuple[str, ...]
    axis: str
    cuts: tuple[str, ...]
    where: str = ""
    orders: tuple[tuple[str, str], ...] = ()
    when: str = ""
    """The sizes at which it applies, `seq_len > 4096`; decided before anything is lowered."""
    replicate: int = 1
    """So many GPUs side by side along the axis hold one part; decided before anything is lowered."""

    def order(self, name: str) -> str:
        """In which order the axis cuts this dimension."""
        return dict(self.orders).get(name, CONTIGUOUS)


@dataclass(frozen=True)
class Fit:
    """Stages that costs decide, once sizes are known: `by` "bytes" the largest is as small as can be, by "flops" the
    slowest as fast; all fit `capacity`.

    `capacity` is a number of bytes or names one of the cluster's (`memory`, `cache`), for the parts in `of` (empty:
    all that a GPU needs). `how` "fewest": each stage is filled, in turn. `opened`: the axis has no size yet, and gets
    the fewest stages that fit.
    """

    by: str = "bytes"
    capacity: int | str = "memory"
    of: tuple[str, ...] = ()
    how: str = ""
    opened: bool = False

    def __str__(self) -> str:
        return "flops" if self.by == "flops" else "fit"


@dataclass(frozen=True)
class Stages:
    """A pipeline: `axis` numbers the stages; `layers`: "even", "uneven", the count of each, or to be found by cost.

    With several `chunks`, the layers are cut into stages · chunks runs that are dealt out to the stages in turn
    (interleaved, or virtual, stages): from the last stage values go round to the first.
    """

    axis: str
    layers: str | tuple[int, ...] | Fit = "even"
    where: str = ""
    chunks: int = 1


@dataclass(frozen=True)
class PoolAxes:
    """A set of GPUs with a mesh of its own: the names of its axes. It may be `idle`: nothing is placed on it."""

    name: str
    axes: tuple[str, ...]
    idle: bool = False
    where: str = ""


@dataclass(frozen=True)
class Placing:
    """What is at module paths matching any of `at` runs on the pool `on`. Later ones override earlier ones."""

    at: tuple[str, ...]
    on: str
    where: str = ""
    when: str = ""
    phase: str = ""
    """The program it is of, prefill or decode; decided before anything is lowered."""


@dataclass(frozen=True)
class Plan:
    """A strategy with every axis sized. `name` is what the user called it (`ep`, `tp=8,pp=2`); `about` one line.

    `stores` say how weights are kept between uses: at such places `axis` cuts the first of `cuts` that a weight has and
    that divides, beside what cuts the weight where it is used.

    `unpaid`: at such places what is owed over `axis` is never paid. That is another function than the model's, and is
    refused unless the plan is meant `as_written`.
    """

    name: str
    axes: tuple[Axis, ...]
    rules: tuple[Rule, ...]
    stages: Stages | None = None
    about: str = ""
    where: str = ""
    slots: Slots | None = None
    """Which experts GPUs hold; nothing: an equal part of them."""
    micro_batches: int = 1
    """The program runs so often, each time on an equal part of the batch."""
    token_chunks: int = 1
    """And of each of these so often, each time on the next equal part of its tokens, which finds the ones before it in
    caches."""
    divisible: bool = False
    """No one said how often: it may be more, for memory's sake."""
    stores: tuple[Rule, ...] = ()
    unpaid: tuple[Rule, ...] = ()
    as_written: bool = False
    pools: tuple[PoolAxes, ...] = ()
    places: tuple[Placing, ...] = ()
    keeps: tuple[Placing, ...] = ()
    """Where the program that comes next looks for the caches that this one leaves; nothing: none comes next."""
    folds: tuple[tuple[tuple[str, tuple[str, ...]], ...], ...] = ()
    """Meshes over the same GPUs, as the user named their axes: of each axis the axes that it is made of."""

    @property
    def gpus(self) -> int:
        """GPUs the mesh needs: the product of its axes, or the sum of those of its pools."""
        meshes = [pool.axes for pool in self.pools] or [tuple(axis.name for axis in self.axes)]
        return sum(prod(map(self.size, axes)) for axes in meshes)

    @property
    def runs(self) -> int:
        """How often the program runs."""
        return self.micro_batches * self.token_chunks

    def size(self, axis: str) -> int:
        return next(a.size for a in self.axes if a.name == axis)

    def rules_of(self, axis: str) -> list[Rule]:
        """The rules of an axis, or of the axis that a sub-axis (`tp.0`) is part of."""
        return [rule for rule in self.rules if rule.axis == user_axis(axis)]


def named_axes(axes: Iterable[str], plan: Plan | None) -> tuple[str, ...]:
    """Axes as the user named them: sub-axes joined, and those of a fold called after the mesh that has them whole."""
    made = tuple(dict.fromkeys(map(user_axis, axes)))
    for mesh in plan.folds if plan else ():
        whole = [(axis, own) for axis, own in mesh if own and set(own) <= set(made)]
        covered = {one for _, own in whole for one in own}
        outside = tuple(axis for axis in made if all(axis not in own for _, own in mesh))
        if covered and covered | {*outside} == {*made}:
            return (*outside, *(axis for axis, _ in whole))
    return made


def user_axis(axis: str) -> str:
    """An axis as the user named it: `tp` for the sub-axes `tp.0` and `tp.1` that placing may split it into."""
    return axis.split(".")[0]
