"""The moves that turn one layout into another: a small pure function of the two.

    have [seq_len = S / tp], heads = 64         need seq_len = S, [heads = 64 / tp]       → all-to-all seq_len → heads
    have owes sum over tp                       need nothing owed                         → all-reduce over tp
    have owes sum over tp, seq_len = S          need seq_len = S / tp                     → reduce-scatter into seq_len

Order: debts first (reduce-scatter where the axis is wanted next on a dimension, else all-reduce), then slices, then,
repeatedly, the longest suffix of a dimension's axes that another dimension wants next, as ONE all-to-all; only where
there is none is the innermost unwanted axis gathered. Axis by axis instead, (dp, tp) tokens → (dp, tp) experts would
become two gathers and two slices. Where the order of equal parts is free (routed tokens), any unwanted axes may leave,
and any that are wanted come: expert_tokens / ep / cp → experts / ep is an all-to-all over ep and a gather over cp,
and back, with a sum owed over cp, a reduce-scatter over cp and an all-to-all over ep.

A cut in another order is another cut: seq_len / cp zigzag → seq_len / cp is a gather and a slice. What is to pass by
in time, seq_len / cp → seq_len / cp ring, is rotated, once it lies as its parts do at rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..ir.debts import SUM, by_kind, debtor
from ..ir.layout import Dim, Tensor
from ..ir.ops import UNORDERED
from ..ir.orders import at_rest, axes_of, axis_of


@dataclass(frozen=True)
class Step:
    """One move: its kind (an operator's name), the axes it runs over, the dimensions involved, the layout after it.

    In which order the axes cut `dim` before and `to` after, the layouts say. `merge`: the kind of debt that it pays.
    """

    kind: str
    axes: tuple[str, ...]
    dim: str
    to: str
    after: Tensor
    merge: str = SUM


def steps(have: Tensor, need: Tensor) -> list[Step]:
    """Every move from `have` to `need`, in order, neighbours of one kind and dimension fused. Pools must be equal."""
    found: list[Step] = []
    resting = _resting(have, need)
    for finder, wanted in ((_debts, resting), (_slices, resting), (_shuffles, resting), (_rotations, need)):
        for step in finder(have, wanted):
            have = step.after
            if found and (fused := _fuse(found[-1], step)):
                found[-1] = fused
            else:
                found.append(step)
    assert have == need, (have, need)
    return found


def _resting(have: Tensor, need: Tensor) -> Tensor:
    """What is needed, with every part that is to begin to pass by still where it is at rest."""
    begin = [after for before, after in zip(have.dims, need.dims, strict=True) if after.times != before.times]
    return need.cut({dim.name: tuple(map(at_rest, dim.cuts)) for dim in begin})


def _rotations(have: Tensor, need: Tensor) -> Iterator[Step]:
    for dim in need.dims:
        if dim.cuts != have.dim(dim.name).cuts:
            have = have.cut({dim.name: dim.cuts})
            yield Step("rotate", dim.times, dim.name, dim.name, have)


def _fuse(first: Step, second: Step) -> Step | None:
    """Two gathers, or two slices, of one dimension are one over both axes."""
    if (first.kind, first.dim, first.merge) != (second.kind, second.dim, second.merge) or first.kind == "all_to_all":
        return None
    axes = (*second.axes, *first.axes) if first.kind == "all_gather" else (*first.axes, *second.axes)
    return replace(second, axes=axes)


def _wanted(have: Tensor, need: Tensor) -> dict[str, tuple[str, ...]]:
    """Per dimension the cuts it still wants, from the outermost, where what it has is a prefix of what it needs."""
    return {
        before.name: tuple(cut for cut in after.cuts if cut not in before.cuts)
        for before, after in zip(have.dims, need.dims, strict=True)
        if not _unwanted(before, after)
    }


def _unwanted(have: Dim, need: Dim) -> tuple[str, ...]:
    """Cuts that must leave a dimension: those behind the common prefix, or, where order is free, those not needed."""
    if _is_free(have, need):
        return tuple(cut for cut in have.cuts if cut not in need.cuts)
    common = next((i for i, (x, y) in enumerate(zip(have.cuts, need.cuts, strict=False)) if x != y), len(need.cuts))
    return have.cuts[common:]


def _is_free(have: Dim, need: Dim) -> bool:
    """Does it mean nothing which cut lies outside? Not where they make parts of several sizes."""
    return have.name in UNORDERED and (have.axes, need.axes) == (have.cuts, need.cuts)


def _plus(have: Tensor, need: Tensor, name: str, more: tuple[str, ...]) -> Tensor:
    """A dimension with more cuts: innermost, or, where order is free, in the order needed."""
    cuts, wanted = (*have.dim(name).cuts, *more), need.dim(name).cuts
    if _is_free(have.dim(name), need.dim(name)):
        cuts = (*(cut for cut in wanted if cut in cuts), *(cut for cut in cuts if cut not in wanted))
    return have.cut({name: cuts})


def _minus(have: Tensor, name: str, leaving: tuple[str, ...]) -> Tensor:
    return have.cut({name: tuple(cut for cut in have.dim(name).cuts if cut not in leaving)})


def _debts(have: Tensor, need: Tensor) -> Iterator[Step]:
    """Pay what is owed and not owed later: scattered into the dimensions that want the axes next, the rest in one."""
    for kind, axes in by_kind(owed for owed in have.owes if owed not in need.owes):
        for step in _paid(have, need, kind, set(axes)):
            have = step.after
            yield step


def _paid(have: Tensor, need: Tensor, kind: str, paying: set[str]) -> Iterator[Step]:
    for name, wants in _wanted(have, need).items():
        cuts = _available(wants, paying, _is_free(have.dim(name), need.dim(name)))
        if axes := axes_of(cuts):
            paying = paying - set(axes)
            have = replace(_plus(have, need, name, cuts), owes=_without(have.owes, axes))
            yield Step("reduce_scatter", axes, name, name, have, kind)
    if paying:
        axes = tuple(axis for axis in have.debtors if axis in paying)
        yield Step("all_reduce", axes, "", "", replace(have, owes=_without(have.owes, axes)), kind)


def _without(owes: tuple[str, ...], axes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(owed for owed in owes if debtor(owed) not in axes)


def _available(wants: tuple[str, ...], paying: set[str], free: bool) -> tuple[str, ...]:
    """Wanted cuts that a sum may be scattered into: the next ones, or, where order is free, any."""
    return tuple(cut for cut in wants if axis_of(cut) in paying) if free else _leading(wants, paying)


def _leading(wants: tuple[str, ...], available: set[str]) -> tuple[str, ...]:
    count = next((i for i, cut in enumerate(wants) if axis_of(cut) not in available), len(wants))
    return wants[:count]


def _slices(have: Tensor, need: Tensor) -> Iterator[Step]:
    """Cut dimensions by axes that nothing is cut by yet: every member already holds what it keeps."""
    for name, wants in _wanted(have, need).items():
        cuts = _leading(wants, set(axes_of(wants)) - set(have.axes))
        if cuts:
            have = _plus(have, need, name, cuts)
            yield Step("slice", axes_of(cuts), name, name, have)


def _shuffles(have: Tensor, need: Tensor) -> Iterator[Step]:
    while have != need:
        step = _exchange(have, need) or _gather(have, need) or next(_slices(have, need))
        have = step.after
        yield step


def _exchange(have: Tensor, need: Tensor) -> Step | None:
    """The most axes of a dimension that another dimension wants next, as one all-to-all."""
    best: Step | None = None
    for dim in have.dims:
        leaving, free = axes_of(_unwanted(dim, need.dim(dim.name))), _is_free(dim, need.dim(dim.name))
        for to, wants in _wanted(have, need).items():
            count = _shared(leaving, axes_of(wants), free) if to != dim.name else 0
            if count > (len(best.axes) if best else 0):
                axes = axes_of(wants[:count])
                moved = tuple(cut for cut in dim.cuts if axis_of(cut) in axes)
                after = _plus(_minus(have, dim.name, moved), need, to, wants[:count])
                best = Step("all_to_all", axes, dim.name, to, after)
    return best


def _shared(leaving: tuple[str, ...], wants: tuple[str, ...], free: bool) -> int:
    """How many of the axes wanted next may leave together: the innermost, or, where order is free, any."""
    counts = range(min(len(leaving), len(wants)), 0, -1)
    if free:
        return next((n for n in counts if set(wants[:n]) <= set(leaving)), 0)
    return next((n for n in counts if wants[:n] == leaving[len(leaving) - n :]), 0)


def _gather(have: Tensor, need: Tensor) -> Step | None:
    """Gather the innermost unwanted axis of the first dimension that has one."""
    for dim in have.dims:
        if leaving := _unwanted(dim, need.dim(dim.name))[-1:]:
            return Step("all_gather", axes_of(leaving), dim.name, dim.name, _minus(have, dim.name, leaving))
    return None
