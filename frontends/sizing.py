"""Gives every axis of a mesh its size, in order, and refuses meshes that do not multiply to the GPUs.

ep open, tp = 2, 16 GPUs   →   ep = 8, tp = 2
tp = 3, pp = 2,  16 GPUs   →   refused (OUT6): 3 × 2 = 6; what would work
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod

from ..diagnostics import Diagnostic, Refused
from ..ir.plan import Axis
from .consistency import divisors
from .strategy_choice import Component
from .strategy_values import MAX_PARTS

ORDER = (
    *("pp", "dp", "fsdp", "dwdp", "ep", "cp", "hg", "ds", "sp", "depth", "row", "col", "i", "j", "l"),
    *("tpa", "kvp", "tp", "etp"),
)
"""Axes of products, outermost first: tensor parallel inside a node, pipeline stages across (Megatron's order)."""

Meshes = tuple[tuple[str, ...], ...]
"""The axes of every pool."""


def sized(components: list[Component], gpus: int | None, where: str) -> tuple[Axis, ...]:
    """All axes of a product but those of folds, outermost first. Refused where the sizes cannot be or are not those of
    the GPUs.
    """
    folded = {axis for component in components for axis in component.strategy.folded}
    axes = [(name, size) for name, size in _ordered(components) if name not in folded]
    opened = [name for name, size in axes if size is None]
    if len(opened) > 1 or (opened and gpus is None):
        raise Refused(_undetermined(opened, where))
    if gpus is not None and not 1 <= gpus <= MAX_PARTS:
        raise Refused(Diagnostic("mesh", f"there cannot be {gpus} GPUs", where, f"1 to {MAX_PARTS}", str(gpus)))
    meshes = _meshes(components, where)
    if opened and gpus is not None:
        each, others = gpus_of(meshes, dict(axes))
        if gpus <= others or (gpus - others) % each:
            raise Refused(_not_filled(axes, opened[0], gpus, (each, others), where))
        axes = [(name, size or (gpus - others) // each) for name, size in axes]
    found = tuple(Axis(name, size) for name, size in axes if size)
    _check_total(found, meshes, gpus, where)
    return found


def gpus_of(meshes: Meshes, sizes: Mapping[str, int | None]) -> tuple[int, int]:
    """How many GPUs the meshes take per part of the open axis, and how many besides.

    >>> gpus_of((("dp", "tp"), ("ep",)), {"dp": 4, "tp": 2, "ep": None})
    (1, 8)
    """
    counts = [(prod(sizes[axis] or 1 for axis in mesh), any(sizes[axis] is None for axis in mesh)) for mesh in meshes]
    return sum(n for n, opened in counts if opened), sum(n for n, opened in counts if not opened)


def _meshes(components: list[Component], where: str) -> Meshes:
    """The axes of every pool; a product is one mesh. Refused where a strategy with pools is multiplied."""
    if len(components) == 1:
        return components[0].strategy.meshes
    if pooled := next((c.strategy for c in components if c.strategy.pools), None):
        problem, names = f"{pooled.name} has pools with meshes of their own", ", ".join(a for a, _ in pooled.axes)
        hint = f"size its axes ({names}), or write a strategy whose pools have more"
        raise Refused(Diagnostic("mesh", problem + ", and is no factor of a product", where, hint=hint))
    return (tuple(axis for component in components for mesh in component.strategy.meshes for axis in mesh),)


def _ordered(components: list[Component]) -> list[tuple[str, int | None]]:
    """Axes of dagc's own strategies in `ORDER`; those of a user's file stay together, in the order of the file."""
    blocks: list[tuple[tuple[str, int | None], ...]] = []
    for component in components:
        blocks += [(axis,) for axis in component.axes] if component.strategy.builtin else [component.axes]
    blocks.sort(key=lambda block: min((ORDER.index(name) for name, _ in block if name in ORDER), default=0))
    return [axis for block in blocks for axis in block]


def _check_total(axes: tuple[Axis, ...], meshes: Meshes, gpus: int | None, where: str) -> None:
    _, total = gpus_of(meshes, {axis.name: axis.size for axis in axes})
    if total > MAX_PARTS:
        raise Refused(Diagnostic("mesh", "the mesh is too large", where, f"at most {MAX_PARTS} GPUs", str(total)))
    if gpus is not None and total != gpus:
        raise Refused(_idle(axes, gpus, total, where) if len(meshes) == 1 else _idle_pools(axes, meshes, gpus, where))


def _undetermined(opened: list[str], where: str) -> Diagnostic:
    if len(opened) == 1:
        problem, hint = f"axis {opened[0]} has no size", f"give the number of GPUs (--gpus N), or --mesh {opened[0]}=N"
        return Diagnostic("mesh", problem, where, hint=hint)
    sizes = ",".join(f"{name}=N" for name in opened[1:])
    problem = f"axes {', '.join(opened)} have no size; the GPUs can fill only one"
    return Diagnostic("mesh", problem, where, hint=f"give the others a size: --mesh {sizes}")


def _not_filled(
    axes: list[tuple[str, int | None]], name: str, gpus: int, per: tuple[int, int], where: str
) -> Diagnostic:
    rest, others = per
    fixed = " × ".join(f"{axis}={size}" for axis, size in axes if size)
    near = ", ".join(str(n + others) for k in (0, 1) if (n := ((gpus - others) // rest + k) * rest) > 0)
    if others:
        problem = f"{gpus} GPUs cannot be shared out over axis {name}: {others} are in pools without it"
        expected = f"{others} GPUs and a multiple of {rest}"
        hint = f"use {near} GPUs, or give those pools fewer (--mesh)"
        return Diagnostic("mesh", problem, where, expected, str(gpus), hint)
    problem = f"{gpus} GPUs cannot be shared out over axis {name}: {fixed} does not divide them"
    hint = f"use {near} GPUs, or sizes whose product divides {gpus} ({divisors(gpus)})"
    return Diagnostic("mesh", problem, where, f"a multiple of {rest} GPUs", str(gpus), hint)


def _idle_pools(axes: tuple[Axis, ...], meshes: Meshes, gpus: int, where: str) -> Diagnostic:
    """OUT6 where several pools have not the GPUs."""
    sizes = {axis.name: axis.size for axis in axes}
    total = sum(prod(sizes[axis] for axis in mesh) for mesh in meshes)
    written = " + ".join(" × ".join(f"{axis}={sizes[axis]}" for axis in mesh) for mesh in meshes)
    left = f"{gpus - total} GPUs would be idle" if total < gpus else f"{total - gpus} parts would have no GPU"
    problem, hint = f"the pools have {total} GPUs of {gpus}: {left}", f"use --gpus {total}, or size an axis with --mesh"
    return Diagnostic("OUT6", problem, where, f"pools of {gpus} GPUs", f"{written} = {total}", hint)


def _idle(axes: tuple[Axis, ...], gpus: int, total: int, where: str) -> Diagnostic:
    """OUT6: too few parts leave GPUs idle, too many have no GPU."""
    left = f"{gpus - total} GPUs would be idle" if total < gpus else f"{total - gpus} parts would have no GPU"
    working = list(dict.fromkeys(_working(axes, gpus, total)))
    expected = f"a mesh of {gpus} GPUs" + (f", such as {' or '.join(working[:4])}" if working else "")
    actual = " × ".join(f"{axis.name}={axis.size}" for axis in axes) + (f" = {total}" if len(axes) > 1 else "")
    hint = f"use --gpus {total}, or one of these meshes" if working else f"use --gpus {total}"
    return Diagnostic("OUT6", f"the mesh has {total} parts for {gpus} GPUs: {left}", where, expected, actual, hint)


def _working(axes: tuple[Axis, ...], gpus: int, total: int) -> Iterator[str]:
    """Meshes near this one that use all GPUs: one axis changed, or data parallel copies added."""
    for i, axis in enumerate(axes):
        rest = total // axis.size
        if gpus % rest == 0:
            yield _text((*axes[:i], replace(axis, size=gpus // rest), *axes[i + 1 :]))
    if gpus % total == 0 and "dp" not in (axis.name for axis in axes):
        yield _text((Axis("dp", gpus // total), *axes))


def _text(axes: tuple[Axis, ...]) -> str:
    return ",".join(f"{axis.name}={axis.size}" for axis in axes)
