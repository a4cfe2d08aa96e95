"""Folds: further meshes over the GPUs of a strategy's mesh, or of a pool. Axes of all are made of common sub-axes.

    mesh: {tpa: 4, kvp: 2}                  row-major, as every mesh
    folds: {ffn: {ep: 2, tpf: 4}}           8 GPUs too

    sub-axes  tpa_0 = 2, tpa_1 = 2, kvp = 2
    tpa = tpa_0 · tpa_1      kvp = kvp      ep = tpa_0      tpf = tpa_1 · kvp

    mesh: {tp: 8}                           and a rule whose cut by tp is replicated twice
    sub-axes  tp_0 = 4, which alone cuts there, and tp_1 = 2

Rules of an axis become rules of its sub-axes, in the order of the file: of two axes that share one, the last that
addresses a place decides there. After this nothing is folded: passes see a mesh of sub-axes, so that a change of mesh
is a move like any other, and none at all where GPUs keep what they have. The sizes from each axis inwards must divide
one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Annotated

from pydantic import Field

from ..diagnostics import Diagnostic, Refused
from ..ir import orders
from ..ir.plan import Axis, Plan, Rule
from .strategy_values import AxisName, Parts

Folds = Annotated[dict[AxisName, Annotated[dict[AxisName, Parts], Field(max_length=16)]], Field(max_length=16)]
MOST = 4
"""Sizes that work, which a refusal lists."""


@dataclass(frozen=True)
class Fold:
    """A mesh of these axes over the GPUs that the axes `over` make."""

    name: str
    over: tuple[str, ...]
    axes: tuple[str, ...]
    where: str = ""


def unfolded(plan: Plan, folds: tuple[Fold, ...], sizes: Mapping[str, int | None]) -> Plan:
    """The plan over sub-axes. `sizes` are those of the folds' axes, None for what is left. Refused where a fold has
    other GPUs, or no common sub-axes, or copies do not divide an axis.
    """
    known = {axis.name: axis.size for axis in plan.axes}
    parts: dict[str, tuple[Axis, ...]] = {axis.name: (axis,) for axis in plan.axes}
    for fold in folds:
        known |= _filled(fold, known, sizes)
    copies = _copies(plan.rules, known)
    meshes = dict.fromkeys(mesh for fold in folds for mesh in (fold.over, fold.axes))
    alone = dict.fromkeys((axis,) for axis in copies if not any(axis in mesh for mesh in meshes))
    for over in dict.fromkeys((*(fold.over for fold in folds), *alone)):
        mine = [fold for fold in folds if fold.over == over]
        parts |= _parts([over, *(fold.axes for fold in mine)], known, mine, copies)
    return replace(
        plan,
        axes=tuple(part for axis in plan.axes for part in parts[axis.name]),
        rules=tuple(_on_parts(plan.rules, parts)),
        stores=tuple(_on_parts(plan.stores, parts)),
        unpaid=tuple(_on_parts(plan.unpaid, parts)),
        pools=tuple(replace(pool, axes=_names(pool.axes, parts)) for pool in plan.pools),
        folds=tuple(tuple((axis, _names((axis,), parts)) for axis in mesh) for mesh in (*meshes, *alone)),
    )


def _copies(rules: tuple[Rule, ...], sizes: Mapping[str, int]) -> dict[str, set[int]]:
    """Per axis, in how many copies rules cut by it. Refused where they do not divide it."""
    copies: dict[str, set[int]] = {}
    for rule in rules:
        if sizes[rule.axis] % rule.replicate:
            problem = f"{rule.axis} = {sizes[rule.axis]} GPUs do not hold {rule.replicate} copies of equally many parts"
            works = [n for n in range(1, sizes[rule.axis] + 1) if sizes[rule.axis] % n == 0]
            expected = f"a divisor of {sizes[rule.axis]} ({', '.join(map(str, works))})"
            raise Refused(Diagnostic("mesh", problem, rule.where, expected, f"replicate: {rule.replicate}"))
        if rule.replicate > 1:
            copies.setdefault(rule.axis, set()).add(rule.replicate)
    return copies


def _names(axes: tuple[str, ...], parts: Mapping[str, tuple[Axis, ...]]) -> tuple[str, ...]:
    return tuple(part.name for axis in axes for part in parts[axis])


def _filled(fold: Fold, known: Mapping[str, int], sizes: Mapping[str, int | None]) -> dict[str, int]:
    """The fold's axes, the open one as large as it must be."""
    total = prod(known[axis] for axis in fold.over)
    opened = [axis for axis in fold.axes if sizes[axis] is None]
    rest = prod(sizes[axis] or 1 for axis in fold.axes)
    if len(opened) > 1 or total % rest or (not opened and total != rest):
        over, own = (_text(axes, {**sizes, **known}) for axes in (fold.over, fold.axes))
        problem = f"fold {fold.name} is not over the GPUs of its mesh, {over} = {total}"
        hint = "leave one of its axes open (gpus), or size it with --mesh"
        raise Refused(Diagnostic("mesh", problem, fold.where, f"axes that make {total}", own, hint))
    return {axis: sizes[axis] or total // rest for axis in fold.axes}


def _text(axes: tuple[str, ...], sizes: Mapping[str, int | None]) -> str:
    return " × ".join(f"{axis}={sizes[axis] or 'gpus'}" for axis in axes)


def _parts(
    meshes: list[tuple[str, ...]], sizes: Mapping[str, int], folds: list[Fold], copies: Mapping[str, set[int]]
) -> dict[str, tuple[Axis, ...]]:
    """The sub-axes of every axis of these meshes, which are named after those of the first."""
    made = {edge for mesh in meshes for edge in _edges([sizes[axis] for axis in mesh])}
    within = {low * n for mesh in meshes for axis, low, _ in _extents(mesh, sizes) for n in copies.get(axis, ())}
    edges = sorted(made | within, reverse=True)
    if not _chain({*edges}):
        raise Refused(_apart(meshes, sizes, folds) if not _chain(made) else _uncommon(meshes, sizes, copies))
    cut = {axis: _between(edges, low, high) for axis, low, high in _extents(meshes[0], sizes)}
    named = {
        ends: Axis(axis if len(own) == 1 else f"{axis}_{i}", ends[0] // ends[1])
        for axis, own in cut.items()
        for i, ends in enumerate(own)
    }
    made = {
        axis: tuple(named[ends] for ends in _between(edges, low, high))
        for mesh in meshes
        for axis, low, high in _extents(mesh, sizes)
    }
    return {axis: own or ((Axis(axis, 1),) if axis in meshes[0] else ()) for axis, own in made.items()}


def _edges(sizes: list[int]) -> list[int]:
    """How many GPUs there are from each axis inwards, and 1.

    >>> _edges([4, 2])
    [8, 2, 1]
    """
    return [prod(sizes[i:]) for i in range(len(sizes) + 1)]


def _extents(mesh: tuple[str, ...], sizes: Mapping[str, int]) -> Iterator[tuple[str, int, int]]:
    """Per axis the edges between which it lies."""
    edges = _edges([sizes[axis] for axis in mesh])
    return ((axis, low, high) for axis, (high, low) in zip(mesh, pairwise(edges), strict=True))


def _between(edges: list[int], low: int, high: int) -> list[tuple[int, int]]:
    return [(large, small) for large, small in pairwise(edges) if low <= small and large <= high]


def _apart(meshes: list[tuple[str, ...]], sizes: Mapping[str, int], folds: list[Fold]) -> Diagnostic:
    """What to say where two meshes have no common sub-axes, with sizes that have."""
    first = _edges([sizes[axis] for axis in meshes[0]])
    fold = next((fold for fold in folds if not _chain({*first, *_edges([sizes[a] for a in fold.axes])})), folds[0])
    works = [own for own in _factors(first[0], len(fold.axes)) if _chain({*first, *_edges(own)})][:MOST]
    listed = "; ".join(_text(fold.axes, dict(zip(fold.axes, own, strict=True))) for own in works)
    both = " and ".join(_text(mesh, sizes) for mesh in (meshes[0], fold.axes))
    problem = f"fold {fold.name} has no sub-axes in common with its mesh: {both}"
    return Diagnostic("mesh", problem, fold.where, listed or "sizes that divide one another", _text(fold.axes, sizes))


def _uncommon(meshes: list[tuple[str, ...]], sizes: Mapping[str, int], copies: Mapping[str, set[int]]) -> Diagnostic:
    axes = [axis for mesh in meshes for axis in mesh if axis in copies]
    counts = ", ".join(f"{n} of {axis} = {sizes[axis]}" for axis in axes for n in sorted(copies[axis]))
    problem = f"copies have no sub-axes in common with the meshes of their GPUs: {counts}"
    return Diagnostic("mesh", problem, expected="numbers of copies that divide one another", actual=counts)


def _unequal(rule: Rule, own: tuple[Axis, ...]) -> Diagnostic:
    made = " × ".join(f"{part.name} = {part.size}" for part in own)
    problem = f"{rule.axis} is split into {made} for a fold or copies, and cuts into parts that are not equal"
    hint = f"cut equally by {rule.axis}, or give what is unequal an axis of its own"
    return Diagnostic("order", problem, rule.where, "equal parts", hint=hint)


def _chain(edges: set[int]) -> bool:
    return all(large % small == 0 for large, small in pairwise(sorted(edges, reverse=True)))


def _factors(total: int, count: int) -> Iterator[list[int]]:
    """Every way to write a number as so many factors."""
    if count == 1:
        yield [total]
        return
    for size in (size for size in range(1, total + 1) if total % size == 0):
        yield from ([size, *rest] for rest in _factors(total // size, count - 1))


def _on_parts(rules: tuple[Rule, ...], parts: Mapping[str, tuple[Axis, ...]]) -> Iterator[Rule]:
    """Rules of axes as rules of their sub-axes, which together order as the axis would; copies lie along inner ones."""
    for rule in rules:
        own = parts[rule.axis]
        if len(own) > 1 and any(orders.is_unequal(order) for _, order in rule.orders):
            raise Refused(_unequal(rule, own))
        for i, part in enumerate(own):
            inner = prod(each.size for each in own[i + 1 :]) // rule.replicate
            if not inner:
                yield replace(rule, axis=part.name, cuts=(), orders=(), replicate=1)
                continue
            ordered = ((name, orders.refined(order, i == 0, inner)) for name, order in rule.orders)
            kept = tuple((name, order) for name, order in ordered if order != orders.CONTIGUOUS)
            yield replace(rule, axis=part.name, orders=kept, replicate=1)
