"""Methods that are impossible as written → the nearest that are possible, with what changes and what else would do.

    tp=12 on 12 GPUs, 32 heads     fixed: tp=4,pp=3   axis tp does not divide heads = 32 into 12 equal parts
                                   instead: tp=4,dp=3; --gpus 16

Whether a plan is possible is what dagc's planner says of it (a `Judge`, handed in: this knows no compiler).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ....diagnostics import Diagnostic, Refused
from ..facts import Fact, Method, Option, Point, Remark, Source, Verdict
from .candidates import Candidate, candidates, indivisible
from .readings import FLAG, REPAIR, known

BALANCED = 1.10
"""Largest/mean load up to which a plan counts as balanced."""
_COUNTED = ("capacity", "OUT6", "mesh", "stages", "slots")
_TRIED = 24
_OTHERS = 3


@dataclass(frozen=True)
class Trial:
    """What is wrong with a deployment; where nothing is, the largest/mean load of its GPUs."""

    problems: tuple[Diagnostic, ...]
    imbalance: float = 1.0


Judge = Callable[[Mapping[str, object]], Trial]
"""Says of a description with one strategy whether it can be deployed."""


@dataclass(frozen=True)
class Repaired:
    """A method that is possible, or the one that was asked for where nothing near it is; what is said; the point."""

    method: Method
    remarks: tuple[Remark, ...] = ()
    point: Point | None = None


def repaired(
    method: Method,
    setting: Mapping[str, object],
    judge: Judge,
    facts: Sequence[Fact] = (),
    picked: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Repaired:
    """The method if it is possible in a setting (models, cluster, sizes), else the nearest one that is.

    `picked` chooses among repairs (`--reading repair=…`). Refused instead, with all that is wrong, if `strict`.
    """
    trial = judge(description_of(method, setting))
    if not trial.problems:
        return Repaired(method)
    if strict:
        raise Refused(*trial.problems)
    legal = _legal(candidates(method, trial.problems, _gpus(setting)), setting, judge)
    if not legal:
        return Repaired(method, (_impossible(method, trial, facts),))
    point = _point(method, legal, picked or {})
    chosen = next(one for one in legal if one.name == point.chosen)
    drawn = replace(chosen.method, written=method.name)
    return Repaired(drawn, (_fixed(method, chosen, legal, trial, facts),), point)


def description_of(method: Method, setting: Mapping[str, object]) -> dict[str, object]:
    """The setting with this method and no baseline."""
    strategy = {method.strategy: method.body} if method.body is not None else method.strategy
    return {**setting, "baseline": "none", "strategies": [strategy]}


def _legal(near: Sequence[Candidate], setting: Mapping[str, object], judge: Judge) -> list[Candidate]:
    """Those that are possible, the balanced ones first."""
    found: list[tuple[bool, Candidate]] = []
    for one in near[:_TRIED]:
        trial = judge(description_of(one.method, setting))
        if not trial.problems:
            found.append((trial.imbalance > BALANCED, one))
        if sum(not heavy for heavy, _ in found) > _OTHERS:
            break
    return [one for _, one in sorted(found, key=lambda pair: pair[0])][: _OTHERS + 1]


def _gpus(setting: Mapping[str, object]) -> int | None:
    cluster = setting.get("cluster")
    gpus = cluster.get("gpus") if isinstance(cluster, Mapping) else None
    return gpus if isinstance(gpus, int) else None


def _point(method: Method, legal: Sequence[Candidate], picked: Mapping[str, str]) -> Point:
    name = point_of(method)
    options = tuple(Option(one.name, one.about, f"{FLAG} {name}={one.name}") for one in legal)
    question = f"{method.strategy} is impossible as written; what is drawn for it?"
    point = Point(name, question, options, options[0].name, "the nearest that is possible", method.mechanism)
    return replace(point, chosen=known(picked[name], point), why="as asked for") if name in picked else point


def point_of(method: Method) -> str:
    """The name of the point at which one of a method's repairs is chosen."""
    return REPAIR if method.role == "proposed" else f"{REPAIR}-{method.role}"


def _fixed(
    method: Method, chosen: Candidate, legal: Sequence[Candidate], trial: Trial, facts: Sequence[Fact]
) -> Remark:
    others = tuple(f"{one.about}: {FLAG} {point_of(method)}={one.name}" for one in legal if one is not chosen)
    text = f"{method.strategy} is impossible as written ({trial.problems[0].problem}); drawn instead: {chosen.about}"
    sources = _sources(method, trial, facts)
    return Remark(Verdict.FIXED, method.name, text, sources, arithmetic_of(trial), (*others, *_of_setting(trial)))


def _impossible(method: Method, trial: Trial, facts: Sequence[Fact]) -> Remark:
    text = f"{method.strategy} is impossible as written, and so is what is near it: {trial.problems[0].problem}"
    return Remark(
        Verdict.FIXED, method.name, text, _sources(method, trial, facts), arithmetic_of(trial), hints_of(trial)
    )


def hints_of(trial: Trial) -> tuple[str, ...]:
    """What would mend it."""
    return tuple(dict.fromkeys((*_of_setting(trial), *(p.hint for p in trial.problems if p.hint))))


def arithmetic_of(trial: Trial) -> str:
    """The figures of what is wrong: `32 / 12 = 2.67 heads`, or what the planner counted."""
    worked = [f"{size} / {parts} = {size / parts:.4g} {name}" for _, name, size, parts in indivisible(trial.problems)]
    counted = [f"{p.actual}, {p.expected}" for p in trial.problems if p.code in _COUNTED and p.actual]
    return "; ".join(dict.fromkeys([*worked, *counted]))


def _of_setting(trial: Trial) -> Iterator[str]:
    """Repairs that change what is deployed, not how: other numbers of GPUs or sequences, what the planner hints at."""
    wrong = indivisible(trial.problems)
    for axis in dict.fromkeys(axis for axis, *_ in wrong):
        own = [(name, size, parts) for of, name, size, parts in wrong if of == axis]
        batches = [(size, parts) for name, size, parts in own if name == "batch_size"]
        for size, parts in batches:
            near = (parts * (size // parts), parts * -(-size // parts))
            yield from (f"a batch of {batch}: --batch-size {batch}" for batch in near if batch)
        if not batches:
            yield from _other_parts(axis, own)
    yield from (problem.hint for problem in trial.problems if problem.code == "capacity" and problem.hint)


def _other_parts(axis: str, own: Sequence[tuple[str, int, int]]) -> Iterator[str]:
    """The next smaller and the next larger number of parts that divides all, on other GPUs."""
    parts = own[0][2]
    works = [count for count in range(1, 2 * parts + 1) if all(size % count == 0 for _, size, _ in own)]
    for count in (max((n for n in works if n < parts), default=0), min((n for n in works if n > parts), default=0)):
        if count:
            each = ", ".join(f"{size} / {count} = {size // count} {name}" for name, size, _ in own)
            yield f"{axis}={count} on other GPUs ({each}): --mesh {axis}={count}"


def _sources(method: Method, trial: Trial, facts: Sequence[Fact]) -> tuple[Source, ...]:
    """The line of the method, and those of the numbers that do not go together."""
    keys = {"gpus", *(name for _, name, *_ in indivisible(trial.problems))}
    if any(problem.code == "capacity" for problem in trial.problems):
        keys |= {"cache", "memory"}
    stated = {fact.key: fact.source for fact in reversed(facts) if fact.key in keys}
    return tuple(dict.fromkeys((*method.sources[:1], *stated.values())))
