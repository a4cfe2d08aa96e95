"""Rules of a house and deployments → which are obeyed, overridden by the paper, or wrong in general and why.

    no tensor parallelism inside experts    overridden by the paper (line 22): baseline tp=8,pp=2: tp = 8 cuts ffn at …
    EP degree must be at least 16           wrong in general: no law …; here obeyed
    never split layer norms                 obeyed

Those that are not wrong bind the choices that dagc makes: of several readings of a paper the first that obeys most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .frontends.model import Model
from .frontends.paper.facts import Point, Remark, Source, Verdict
from .frontends.paper.knowledge.rules import HouseRule
from .ir.demand import Kind
from .job import Job
from .passes.demands import Breach, Setting, applies, breaches

OBEYED, OVERRIDDEN, BROKEN = "obeyed", "overridden by the paper", "not obeyed"
WRONG, SILENT, UNKNOWN = "wrong in general", "says nothing of these deployments", "not understood"


@dataclass(frozen=True)
class Broken:
    """A rule that a deployment breaks, and by what."""

    rule: HouseRule
    job: Job
    by: Sequence[Breach]

    def __str__(self) -> str:
        more = f" (and {len(self.by) - 1} more)" if len(self.by) > 1 else ""
        return f"{self.job.role} {self.job.name}: {self.by[0].text}{more}"


def binding(rules: Iterable[HouseRule]) -> list[HouseRule]:
    """The rules that bind dagc's choices: all that demand something of plans and are not wrong in general."""
    return [rule for rule in rules if rule.demands and not rule.wrong and not rule.codes]


def profile(rules: Iterable[HouseRule]) -> tuple[str, ...]:
    """The rules of drawn graphs that a house states itself: `dagc lint --select …`."""
    return tuple(sorted({code for rule in rules for code in rule.codes}))


def broken(rules: Iterable[HouseRule], jobs: Sequence[Job]) -> list[Broken]:
    """What deployments break of these rules, rule by rule."""
    found = ((rule, job, _breaches(rule, job)) for rule in rules for job in jobs)
    return [Broken(rule, job, by) for rule, job, by in found if by]


@dataclass(frozen=True)
class Pick:
    """An option of a point at which a paper can be read in two ways, and the rules for whose sake it is taken."""

    point: Point
    option: str
    rules: tuple[HouseRule, ...]

    @property
    def why(self) -> str:
        """`a rule of the house demands it (rules.md:4)`"""
        return f"a rule of the house demands it ({', '.join(str(rule.source) for rule in self.rules)})"


def picks(
    points: Iterable[Point], rules: Iterable[HouseRule], jobs_of: Callable[[Mapping[str, str]], Sequence[Job]]
) -> list[Pick]:
    """Of points that neither the paper nor the user settles: options that break fewer of the rules that bind than what
    dagc would take. `jobs_of` gives the deployments that some answers make.
    """
    bind, found, answers = binding(rules), [], {}
    for point in points if bind else ():
        usual = broken(bind, jobs_of(answers))
        ways = {point.chosen: usual}
        for name in (option.name for option in point.options if usual and option.name != point.chosen):
            jobs = jobs_of({**answers, point.id: name})
            if jobs and all(job.plan for job in jobs):
                ways[name] = broken(bind, jobs)
        best = min(ways, key=lambda name: len(ways[name]))
        if best != point.chosen:
            answers[point.id] = best
            mended = dict.fromkeys(each.rule for each in usual if each.rule not in [e.rule for e in ways[best]])
            found.append(Pick(point, best, tuple(mended)))
    return found


def ruled(
    rules: Iterable[HouseRule], jobs: Sequence[Job], stated: Mapping[str, tuple[Source, ...]] | None = None
) -> list[Remark]:
    """A remark on each rule, once where several files state it. `stated`: where the paper states a deployment, by what
    its strategy is called.
    """
    alike: dict[str, list[HouseRule]] = {}
    for rule in rules:
        alike.setdefault(rule.text.casefold(), []).append(rule)
    return [_remark(each, jobs, stated or {}) for each in alike.values()]


def _remark(rules: Sequence[HouseRule], jobs: Sequence[Job], stated: Mapping[str, tuple[Source, ...]]) -> Remark:
    breaks = broken(rules[:1], jobs)
    verdict, says = _verdict(rules[0], jobs, breaks, stated)
    sources = (*(rule.source for rule in rules), *(_lines(breaks, stated) if verdict != WRONG else ()))
    text = f"{verdict}: {says}" if says else verdict
    return Remark(Verdict.RULE, rules[0].text, text, sources, "; ".join(map(str, breaks)))


def _lines(breaks: Iterable[Broken], stated: Mapping[str, tuple[Source, ...]]) -> list[Source]:
    """For each deployment the first line that states it."""
    return list(dict.fromkeys(source for each in breaks for source in stated.get(each.job.asked, ())[:1]))


def _verdict(
    rule: HouseRule, jobs: Sequence[Job], breaks: list[Broken], stated: Mapping[str, tuple[Source, ...]]
) -> tuple[str, str]:
    if not rule.demands:
        return UNKNOWN, "dagc knows no such rule, and leaves it to its readers"
    if rule.wrong:
        return WRONG, "; ".join((rule.wrong, *_here(rule, jobs, breaks)))
    if rule.codes:
        return OBEYED, f"{', '.join(rule.codes)} of the rules of drawn graphs, against which every graph is held"
    if not any(_applies(rule, job) for job in jobs):
        return SILENT, ""
    if not breaks:
        return OBEYED, ""
    if all(stated.get(each.job.asked) for each in breaks):
        return OVERRIDDEN, f"{' and '.join(map(str, _lines(breaks, stated)))}: the paper has it so"
    return BROKEN, "no reading of the paper obeys it"


def _here(rule: HouseRule, jobs: Sequence[Job], breaks: list[Broken]) -> Iterator[str]:
    """Whether deployments obey a rule although it is wrong."""
    if any(_applies(rule, job) for job in jobs):
        yield f"broken here by {', '.join(each.job.name for each in breaks)}" if breaks else "obeyed here"


def _breaches(rule: HouseRule, job: Job) -> tuple[Breach, ...]:
    if job.plan is None:
        return ()
    found = (breach for demand in rule.demands for breach in breaches(demand, job.plan, _setting(job)))
    return tuple(dict.fromkeys(found))


def _applies(rule: HouseRule, job: Job) -> bool:
    plans = (demand for demand in rule.demands if demand.kind not in (Kind.LAW, Kind.DRAWN))
    return job.plan is not None and any(applies(demand, _setting(job)) for demand in plans)


def _setting(job: Job) -> Setting:
    model = job.model
    experts = model.moe.experts if model.moe else 0
    return Setting(tuple(_places(model)), len(model.layers), experts, job.cluster.gpus_per_node, str(job.phase))


def _places(model: Model) -> Iterator[str]:
    yield from ("attention", "cache", "norms")
    if model.moe:
        yield from ("experts", "gate")
    if model.moe and model.moe.shared:
        yield "shared experts"
    if model.dense:
        yield "ffn"
    if model.vocab:
        yield "vocabulary"
