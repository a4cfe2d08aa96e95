"""Gives every axis of a mesh its size, in order, and refuses meshes that do not multiply to the GPUs.

ep open, tp = 2, 16 GPUs   →   ep = 8, tp = 2
tp = 3, pp = 2,  16 GPUs   →   refused (OUT6): 3 × 2 = 6; what would work
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

from ..diagnostics import Diagnostic, Refused
from ..ir.plan import Axis
from .consistency import divisors
from .strategy_choice import Component
from .strategy_file import MAX_PARTS

ORDER = ("pp", "dp", "fsdp", "dwdp", "ep", "cp", "hg", "ds", "sp", "depth", "row", "col", "i", "j", "l", "tp", "etp")
"""Axes of products, outermost first: tensor parallel inside a node, pipeline stages across (Megatron's order)."""


def sized(components: list[Component], gpus: int | None, where: str) -> tuple[Axis, ...]:
    """All axes of a product, outermost first. Refused where the sizes cannot be or are not those of the GPUs."""
    axes = _ordered(components)
    opened = [name for name, size in axes if size is None]
    if len(opened) > 1 or (opened and gpus is None):
        raise Refused(_undetermined(opened, where))
    if gpus is not None and not 1 <= gpus <= MAX_PARTS:
        raise Refused(Diagnostic("mesh", f"there cannot be {gpus} GPUs", where, f"1 to {MAX_PARTS}", str(gpus)))
    if opened and gpus is not None:
        rest = prod(size for _, size in axes if size)
        if gpus % rest:
            raise Refused(_not_filled(axes, opened[0], gpus, rest, where))
        axes = [(name, size or gpus // rest) for name, size in axes]
    found = tuple(Axis(name, size) for name, size in axes if size)
    _check_product(found, gpus, where)
    return found


def _ordered(components: list[Component]) -> list[tuple[str, int | None]]:
    """Axes of dagc's own strategies in `ORDER`; those of a user's file stay together, in the order of the file."""
    blocks: list[tuple[tuple[str, int | None], ...]] = []
    for component in components:
        blocks += [(axis,) for axis in component.axes] if component.strategy.builtin else [component.axes]
    blocks.sort(key=lambda block: min((ORDER.index(name) for name, _ in block if name in ORDER), default=0))
    return [axis for block in blocks for axis in block]


def _check_product(axes: tuple[Axis, ...], gpus: int | None, where: str) -> None:
    total = prod(axis.size for axis in axes)
    if total > MAX_PARTS:
        raise Refused(Diagnostic("mesh", "the mesh is too large", where, f"at most {MAX_PARTS} GPUs", str(total)))
    if gpus is not None and total != gpus:
        raise Refused(_idle(axes, gpus, total, where))


def _undetermined(opened: list[str], where: str) -> Diagnostic:
    if len(opened) == 1:
        problem, hint = f"axis {opened[0]} has no size", f"give the number of GPUs (--gpus N), or --mesh {opened[0]}=N"
        return Diagnostic("mesh", problem, where, hint=hint)
    sizes = ",".join(f"{name}=N" for name in opened[1:])
    problem = f"axes {', '.join(opened)} have no size; the GPUs can fill only one"
    return Diagnostic("mesh", problem, where, hint=f"give the others a size: --mesh {sizes}")


def _not_filled(axes: list[tuple[str, int | None]], name: str, gpus: int, rest: int, where: str) -> Diagnostic:
    fixed = " × ".join(f"{axis}={size}" for axis, size in axes if size)
    near = ", ".join(str(n) for n in (gpus // rest * rest, (gpus // rest + 1) * rest) if n)
    problem = f"{gpus} GPUs cannot be shared out over axis {name}: {fixed} does not divide them"
    hint = f"use {near} GPUs, or sizes whose product divides {gpus} ({divisors(gpus)})"
    return Diagnostic("mesh", problem, where, f"a multiple of {rest} GPUs", str(gpus), hint)


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
