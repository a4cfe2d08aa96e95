"""A YAML description → Experiments: models, a cluster, a baseline, strategies, sizes.

    models: [mixtral-8x7b, {name: mine, hidden: 4096, …}]
    cluster: {gpu: H100, gpus: 16}
    baseline: tp=8,pp=2
    strategies: [ep, {mine: {mesh: {ep: gpus}, rules: […]}}]
    sizes: {batch_size: 128, seq_len: symbolic}            or of a step: {batch_size: 128, phase: decode, kv_len: 8192}

A number of GPUs and every size may be a list: each combination is an experiment. Several descriptions in one file stand
under `experiments: [{models: …}, …]`.

Everything wrong is reported at once, with its line; everything assumed is listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice, product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from ..diagnostics import Diagnostic, Refused
from .catalogue import builtin_names, find_model
from .cluster_text import ClusterText, default_cluster, described_cluster
from .model import Cluster, Experiment, Model, Phase
from .model_text import ModelText, described_model
from .parsed import Keys, Parsed, shown, too_large
from .schema import MAX_SIZE, Size, Strict, checked, later
from .strategy_choice import check_choice, is_file_name
from .strategy_file import builtin_names as builtin_strategies
from .strategy_file import parse_strategy
from .strategy_shape import StrategyFile
from .strategy_values import OneOrMore
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


def _counts(value: Any) -> tuple[int | str, ...]:
    """One size, or a list of them, each once."""
    values: list[Any] = value if isinstance(value, list) and 0 < len(value) <= MAX_ENTRIES else [value]
    return tuple(dict.fromkeys(map(_count, values)))


Counts = Annotated[Any, PlainValidator(_counts, json_schema_input_type=OneOrMore[Size | Literal["symbolic"]])]
Counted = dict[str, tuple[int | str, ...]]
"""The values that a description lists for each count."""
_Phase = Literal["prefill", "decode"]
_Model = Annotated[str, Field(examples=list(builtin_names()))] | ModelText
_Strategy = Annotated[str, Field(examples=[*builtin_strategies(), "ep=8,tp=2", "mine.yaml"])]
_Baseline = _Strategy | dict[str, StrategyFile]
_Strategies = list[_Strategy | dict[str, StrategyFile]] | dict[str, StrategyFile] | _Strategy


class SizesText(Strict):
    """Sizes of one run; `symbolic` leaves one unbound; of a list, every one is an experiment."""

    batch_size: Counts = ()
    """Sequences in the batch."""
    seq_len: Counts = ()
    """Tokens of a sequence; in decode, new ones."""
    kv_len: Counts = ()
    """Tokens in the cache of a decode step, its new ones included."""
    phase: Annotated[Any, PlainValidator(_phases, json_schema_input_type=OneOrMore[_Phase])] = ()
    """Prompts (prefill), or a step of new tokens against a KV cache (decode), or a list of both."""


class DescriptionText(Strict):
    """The outermost keys; models, cluster and strategies are checked one by one."""

    model: Annotated[Any, later(_Model)] = None
    """The one model: a built-in one, a file with a configuration, or the sizes themselves."""
    models: Annotated[list[Annotated[Any, later(_Model)]], Field(max_length=MAX_ENTRIES)] = []
    """Every model gets graphs of its own."""
    cluster: Annotated[Any, later(ClusterText)] = None
    """GPUs and their links."""
    baseline: Annotated[Any, later(_Baseline)] = None
    """The strategy that others are compared with, or none; if not said, tensor parallel in a node and stages across."""
    strategies: Annotated[Any, later(_Strategies)] = []
    """Names, files, meshes (ep=8,tp=2), or strategies written here under a name."""
    sizes: SizesText = SizesText()
    """Batch, lengths and phase."""


class SeveralText(Strict):
    """Several descriptions in one file, each checked by itself."""

    experiments: Annotated[list[Annotated[Any, later(DescriptionText)]], Field(min_length=1, max_length=MAX_ENTRIES)]
    """Whole descriptions."""


def read_description(path: Path) -> tuple[Experiment, ...]:
    """The experiments that a YAML file describes."""
    return described(read_yaml(path), path.parent)


def described(parsed: Parsed, base: Path) -> tuple[Experiment, ...]:
    """The experiments; files that they name are looked for under `base`. Refused with all that is wrong."""
    if not isinstance(parsed.data, dict) or "experiments" not in parsed.data:
        return _settings(*_described(parsed, base))
    text, problems = checked(SeveralText, parsed)
    found: list[Experiment] = []
    for i in range(len(text.experiments) if text else 0):
        try:
            found += _settings(*_described(parsed.under("experiments", i), base))
        except Refused as refused:
            problems += refused.diagnostics
    if problems:
        raise Refused(*problems)
    return tuple(found)


def _settings(whole: Experiment, counts: Counted) -> tuple[Experiment, ...]:
    """An experiment for every combination of what is counted; those of several values name it."""
    named = [key for key, values in counts.items() if len(values) > 1]
    made: list[Experiment] = []
    for values in islice(product(*(values or (None,) for values in counts.values())), MAX_ENTRIES + 1):
        each = dict(zip(counts, values, strict=True))
        gpus = each.pop("gpus")
        cluster = whole.cluster if gpus is None else replace(whole.cluster, gpus=gpus)
        setting = {key: value for key, value in ({"gpus": gpus} | each).items() if key in named}
        made.append(replace(whole, cluster=cluster, setting=setting, **each))
    if len(made) > MAX_ENTRIES:
        raise Refused(too_large(whole.models[0].where, f"at most {MAX_ENTRIES} combinations of sizes", "more"))
    return tuple(made)


def _described(parsed: Parsed, base: Path) -> tuple[Experiment, Counted]:
    """One experiment without what is counted, and all that is."""
    text, problems = checked(DescriptionText, parsed)
    if text is None:
        raise Refused(*problems)
    reader = _Reader(parsed, base)
    models = tuple(reader.models(text))
    cluster, gpus, assumed = reader.cluster(text)
    strategies = tuple(reader.strategies(text))
    baseline = reader.baseline(text.baseline)
    if reader.problems:
        raise Refused(*reader.problems)
    sizes = text.sizes
    counts: Counted = {"gpus": gpus, "batch_size": sizes.batch_size, "seq_len": sizes.seq_len, "kv_len": sizes.kv_len}
    experiment = Experiment(
        models=models,
        cluster=cluster,
        strategies=strategies,
        baseline=baseline,
        phases=text.sizes.phase,
        inline=reader.inline,
        assumed=assumed,
    )
    return experiment, counts


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
            self.problems.append(Diagnostic("missing-key", "no model is described (key models)", self.parsed.where()))
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

    def cluster(self, text: DescriptionText) -> tuple[Cluster, tuple[int, ...], tuple[str, ...]]:
        """The cluster, of how many GPUs it is, and what was assumed of it."""
        default, assumed = default_cluster()
        if text.cluster is None:
            return default, (), assumed
        cluster, gpus, assumed, problems = described_cluster(self.parsed.under("cluster"))
        self.problems += problems
        return cluster or default, gpus, assumed

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

    def baseline(self, value: Any) -> str | None:
        """The text of the baseline; a body written in place goes to `inline`."""
        if isinstance(value, dict) and len(value) == 1:
            (name,) = value
            self._define(("baseline", name), str(name))
            return str(name)
        if value is None or (isinstance(value, str) and value.strip()):
            return self.choice(value, ("baseline",)) if value else None
        expected, where = "a name, a file, a mesh, or one strategy under its name", self.parsed.where("baseline")
        self.problems.append(Diagnostic("wrong-type", "baseline is no strategy", where, expected, shown(value)))
        return None

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
