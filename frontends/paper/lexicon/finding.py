"""Document → what it states about models, workloads and clusters: a fact for every number and word that says one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from ..document import Document
from ..facts import Fact, Value
from ..quantities import definitions_of
from ..quantities.quantity import Number
from ..settling.filling import rules
from .leads import lead_of, models_among
from .linking import links
from .quoting import source
from .references import references
from .sayings import Saying, sayings_of
from .subjects import Subject, platform_at, subject_at, subjects
from .symbols import Symbols, assignments, symbols_of
from .vocabulary import Guard, about, pattern, vocabulary

WIDTH = 80
"""Characters beside a word in which a guard is looked for."""
UNITS = {"byte": "bytes", "byte/s": "bytes/s"}
COUNTED = {"seq_len": "tokens", "kv_len": "tokens", "batch_size": "sequences"}


@dataclass(frozen=True)
class _Found:
    """What a statement says, from `start` to `end` of its text."""

    key: str
    value: Value
    start: int
    end: int
    weak: bool = False


def facts_of(document: Document) -> list[Fact]:
    """All facts in order. A weak one (perhaps of a group, a stage, …) counts only where nothing better says its key."""
    symbols, meanings = symbols_of(document), definitions_of("\n".join(document.lines))
    found: list[tuple[Fact, bool, str]] = []
    for block, sayings in groupby(sayings_of(document), key=lambda saying: saying.block):
        named: list[Subject] = []
        for saying in sayings:
            named, lead = subjects(saying.text, named), "" if saying.in_table else lead_of(block)
            every = _said(saying.text, symbols, meanings)
            found += ((_fact(document, saying, said, named), said.weak, lead) for said in every)
    strong = {fact.key for fact, weak, _ in found if not weak}
    kept = [(fact, lead) for fact, weak, lead in found if not weak or fact.key not in strong]
    return list(dict.fromkeys(_led(kept)))


def _led(found: list[tuple[Fact, str]]) -> Iterator[Fact]:
    """Facts under leads that tell models apart are of these models."""
    said: dict[str, dict[str, Value]] = {}
    for fact, lead in found:
        if about(fact.key) == "model" and not fact.of:
            said.setdefault(lead, {}).setdefault(fact.key, fact.value)
    leads = models_among(said, rules().core)
    for fact, lead in found:
        own = lead in leads and about(fact.key) == "model" and not fact.of and fact.key != "model"
        yield replace(fact, of=lead) if own else fact


def _said(text: str, symbols: Symbols, meanings: Mapping[str, Number]) -> Iterator[_Found]:
    for link in links(text, meanings):
        yield _Found(link.key, _one_or_all(link.values), link.start, link.end, link.weak)
    for given in assignments(text, symbols):
        yield _Found(given.key, _one_or_all(given.values), given.start, given.end)
    yield from _words(text)
    yield from _gpus(text)
    for reference in references(text):
        yield _Found("model", reference.name, reference.start, reference.end)


def _one_or_all(values: tuple[int, ...]) -> Value:
    first, *others = values
    return values if others else first


def _words(text: str) -> Iterator[_Found]:
    """Words that are values: BF16, SwiGLU, two matrices."""
    for key, values in vocabulary().words.items():
        guard = vocabulary().word_guards.get(key, Guard())
        for value, wordings in values.items():
            for match in pattern(*wordings).finditer(text):
                left, right = text[max(0, match.start() - WIDTH) : match.start()], text[match.end() :][:WIDTH]
                if not pattern(*guard.never_left).search(left) and not pattern(*guard.never_right).search(right):
                    yield _Found(key, _value(value), match.start(), match.end())


def _value(text: str) -> Value:
    return {"true": True, "false": False}.get(text, int(text) if text.isdigit() else text)


def _gpus(text: str) -> Iterator[_Found]:
    """Types of GPUs."""
    names = {re.sub(r"[\s-]", "", spelling).casefold(): name for spelling, name in vocabulary().gpu_names.items()}
    for match in pattern(r"(?<![A-Za-z0-9])(?:\d+[x×])?(?P<gpu>{gpu})s?(?![A-Za-z0-9])").finditer(text):
        name = names[re.sub(r"[\s-]", "", match["gpu"]).casefold()]
        yield _Found("gpu", name, match.start("gpu"), match.end("gpu"))


def _fact(document: Document, saying: Saying, said: _Found, named: list[Subject]) -> Fact:
    """The fact, with the words that say it: those of the text, or of a table the row."""
    entry = vocabulary().keys.get(said.key)
    return Fact(
        key=said.key,
        value=said.value,
        source=source(document, saying.block, saying.quote or saying.text[said.start : said.end]),
        unit=UNITS.get(entry.kinds[0] if entry else "") or COUNTED.get(said.key, ""),
        of="" if said.key == "model" else _of(saying, said, named),
        part=saying.block.part,
        in_table=saying.in_table,
    )


def _of(saying: Saying, said: _Found, named: list[Subject]) -> str:
    """The model or the platform that it is said of: as the table says, or the one named last before it."""
    model, method, platform = saying.of
    if about(said.key) == "cluster":
        return platform or platform_at(saying.text, said.start) or method or model
    if about(said.key) == "sizes":
        return model
    return _known(model) or platform or subject_at(saying.text, named, said.start, said.end)


def _known(label: str) -> str:
    """The name in the catalogue of a model that a table names."""
    found = references(label)
    return found[0].name if len(found) == 1 else label
