"""A YAML description → Experiment: models, a cluster, a baseline, strategies, sizes.

    models: [mixtral-8x7b, {name: mine, hidden: 4096, …}]
    cluster: {gpu: H100, gpus: 16}
    baseline: tp=8,pp=2
    strategies: [ep, {mine: {mesh: {ep: gpus}, rules: […]}}]
    sizes: {batch_size: 128, seq_len: symbolic}            or of a step: {batch_size: 128, phase: decode, kv_len: 8192}

Everything wrong is reported at once, with its line; everything assumed is listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from ..diagnostics import Diagnostic, Refused
from .catalogue import find_model
from .cluster_text import default_cluster, described_cluster
from .model import Cluster, Experiment, Model, Phase
from .model_text import described_model
from .parsed import Keys, Parsed, shown, too_large
from .schema import MAX_SIZE, Name, Strict, checked
from .strategy_choice import check_choice, is_file_name
from .strategy_file import parse_strategy
from .yaml_reader import read_yaml

SYMBOLIC = "symbolic"
NO_BASELINE = "none"
MAX_ENTRIES = 100
"""Most models, and most strategies, of one description."""


def _count(value: Any) -> int | str:
    """A size that a description states: a positive number, or "symbolic" for one that stays unbound."""
    if value == SYMBOLIC or (isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_SIZE):
        return value
    raise ValueError(f'a positive number, or "{SYMBOLIC}"')


def _phases(value: Any) -> tuple[str, ...]:
    """One phase, or a list of them."""
    phases: list[Any] = value if isinstance(value, list) and value else [value]
    if all(phase in tuple(Phase) for phase in phases):
        return tuple(dict.fromkeys(map(str, phases)))
    raise ValueError(f"{' or '.join(Phase)}, or a list of both")


Count = Annotated[int | str, PlainValidator(_count)]


class SizesText(Strict):
    batch_size: Count | None = None
    seq_len: Count | None = None
    kv_len: Count | None = None
    phase: Annotated[Any, PlainValidator(_phases)] = ()


class DescriptionText(Strict):
    """The outermost keys; models, cluster and strategies are checked one by one."""

    model: Any = None
    models: Annotated[list[Any], Field(max_length=MAX_ENTRIES)] = []
    cluster: Any = None
    baseline: Name | None = None
    strategies: Any = []
    sizes: SizesText = SizesText()


def read_description(path: Path) -> Experiment:
    """The experiment that a YAML file describes."""
    return described(read_yaml(path), path.parent)


def described(parsed: Parsed, base: Path) -> Experiment:
    """The experiment; files that it names are looked for under `base`. Refused with all that is wrong."""
    text, problems = checked(DescriptionText, parsed)
    if text is None:
        raise Refused(*problems)
    reader = _Reader(parsed, base)
    models = tuple(reader.models(text))
    cluster, assumed = reader.cluster(text)
    strategies = tuple(reader.strategies(text))
    baseline = reader.choice(text.baseline, ("baseline",)) if text.baseline else None
    if reader.problems:
        raise Refused(*reader.problems)
    return Experiment(
        models=models,
        cluster=cluster,
        strategies=strategies,
        baseline=baseline,
        batch_size=text.sizes.batch_size,
        seq_len=text.sizes.seq_len,
        kv_len=text.sizes.kv_len,
        phases=text.sizes.phase,
        inline=reader.inline,
        assumed=assumed,
    )


@dataclass
class _Reader:
    """Reads the parts of one description, collecting what is wrong and the strategies written inside it."""

    parsed: Parsed
    base: Path
    problems: list[Diagnostic] = field(default_factory=list)
    inline: dict[str, object] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)

    def models(self, text: DescriptionText) -> Iterator[Model]:
        places: list[Keys] = [("models", i) for i in range(len(text.models))]
        if text.model is not None:
            places.append(("model",))
        if not places:
            self.problems.append(Diagnostic("missing-key", "no model is described (key models)", self.parsed.name))
        found = {place: self._model(place) for place in places}
        names = Counter(model.name for model in found.values() if model)
        for place, model in found.items():
            if model is not None and names[model.name] > 1:
                problem = f"{names[model.name]} models are called {shown(model.name)}"
                self.problems.append(Diagnostic("duplicate", problem, self.parsed.where(*place)))
            elif model is not None:
                yield model

    def _model(self, place: Keys) -> Model | None:
        part = self.parsed.under(*place)
        if not isinstance(part.data, str):
            model, problems = described_model(part)
            self.problems += problems
            return model
        try:
            return find_model(part.data, self.base)
        except Refused as refused:
            self.problems += [problem.at(part.where()) for problem in refused.diagnostics]
            return None

    def cluster(self, text: DescriptionText) -> tuple[Cluster, tuple[str, ...]]:
        default = default_cluster()
        if text.cluster is None:
            return default
        cluster, assumed, problems = described_cluster(self.parsed.under("cluster"))
        self.problems += problems
        return (cluster, assumed) if cluster else default

    def strategies(self, text: DescriptionText) -> Iterator[str]:
        """The texts of all strategies, in order; bodies written in place go to `inline`, by name."""
        entries = list(islice(self._entries(text.strategies), MAX_ENTRIES + 1))
        if len(entries) > MAX_ENTRIES:
            self.problems.append(
                too_large(self.parsed.where("strategies"), f"at most {MAX_ENTRIES} strategies", "more")
            )
            return
        for place, name, body in entries:
            if body is not None:
                self._define(place, name)
        for place, name, body in entries:
            yield self.choice(name, place) if body is None else name

    def _entries(self, value: Any) -> Iterator[tuple[Keys, str, Any]]:
        """Place, name and body (None for a strategy known elsewhere) of everything listed."""
        whole = isinstance(value, dict)
        for i, entry in enumerate([value] if whole or not isinstance(value, list) else value):
            place: Keys = ("strategies",) if whole else ("strategies", i)
            if isinstance(entry, dict):
                yield from (((*place, name), name, body) for name, body in entry.items())
            elif isinstance(entry, str):
                yield place, entry, None
            else:
                expected = "a list of names, files and meshes, or a mapping of names to strategies"
                where = self.parsed.where(*place)
                self.problems.append(Diagnostic("wrong-type", "is not a strategy", where, expected, shown(entry)))

    def _define(self, place: Keys, name: str) -> None:
        body = self.parsed.under(*place)
        if name in self.defined:
            problem = f"two strategies are called {shown(name)}"
            self.problems.append(Diagnostic("duplicate", problem, body.where()))
        self.defined.add(name)
        try:
            parse_strategy(body, name)
            self.inline[name] = body
        except Refused as refused:
            self.problems += refused.diagnostics

    def choice(self, text: str, place: Keys) -> str:
        """A strategy named in the description; a file's name becomes one that holds from anywhere."""
        if text in self.defined or (text == NO_BASELINE and place == ("baseline",)):
            return text
        try:
            check_choice(text, self.inline, self.base)
        except Refused as refused:
            self.problems += [problem.at(self.parsed.where(*place)) for problem in refused.diagnostics]
        return str(self.base / text) if is_file_name(text) else text
