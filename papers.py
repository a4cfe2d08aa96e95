"""A paper → what is read in it, and the deployments that it describes.

    document → facts → methods → one value for each key → YAML → experiments

The YAML is what `dagc read` writes and what `dagc lower PAPER` lowers: nothing reaches the compiler beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from .backends.folder import EXPERIMENT
from .diagnostics import Diagnostic, Refused
from .frontends.description import described
from .frontends.model import Experiment
from .frontends.paper.document import Document
from .frontends.paper.facts import Fact, Point, Reading, Remark, Verdict
from .frontends.paper.formats import document_of
from .frontends.paper.knowledge.filling import Filled, filling
from .frontends.paper.knowledge.folder import KnowledgeFile, knowledge_of
from .frontends.paper.knowledge.rules import HouseRule
from .frontends.paper.lexicon.finding import facts_of
from .frontends.paper.llm import Endpoint, Helped, helped
from .frontends.paper.methods.finding import Found, found_in
from .frontends.paper.methods.possible import possible
from .frontends.paper.methods.readings import remark_of
from .frontends.paper.settling.describing import in_order, methods_as
from .frontends.paper.settling.others import called, considered, same
from .frontends.paper.settling.settle import settle
from .frontends.paper.writing import yaml_of
from .frontends.yaml_reader import parse_yaml
from .job import Job, Request
from .planning import planned
from .ruling import picks, ruled
from .trying import tried

FILL = "its config.json, or a note with these numbers, in a folder: --knowledge DIR"
SETTING = ("models", "cluster", "sizes")
FORMATS = (".md", ".markdown", ".tex", ".txt", ".pdf")
"""What files of papers are called by."""


@dataclass(frozen=True)
class Asked:
    """How a paper is to be read. `picked`: answers to points at which it can be read in two ways (`--reading`);
    `knowledge`: a folder of what is known beside it; `endpoint`: a language model that helps.
    """

    picked: Mapping[str, str] = field(default_factory=dict)
    knowledge: Path | None = None
    endpoint: Endpoint | None = None
    strict: bool = False
    """Refuse what is impossible as written, rather than draw the nearest that is possible."""
    ask: Callable[[Point], str] | None = None
    """Chooses an option of a point that the paper leaves open (`--ask`)."""
    every: bool = False
    """Every other reading and repair beside the one that is taken (`--all-readings`)."""


def read(path: Path, asked: Asked) -> Reading:
    """Everything that is read in a paper. Refused where the file cannot be read, or describes no deployment."""
    document = document_of(path)
    files = knowledge_of(asked.knowledge, path) if asked.knowledge else ()
    reader = _Reader(document, files, asked)
    rules = [rule for file in files for rule in file.rules]
    reading = reader.obeying(rules) if rules else reader.reading({})
    if asked.ask:
        answers = {point.id: asked.ask(point) for point in reading.points if reader.leaves_open(point)}
        reader = reader.picking(answers)
        reading = reader.obeying(rules) if rules else reader.reading({})
    if asked.every:
        reading = reader.with_others(reading)
    if not is_enough(reading):
        raise Refused(*lacking(reading))
    return reading


@dataclass(frozen=True)
class _Reader:
    document: Document
    files: tuple[KnowledgeFile, ...]
    asked: Asked

    @cached_property
    def stated(self) -> Helped:
        """What the paper states, with the help of a language model if one is asked."""
        facts = facts_of(self.document)
        if self.asked.endpoint is None:
            return Helped(tuple(facts), (), ())
        methods = found_in(self.document, facts, self.asked.picked).methods
        found = helped(self.document, facts, methods, self.asked.endpoint)
        return replace(found, methods=found.methods[len(methods) :])

    @cached_property
    def filled(self) -> Filled:
        return filling(self.files, self.document, self.stated.facts)

    def found(self, answers: Mapping[str, str]) -> Found:
        """The methods under some answers to points that the user leaves open."""
        facts = [*self.stated.facts, *self.filled.facts]
        return found_in(self.document, facts, {**answers, **self.asked.picked})

    def reading(self, answers: Mapping[str, str], whys: Mapping[str, str] | None = None) -> Reading:
        found = self.found(answers)
        for point in found.points:
            said = replace(point, why=(whys or {}).get(point.id, point.why))
            found.remarks = [remark_of(said) if one == remark_of(point) else one for one in found.remarks]
        methods = (*found.methods, *self.stated.methods)
        remarks = (*self.stated.remarks, *found.remarks, *self.filled.remarks)
        facts = [*self.stated.facts, *found.facts]
        reading = _whole(settle(self.document, facts, methods, self.filled.facts, remarks))
        if not (methods and reading.description.get("models")):
            return reading
        return _possible(reading, replace(found, methods=[*methods]), [*facts, *self.filled.facts], self.asked)

    def leaves_open(self, point: Point) -> bool:
        return not point.stated and point.id not in self.asked.picked

    def picking(self, answers: Mapping[str, str]) -> _Reader:
        """A reader that takes these options."""
        return replace(self, asked=replace(self.asked, picked={**self.asked.picked, **answers}))

    def with_others(self, reading: Reading) -> Reading:
        """The reading with what is deployed under every other option of its points beside its own."""
        methods, remarks = [*reading.methods], [*reading.remarks]
        for point in reading.points:
            for option in point.options:
                if option.name != point.chosen:
                    other = self.picking({point.id: option.name}).reading({})
                    made = [m for m in other.methods if not any(same(m, one) for one in methods)]
                    methods += [called(method, point, option) for method in made]
                    remarks += [considered(method, point, option, reading) for method in made]
        description = in_order({**reading.description, **methods_as(methods)})
        return replace(reading, methods=tuple(methods), remarks=tuple(remarks), description=description)

    def obeying(self, rules: Sequence[HouseRule]) -> Reading:
        """The reading that breaks the fewest rules where the paper leaves it open, with a remark on each of them."""
        open_points = [p for p in self.found({}).points if not p.stated and p.id not in self.asked.picked]
        taken = picks(open_points, rules, lambda answers: _planned(self.reading(answers)))
        answers, whys = ({p.point.id: getattr(p, name) for p in taken} for name in ("option", "why"))
        reading = self.reading(answers, whys)
        stated = {method.strategy: method.sources for method in reading.methods}
        return replace(reading, remarks=(*reading.remarks, *ruled(rules, _planned(reading), stated)))


def _planned(reading: Reading) -> list[Job]:
    """The deployments that a reading describes; none where they cannot be planned, which is said when they are."""
    try:
        return planned(experiments_of(yaml_of(reading), Path()), Request())
    except Refused:
        return []


def _whole(reading: Reading) -> Reading:
    """The reading without models of which too little is known, such as one that is named and no built-in one."""
    lacks = {one.about.rpartition(": ")[0] for one in reading.remarks if one.verdict is Verdict.MISSING}
    found = reading.description.get("models")
    models = [one for one in found if not (isinstance(one, dict) and one["name"] in lacks)] if found else []
    return replace(reading, description={**reading.description, "models": models})


def _possible(reading: Reading, found: Found, facts: Sequence[Fact], asked: Asked) -> Reading:
    """The reading with its methods as they are possible with its models, on its cluster."""
    setting = {key: reading.description[key] for key in SETTING if key in reading.description}
    made = possible(found, reading.document, facts, setting, tried, asked.picked, asked.strict)
    description = in_order({**setting, **methods_as(made.methods)})
    remarks = tuple(dict.fromkeys((*reading.remarks, *made.remarks)))
    points = tuple(made.points)
    return replace(reading, methods=tuple(made.methods), remarks=remarks, description=description, points=points)


def is_enough(reading: Reading) -> bool:
    """Is there a model and a way to deploy it, be it the baseline alone?"""
    read = reading.description
    return bool(read.get("models") and (read.get("strategies") or read.get("baseline")))


def lacking(reading: Reading) -> list[Diagnostic]:
    """All that is missing: why nothing can be lowered, or not all of what the paper proposes."""
    remarks = [remark for remark in reading.remarks if remark.verdict is Verdict.MISSING]
    return [_diagnostic(one, reading.document.name) for one in dict.fromkeys(remarks)]


def _diagnostic(remark: Remark, paper: str) -> Diagnostic:
    of, _, _ = remark.about.rpartition(": ")
    text, hint = (f"{of}: {remark.text}", FILL) if of else (remark.text, "; ".join(remark.instead))
    return Diagnostic("paper", text, paper, hint=hint)


def is_paper(source: str | None) -> bool:
    """Does a command's source name a paper?"""
    return source is not None and source.lower().endswith(FORMATS)


def experiments_of(text: str, base: Path, strict: bool = True) -> tuple[Experiment, ...]:
    """The experiments of a paper's YAML; files that it names are looked for under `base`. Unless `strict`, what does
    not fit the GPUs' memory is drawn and said, not refused.
    """
    found = described(parse_yaml(text, EXPERIMENT), base)
    return found if strict else tuple(replace(one, cluster=replace(one.cluster, stated=False)) for one in found)
