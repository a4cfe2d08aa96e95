"""Whose facts: the models of a paper, each with what is said of it and of all of them; the main cluster, and others.

A label is a model if the paper says sizes of it; a published model is, if the paper uses it. What is
said of one model is said of the only one, whatever it is called there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...catalogue import builtin_names
from ..document import Document, Part
from ..facts import Fact
from ..lexicon.vocabulary import about, pattern, vocabulary
from .filling import rules

MODEL = "model"
"""The key of a fact that names a published model."""
_LEAST = 2
"""Keys that make a model; a single one may be a mention (the 4-layer variant)."""


_WHOLE = 4
"""Sizes in the setup that describe a model of its own."""


@dataclass(frozen=True)
class Scope:
    """A model: the name it gets, the model of the catalogue that it is, if any, and what is said of it."""

    name: str
    published: str
    facts: tuple[Fact, ...]


def models(document: Document, facts: Sequence[Fact]) -> list[Scope]:
    """All models of a paper; one without a name takes that of the file."""
    own = [fact for fact in facts if about(fact.key) == "model"]
    published = _published(own)
    named = list(dict.fromkeys((*published, *_labels(own))))
    if len(named) > 1:
        return [_scope(label, [fact for fact in own if fact.of in ("", label)]) for label in named]
    if not named and len({fact.key for fact in own} & set(rules().core)) < _LEAST:
        return []
    return [_scope(published[0] if published else re.sub(r"\.\w+$", "", document.name.rsplit("/", 1)[-1]), own)]


def _scope(label: str, facts: Sequence[Fact]) -> Scope:
    known = label if label in builtin_names() else ""
    return Scope(known or _slug(label), known, tuple(fact for fact in facts if fact.key != MODEL))


def _labels(own: Sequence[Fact]) -> list[str]:
    """Labels with sizes of their own, in the order of the paper."""
    keys: dict[str, set[str]] = {}
    for fact in own:
        if fact.key in rules().core:
            keys.setdefault(fact.of, set()).add(fact.key)
    return [label for label, found in keys.items() if label and len(found) >= _LEAST]


def _published(own: Sequence[Fact]) -> list[str]:
    """Published models that are deployed: those of the setup, else those of the place that weighs most. A model whose
    sizes the setup lists is none that is only mentioned elsewhere.
    """
    named = [fact for fact in own if fact.key == MODEL]
    sizes = {fact.key for fact in own if fact.part is Part.SETUP and fact.key in rules().core}
    mentions = () if len(sizes) >= _WHOLE else (Part.ABSTRACT, Part.OTHER, Part.CONCLUSION)
    for parts in ((Part.SETUP,), (Part.METHOD, Part.RESULTS), mentions):
        if found := [fact for fact in named if fact.part in parts]:
            return list(dict.fromkeys(str(fact.value) for fact in found))
    return []


def _slug(label: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", label.strip()).strip("-.").replace("_", "-").lower()[:60] or "model"


def platforms(facts: Sequence[Fact]) -> tuple[list[Fact], dict[str, list[Fact]]]:
    """Facts of the cluster, and those of platforms that the paper also tried, by name. Of keys that are only said of
    methods and models, all that is said counts; of several clusters the first, with the numbers of GPUs of all.
    """
    own = [fact for fact in facts if about(fact.key) == "cluster"]
    another, several = pattern(vocabulary().another), pattern(vocabulary().platforms)
    others: dict[str, list[Fact]] = {}
    for fact in own:
        if another.search(fact.of):
            others.setdefault(fact.of, []).append(fact)
    main = [fact for fact in own if not another.search(fact.of)]
    if not main and others:
        main = others.pop(next(iter(others)))
    first = next((fact.of for fact in main if several.search(fact.of)), "")
    main = [fact for fact in main if not several.search(fact.of) or fact.of == first] + _sizes(main, several, first)
    main, more = _of_setup(main)
    others |= more
    stated = {fact.key for fact in main if not fact.of}
    return [fact for fact in main if not fact.of or fact.key not in stated], others


def _of_setup(facts: Sequence[Fact]) -> tuple[list[Fact], dict[str, list[Fact]]]:
    """Where the setup says nodes and GPUs of a node, their product counts before a number of GPUs from elsewhere."""
    said = {fact.key for fact in facts if fact.part is Part.SETUP and not fact.of}
    if "gpus" in said or not {"nodes", "gpus_per_node"} <= said:
        return [*facts], {}
    beside = [fact for fact in facts if fact.key == "gpus" and not fact.of and not fact.in_table]
    return [fact for fact in facts if fact not in beside], {f"cluster of the {fact.part}": [fact] for fact in beside}


def _sizes(facts: Sequence[Fact], several: re.Pattern[str], first: str) -> list[Fact]:
    """Of several clusters with a name each, one fact of all their numbers of GPUs."""
    own = [fact for fact in facts if fact.key == "gpus" and several.search(fact.of) and isinstance(fact.value, int)]
    counts = tuple(dict.fromkeys(fact.value for fact in own if isinstance(fact.value, int)))
    return [replace(own[0], of="", value=counts)] if first and len(counts) > 1 else []
