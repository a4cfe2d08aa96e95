"""Pools of a strategy's file: disjoint sets of GPUs, in order of ids, each with its own mesh, and what runs where.

pools:
  attention: {mesh: {dp: 8}}
  experts:   {mesh: {ep: gpus}, idle: allowed}      # idle: nothing need be placed on it
place:                                              # later entries win
  - {at: "*",         on: attention}
  - {at: "*.experts", on: experts}                  # when: "seq_len > 4096": only at such sizes (`regimes`)
  - {at: "*.core", on: attention, phase: decode}    # only in the program of that phase (`phases`)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from ..diagnostics import Diagnostic, nearest
from ..ir.plan import Placing, PoolAxes
from .folds import Fold, Folds
from .parsed import Parsed, shown
from .regimes import When
from .schema import Strict
from .strategy_values import AxisName, Parts, Places


class PoolText(Strict):
    """GPUs with a mesh of their own."""

    mesh: Annotated[dict[AxisName, Parts], Field(max_length=16)]
    """Axes with sizes, outermost first; `gpus`: what is left of the GPUs."""
    idle: Literal["allowed"] | None = None
    """Nothing need be placed on it."""
    folds: Folds = {}
    """Further meshes over the same GPUs."""


class PlaceText(Strict):
    """Modules and the pool they run on."""

    at: Places
    """Paths of modules, such as *.experts."""
    on: str
    """The pool."""
    when: When | None = None
    """Only at such sizes."""
    phase: Literal["prefill", "decode"] | None = None
    """Only in the program of that phase."""


Pools = Annotated[dict[AxisName, PoolText], Field(max_length=64)]
PlaceList = Annotated[list[PlaceText], Field(max_length=1000)]
RESERVED = ("all", "host")


def axes_of(pools: dict[str, PoolText]) -> dict[str, int | None]:
    """The axes of all pools. One that several pools have is sized alike in all (`problems`)."""
    return {axis: size for pool in pools.values() for axis, size in pool.mesh.items()}


def folds_of(folds: Folds, over: tuple[str, ...], parsed: Parsed, *at: str) -> tuple[Fold, ...]:
    """The folds that stand there in the file, over a mesh of these axes."""
    return tuple(Fold(name, over, tuple(axes), parsed.where(*at, "folds", name)) for name, axes in folds.items())


def problems(pools: dict[str, PoolText], places: list[PlaceText], parsed: Parsed) -> Iterator[Diagnostic]:
    """What does not fit together: names, sizes of shared axes, pools that are not there."""
    sizes = axes_of(pools)
    for name, pool in pools.items():
        if name in RESERVED:
            yield Diagnostic("rule", f"a pool cannot be called {name}", parsed.where("pools", name))
        for axis, size in pool.mesh.items():
            if size != sizes[axis]:
                where = parsed.where("pools", name, "mesh", axis)
                yield Diagnostic("mesh", f"axis {axis} has two sizes", where, "one size in all pools that have it")
    for i, place in enumerate(places):
        if place.on not in pools:
            hint = nearest(place.on, pools) if pools else "there are no pools"
            yield Diagnostic("rule", f"unknown pool {shown(place.on)}", parsed.where("place", i, "on"), hint=hint)


def pools_of(pools: dict[str, PoolText], parsed: Parsed) -> tuple[PoolAxes, ...]:
    """The pools, in order of their GPUs."""
    return tuple(
        PoolAxes(name, tuple(pool.mesh), pool.idle is not None, parsed.where("pools", name))
        for name, pool in pools.items()
    )


def places_of(places: list[PlaceText], parsed: Parsed) -> tuple[Placing, ...]:
    """What runs where, later entries last."""
    wheres = (parsed.where("place", i) for i in range(len(places)))
    return tuple(
        Placing(p.at, p.on, where, p.when or "", p.phase or "") for p, where in zip(places, wheres, strict=True)
    )
