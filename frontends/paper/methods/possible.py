"""Which of a paper's methods are possible on its cluster, and on others that it tried.

    16 accelerators of 900 MB     layer-wise: possible; greedily cut 5 of them would be idle
    16 H100, 50 MB of L2 cache    layer-wise: one layer takes 268 MB: no cut fits, nothing is drawn that claims it

What is impossible is repaired (`repairing`); a `strict` reader refuses instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ....diagnostics import Diagnostic, Refused
from ..document import Document
from ..facts import Fact, Method, Point, Remark, Verdict
from ..settling.describing import CLUSTER_KEYS, cluster_of
from ..settling.scoping import platforms
from .finding import Found, found_in
from .readings import REPAIR
from .repairing import Judge, Trial, arithmetic_of, description_of, hints_of, repaired

Setting = Mapping[str, object]


def possible(
    found: Found,
    document: Document,
    facts: Sequence[Fact],
    setting: Setting,
    judge: Judge,
    picked: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Found:
    """The methods as they can be deployed in a setting (models, cluster, sizes), and what is said of that."""
    if strict:
        _check(found)
    outcomes = [repaired(method, setting, judge, facts, picked, strict) for method in found.methods]
    methods = [outcome.method for outcome in outcomes]
    remarks = [remark for outcome in outcomes for remark in outcome.remarks]
    remarks += [r for point in found.points for r in _options(point, document, facts, setting, judge, picked or {})]
    remarks += [r for method in methods if method.role == "proposed" for r in _elsewhere(method, facts, setting, judge)]
    points = [outcome.point for outcome in outcomes if outcome.point]
    return Found(methods, [*found.remarks, *remarks], [*found.points, *points], found.facts)


def _check(found: Found) -> None:
    """Refused where numbers of the paper do not go together."""
    wrong = [remark for remark in found.remarks if remark.verdict is Verdict.FIXED]
    if wrong:
        where = [", ".join(map(str, remark.sources)) for remark in wrong]
        pairs = zip(wrong, where, strict=True)
        raise Refused(
            *(Diagnostic("slots", r.text, at, actual=r.arithmetic, hint="; ".join(r.instead)) for r, at in pairs)
        )


def _options(
    point: Point, document: Document, facts: Sequence[Fact], setting: Setting, judge: Judge, picked: Mapping[str, str]
) -> Iterator[Remark]:
    """What is wrong with the options of a point that were not taken."""
    for option in point.options if point.tries else ():
        if option.name == point.chosen:
            continue
        other = found_in(document, facts, {**_answers(picked), point.id: option.name})
        method = next(method for method in other.methods if method.mechanism == point.of)
        trial = judge(description_of(method, setting))
        if trial.problems:
            text = (
                f"{option.name} ({option.about}) is not possible here: {trial.problems[0].problem}; {point.chosen} is"
            )
            yield Remark(Verdict.FLAG, point.id, text, method.sources[:1], arithmetic_of(trial), hints_of(trial))


def _answers(picked: Mapping[str, str]) -> dict[str, str]:
    return {name: option for name, option in picked.items() if not name.startswith(REPAIR)}


def _elsewhere(method: Method, facts: Sequence[Fact], setting: Setting, judge: Judge) -> Iterator[Remark]:
    """Why a method is not possible on another platform of the paper, as far as it is described."""
    _, others = platforms(facts)
    for name, own in others.items():
        cluster = cluster_of({fact.key: fact for fact in own if fact.key in CLUSTER_KEYS})
        if set(cluster) == {"gpus"}:  # the sizes of the method are for the cluster that is drawn
            continue
        kept = setting.get("cluster")
        there = {**setting, "cluster": {**(kept if isinstance(kept, dict) else {}), **cluster}}
        trial = judge(description_of(method, there))
        if trial.problems:
            yield _infeasible(method, name, own, trial)


def _infeasible(method: Method, platform: str, own: Sequence[Fact], trial: Trial) -> Remark:
    said = ", ".join(f"{fact.key} {fact.value:,}" if isinstance(fact.value, int) else str(fact.value) for fact in own)
    text = (
        f"{method.name} is not possible on the {platform} ({said}): {trial.problems[0].problem}; nothing is drawn there"
    )
    sources = tuple(dict.fromkeys(fact.source for fact in own))
    return Remark(Verdict.FLAG, platform, text, sources, arithmetic_of(trial), hints_of(trial))
