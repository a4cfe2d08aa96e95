"""Baseline and proposals of a paper, recognised by mechanism, as strategies; and what is to be said of them.

    two_level.md    baseline  tp=8,pp=2
                    proposed  heads over hg = 8, the features of each head over ds = 2: a body, of four alternatives
    large_ep.md     baseline  tp=8,pp=2
                    proposed  ep=16

`recognising` weighs clues, `baselines` reads degrees, `parameters` and `options` give values, `readings` takes one of
several readings, `drafts` writes the strategy, `claims` says what does not hold or was left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..document import Document, Part
from ..facts import Fact, How, Method, Point, Remark, Source, Value, Verdict
from ..methods import conflicts
from ..settling.deciding import degrees_of
from .baselines import baselines, comparing, gpus_of, usual, written
from .bodies import sizes_of
from .claims import claims_of
from .combining import beside, combined
from .drafts import Draft
from .known import known_of
from .naming import name_of
from .options import options_of
from .parameters import Parameter, parameters_of
from .readings import check_picked, points_of, remark_of, taken
from .recognising import Evidence, recognised, weighed
from .statements import Role, Statement, statements_of

OWN = (Role.PROPOSED, Role.NEUTRAL)
_PLAIN = ("tp", "pp", "dp")
_NEAREST = 3
_USUAL = "none is named: tensor parallel inside a node, pipeline parallel across"


@dataclass
class Found:
    """The methods of a paper, the baseline first, what is to be said, and the points that can be read otherwise."""

    methods: list[Method] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    """What the methods imply of sizes: the phase that they are of."""


def methods_of(
    document: Document, facts: Sequence[Fact], picked: Mapping[str, str] | None = None
) -> tuple[list[Method], list[Remark]]:
    """All methods that a paper deploys, the baseline first. Of a method that is not known, a remark says so."""
    found = found_in(document, facts, picked)
    return found.methods, found.remarks


def found_in(document: Document, facts: Sequence[Fact], picked: Mapping[str, str] | None = None) -> Found:
    """Methods, remarks and points; `picked` are answers to points (`--reading`). Refused where there is no such."""
    statements, known = statements_of(document), known_of(facts)
    compared, said = baselines(statements, known)
    statements = comparing(statements, compared)
    known = known_of(facts, degrees_of(compared))
    known = {"gpus": gpus_of(compared[0]), **known} if compared and "gpus" not in known else known
    found = _proposals(document, statements, known, compared, picked or {})
    check_picked(picked or {}, found.points)
    if not compared and not found.methods:
        compared = usual(known)
        said = [*said, *([Remark(Verdict.ASSUMED, "baseline", _USUAL)] if compared else [])]
    elif not compared:
        compared, more = _unnamed(statements, found.methods)
        said = [*said, *more]
    return Found([*compared, *found.methods], [*said, *found.remarks], found.points, found.facts)


def _proposals(
    document: Document,
    statements: Sequence[Statement],
    known: Mapping[str, Value],
    compared: Sequence[Method],
    picked: Mapping[str, str],
) -> Found:
    found = Found()
    for evidence in recognised(statements, OWN, known):
        if evidence.mechanism.name not in _PLAIN:
            found.remarks += [] if evidence.enough else [_likely(evidence)]
            _add(found, _draft(document, evidence, statements, known), statements, picked)
    if not found.methods:
        found.methods += combined(written(statements, *OWN), known, compared)
    if not found.methods:
        found.remarks.append(_unknown(statements))
    return found


def _draft(
    document: Document, evidence: Evidence, statements: Sequence[Statement], known: Mapping[str, Value]
) -> Draft:
    mechanism = evidence.mechanism
    parameters = tuple(parameters_of(mechanism, statements, known).values())
    values = {**known, **{p.name: p.value for p in parameters}, **options_of(mechanism, statements)}
    template, name = mechanism.body or mechanism.strategy, name_of(document, mechanism)
    return beside(Draft(name, mechanism, template, values, parameters, evidence.sources), written(statements, *OWN))


def _add(found: Found, draft: Draft, statements: Sequence[Statement], picked: Mapping[str, str]) -> None:
    """What a draft becomes: a method, or a remark that says what it lacks."""
    points = points_of(draft, statements, picked)
    draft, fixed = conflicts.settled(taken(draft, points))
    if draft.lacking:
        text = f"{draft.mechanism.name} ({draft.mechanism.about}): nothing gives {', '.join(draft.lacking)}"
        found.remarks.append(Remark(Verdict.MISSING, draft.mechanism.name, text, draft.sources[:4]))
        return
    found.methods.append(draft.method())
    found.points += points
    found.facts += _phases(draft)
    found.remarks += [_said(draft, p) for p in draft.parameters if p.how is not How.STATED]
    found.remarks += [*fixed, *map(remark_of, points), *claims_of(draft, statements)]


def _phases(draft: Draft) -> Iterator[Fact]:
    for phase in draft.mechanism.phases:
        why = f"{draft.mechanism.name} is of {' and '.join(draft.mechanism.phases)}"
        source = next(iter(draft.sources), Source(0, ""))
        yield Fact("phase", phase, source, part=Part.SETUP, how=How.DERIVED, why=why)


def _said(draft: Draft, parameter: Parameter) -> Remark:
    verdict = Verdict.DERIVED if parameter.how is How.DERIVED else Verdict.ASSUMED
    text = f"{draft.mechanism.name}: {parameter.name} = {parameter.value}"
    return Remark(verdict, parameter.name, text, arithmetic=parameter.why)


def _likely(evidence: Evidence) -> Remark:
    about = f"{evidence.mechanism.name} ({evidence.mechanism.about})"
    text = f"the method is taken for {about}: little is said of how it works"
    return Remark(Verdict.CHOSEN, "method", text, evidence.sources[:4], instead=("another: --strategy",))


def _unnamed(statements: Sequence[Statement], proposed: Sequence[Method]) -> tuple[list[Method], list[Remark]]:
    """Degrees that no word calls the baseline's, of axes that no proposal is: what the paper compares with."""
    own = [(sizes_of(method) or {}).items() for method in proposed]
    others = [one for one in written(statements, *OWN) if not any(one.sizes.items() <= sizes for sizes in own)]
    plain = [one for one in others if set(one.sizes) <= set(_PLAIN) and max(one.sizes.values()) > 1]
    if plain and all(method.mechanism != "degrees" for method in proposed):
        text = f"{plain[0].text} is taken for the baseline: the paper does not call it so"
        method = Method("baseline", "baseline", plain[0].text, (plain[0].source,), mechanism="degrees")
        return [method], [Remark(Verdict.CHOSEN, "baseline", text, (plain[0].source,))]
    return [], [Remark(Verdict.ASSUMED, "baseline", _USUAL)]


def _unknown(statements: Sequence[Statement]) -> Remark:
    """What is said where no mechanism of the table is found: the nearest ones, and what to write."""
    near = weighed(statements, OWN)[:_NEAREST]
    nearest = tuple(f"--strategy {one.mechanism.name}: {one.mechanism.about}" for one in near)
    sources: tuple[Source, ...] = tuple(source for one in near for source in one.sources[:1])
    text = (
        "no mechanism that dagc knows is described; write the method as a strategy file (mesh, rules: which axis cuts "
        "which dimension where; `dagc strategies NAME` prints one to copy) and name it with --strategy"
    )
    return Remark(Verdict.MISSING, "method", text, sources, "", nearest)
