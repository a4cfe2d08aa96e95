"""Strategies, resolved: what a user names becomes a Plan with every axis sized.

>>> resolve("tp=8,pp=2", gpus=16).axes
(Axis(name='pp', size=2), Axis(name='tp', size=8))
>>> resolve("ep", gpus=16, mesh="tp=2").axes
(Axis(name='ep', size=8), Axis(name='tp', size=2))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..diagnostics import Diagnostic, Refused
from ..ir.plan import Axis, Fit, Plan, Stages
from ..ir.slots import Slots
from .folds import unfolded
from .parsed import shown
from .sizing import sized
from .slots_text import cut_as_placed
from .stages_text import stage_layers
from .strategy_choice import Choice, choose
from .strategy_file import Strategy, builtin_names, builtin_strategy


def resolve(
    text: str,
    *,
    gpus: int | None,
    mesh: str | None = None,
    stages: str | None = None,
    micro_batches: int | None = None,
    token_chunks: int | None = None,
    inline: Mapping[str, object] | None = None,
    base: Path | None = None,
    alternative: str = "",
    as_written: bool = False,
) -> Plan:
    """The plan that a strategy's name, file or mesh stands for, on so many GPUs (None: as many as its mesh has).

    `mesh` sizes axes and adds strategies; `stages` replaces the cut of the layers, `micro_batches` and `token_chunks`
    how many of these there are;
    `inline` are the strategies that a description holds; file names are looked for under `base`; of `alternatives` the
    one of this name is meant, or the first; `as_written`: also where that is another function than the model's. Refused
    with what would work.
    """
    where = shown(text, quoted=False)
    ways = choose(text, mesh, inline or {}, base).ways
    choice = ways[alternative or next(iter(ways))]
    _check_sized(choice, where)
    cut = _stages(choice, stages, where)
    if cut is not None and gpus is None:
        cut = _opened(choice, cut)
    runs = micro_batches or _stated(choice, "micro_batches", where)
    axes = sized(choice.components, gpus, where)
    if cut is not None:
        _check_listed(cut, axes, where)
    slots = _slots(choice, where)
    rules = (rule for component in choice.components for rule in component.strategy.rules)
    made = Plan(
        name=choice.name,
        axes=axes,
        rules=cut_as_placed(rules, slots),
        stages=cut,
        stores=tuple(rule for component in choice.components for rule in component.strategy.stores),
        unpaid=tuple(rule for component in choice.components for rule in component.strategy.unpaid),
        as_written=as_written,
        about="; ".join(c.strategy.about for c in choice.components if c.strategy.about),
        where=choice.components[0].strategy.where,
        slots=slots,
        micro_batches=runs or 1,
        divisible=runs is None,
        token_chunks=token_chunks or _stated(choice, "token_chunks", where) or 1,
        pools=choice.components[0].strategy.pools,
        places=choice.components[0].strategy.places,
    )
    folds = tuple(fold for component in choice.components for fold in component.strategy.folds)
    if not folds and all(rule.replicate == 1 for rule in made.rules):
        return made
    return unfolded(made, folds, dict(axis for c in choice.components for axis in c.axes))


def alternatives(
    text: str, mesh: str | None = None, inline: Mapping[str, object] | None = None, base: Path | None = None
) -> tuple[str, ...]:
    """The names of the ways that a strategy lists; one without a name where it lists none."""
    return tuple(choose(text, mesh, inline or {}, base).ways)


def has_stages(text: str, mesh: str | None, inline: Mapping[str, object]) -> bool:
    """Does what is named cut the layers into stages?"""
    return any(component.strategy.stages for component in choose(text, mesh, inline, None).components)


def strategies() -> list[Strategy]:
    """Every strategy that comes with dagc."""
    return [builtin_strategy(name) for name in builtin_names()]


def _check_sized(choice: Choice, where: str) -> None:
    """Refused where an axis is sized that an alternative does not have."""
    for component in choice.components:
        known = dict(component.strategy.axes)
        if missing := [axis for axis in component.sizes if axis not in known]:
            problem = f"{component.strategy.alternative} has no axis {missing[0]}"
            raise Refused(Diagnostic("mesh", problem, where, ", ".join(known), ", ".join(component.sizes)))


def _stated(choice: Choice, runs: str, where: str) -> int | None:
    """How many micro-batches, or token chunks, a strategy of a product states."""
    stated = {count for c in choice.components if (count := getattr(c.strategy, runs))}
    if len(stated) > 1:
        name = runs.replace("_", "-")
        problem = f"strategies of the product state {' and '.join(map(str, sorted(stated)))} {name}"
        raise Refused(Diagnostic(name, problem, where, "one number", hint=f"say which: --{name} N"))
    return next(iter(stated), None)


def _slots(choice: Choice, where: str) -> Slots | None:
    """What one strategy of a product says of the experts' slots."""
    found = [c.strategy.slots for c in choice.components if c.strategy.slots]
    if len(found) > 1:
        problem = f"{len(found)} strategies say which experts GPUs hold"
        raise Refused(Diagnostic("slots", problem, where, "at most one", hint="remove one of them"))
    return found[0] if found else None


def _stages(choice: Choice, text: str | None, where: str) -> Stages | None:
    """The one pipeline of a product, cut as `text` says if it does."""
    found = [c.strategy.stages for c in choice.components if c.strategy.stages]
    if len(found) > 1:
        problem = f"{len(found)} strategies cut the layers into stages"
        raise Refused(Diagnostic("stages", problem, where, "at most one", hint="remove one of them"))
    if found:
        return found[0] if text is None else replace(found[0], layers=stage_layers(text), where=f"--stages {text}")
    if text is None:
        return None
    hint = "add a pipeline, such as --mesh pp=2"
    raise Refused(Diagnostic("stages", "--stages is given, but the strategy has no stages", where, hint=hint))


def _opened(choice: Choice, stages: Stages) -> Stages:
    """Stages that a capacity decides need no number of GPUs: an axis without a size gets one, to be found later."""
    owner, fit = next(c for c in choice.components if c.strategy.stages), stages.layers
    if not isinstance(fit, Fit) or fit.by != "bytes" or fit.how == "balanced" or dict(owner.axes)[stages.axis]:
        return stages
    owner.sizes[stages.axis] = 1
    return replace(stages, layers=replace(fit, opened=True))


def _check_listed(stages: Stages, axes: tuple[Axis, ...], where: str) -> None:
    count = next(axis.size for axis in axes if axis.name == stages.axis) * stages.chunks
    if isinstance(stages.layers, tuple) and len(stages.layers) != count:
        chunked = f" × {stages.chunks} chunks" if stages.chunks > 1 else ""
        problem = f"{len(stages.layers)} stages are listed, but {stages.axis}{chunked} = {count}"
        listed = ", ".join(map(str, stages.layers[:20]))
        raise Refused(Diagnostic("stages", problem, stages.where or where, f"{count} counts of layers", listed))
