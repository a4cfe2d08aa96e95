"""The answer of a language model beside what the deterministic reader found: which always stands.

both say layers = 16              they agree
model: 8192, reader: 4096         4096; both are told
only the model: kv_len = 4096     kept, marked as the model's
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..document import Document
from ..facts import Fact, Method, Remark, Source, Verdict
from .answer import Answer, Dropped, answer_of
from .checking import fact_of, method_of
from .endpoint import Endpoint, Unanswered
from .question import answer_schema, messages

ABOUT = "language model"


@dataclass(frozen=True)
class Helped:
    """What was found with the help of a language model, the deterministic reader's own first."""

    facts: tuple[Fact, ...]
    methods: tuple[Method, ...]
    remarks: tuple[Remark, ...]


def helped(document: Document, facts: Sequence[Fact], methods: Sequence[Method], endpoint: Endpoint) -> Helped:
    """The facts and methods, and what only a language model found of them. Without an answer: what was given, and why
    there is none.
    """
    asked, sent = messages(document)
    try:
        answer = answer_of(endpoint.ask(asked, answer_schema()))
    except Unanswered as error:
        text = f"it did not help: {error}; what is read without it stands"
        return Helped(tuple(facts), tuple(methods), (Remark(Verdict.IGNORED, ABOUT, text),))
    found = _joined(document, facts, methods, answer)
    if sent == len(document.lines):
        return found
    text = f"only the first {sent} of {len(document.lines)} lines were sent to it"
    return Helped(found.facts, found.methods, (Remark(Verdict.IGNORED, ABOUT, text), *found.remarks))


def _joined(document: Document, facts: Sequence[Fact], methods: Sequence[Method], answer: Answer) -> Helped:
    checked = [fact_of(item, document, facts) for item in answer.facts]
    named = [method_of(item, document) for item in answer.methods]
    dropped = [*answer.dropped, *(item for item in (*checked, *named) if isinstance(item, Dropped))]
    new_facts, of_facts = _facts([item for item in checked if isinstance(item, Fact)], facts)
    new_methods, of_methods = _methods([item for item in named if isinstance(item, Method)], methods)
    remarks = [*of_facts, *of_methods, *(_ignored(item) for item in dropped)]
    return Helped((*facts, *new_facts), (*methods, *new_methods), tuple(dict.fromkeys(remarks)))


def _facts(found: Iterable[Fact], own: Sequence[Fact]) -> tuple[list[Fact], list[Remark]]:
    """Those that only the model found, and how the others compare."""
    agreed: list[Fact] = []
    kept: list[Fact] = []
    remarks: list[Remark] = []
    for fact in found:
        same = [each for each in own if each.key == fact.key and (not fact.of or each.of in ("", fact.of))]
        if any(each.value == fact.value or fact.value in _several(each) for each in same):
            agreed.append(fact)
        elif same:
            remarks.append(_differs(fact, same[0]))
        else:
            kept.append(fact)
            remarks.append(_only(fact.key, f"{fact.value}{f' ({fact.why})' if fact.why else ''}", fact.source))
    return kept, [*_agreed(dict.fromkeys(fact.key for fact in agreed)), *remarks]


def _several(fact: Fact) -> tuple[object, ...]:
    return fact.value if isinstance(fact.value, tuple) else ()


def _methods(found: Iterable[Method], own: Sequence[Method]) -> tuple[list[Method], list[Remark]]:
    """Those of a role in which the deterministic reader found none, and how the others compare."""
    kept: list[Method] = []
    remarks: list[Remark] = []
    for method in found:
        alike = [each for each in own if _as_said(each.strategy) == _as_said(method.strategy)]
        same = [each for each in own if each.role == method.role]
        if any(each in same for each in alike):
            remarks += _agreed([f"the {method.role}"])
        elif stands := [*alike, *same][:1]:
            remarks.append(_other(method, stands[0]))
        else:
            kept.append(method)
            remarks.append(_only(method.role, method.strategy, *method.sources))
    return kept, remarks


def _other(method: Method, own: Method) -> Remark:
    text = f"{own.strategy} is {own.role}; a language model says {method.role} {method.strategy}: the first stands"
    return Remark(Verdict.IGNORED, method.role, text, (*own.sources[:1], *method.sources))


def _as_said(strategy: str) -> frozenset[str]:
    return frozenset(strategy.replace(" ", "").lower().split(","))


def _agreed(what: Iterable[str]) -> list[Remark]:
    named = ", ".join(what)
    return [Remark(Verdict.COMPARED, ABOUT, f"agrees on {named}")] if named else []


def _differs(fact: Fact, own: Fact) -> Remark:
    text = f"{own.value} is read; a language model says {fact.value}: what is read without it stands"
    return Remark(Verdict.IGNORED, fact.key, text, (own.source, fact.source))


def _only(about: str, value: str, *sources: Source) -> Remark:
    text = f"{value} was found by a language model only, in words that stand there: to be looked at"
    return Remark(Verdict.COMPARED, about, text, sources)


def _ignored(item: Dropped) -> Remark:
    return Remark(Verdict.IGNORED, ABOUT, f"{item.what} does not count: {item.why}")
