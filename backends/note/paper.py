"""What the paper says, what was assumed besides, and what is wrong in it: every value with its line and its words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from .markdown import bold, code, escaped, table

WRONG = ("contradiction", "fixed", "flag", "missing")
OPEN = ("chosen", "derived", "assumed", "compared")
HOUSE = ("rule",)
"""What remarks are about: what is wrong in the paper, how its gaps were filled, rules of a house.
Others tell what was left aside.
"""
CHOSEN, FIXED = "chosen", "fixed"


class Source(Protocol):
    """A line, from 1, the words that stand there, and the file; empty: the paper."""

    @property
    def line(self) -> int: ...
    @property
    def quote(self) -> str: ...
    @property
    def file(self) -> str: ...


class Fact(Protocol):
    """One value of one key, and how it was come by."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> Any: ...
    @property
    def unit(self) -> str: ...
    @property
    def of(self) -> str: ...
    @property
    def source(self) -> Source: ...
    @property
    def how(self) -> str: ...
    @property
    def why(self) -> str: ...


class Remark(Protocol):
    """Something that the reader must know."""

    @property
    def verdict(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def sources(self) -> Sequence[Source]: ...
    @property
    def arithmetic(self) -> str: ...
    @property
    def instead(self) -> Sequence[str]: ...


class Method(Protocol):
    """A way to deploy that the paper describes."""

    @property
    def name(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def strategy(self) -> str: ...
    @property
    def mechanism(self) -> str: ...
    @property
    def written(self) -> str: ...
    @property
    def sources(self) -> Sequence[Source]: ...


class Reading(Protocol):
    """What was read in a paper."""

    @property
    def facts(self) -> Sequence[Fact]: ...
    @property
    def methods(self) -> Sequence[Method]: ...
    @property
    def remarks(self) -> Sequence[Remark]: ...


def remarks(reading: Reading, verdicts: Sequence[str] = ()) -> list[Remark]:
    """Those of some kinds, kind by kind; without any, those that are of no kind known here."""
    if not verdicts:
        return [one for one in reading.remarks if str(one.verdict) not in (*WRONG, *OPEN, *HOUSE)]
    return [one for verdict in verdicts for one in reading.remarks if str(one.verdict) == verdict]


def changes(reading: Reading | None, strategy: str) -> list[str]:
    """How a deployment differs from what the paper writes, as that is impossible: the paper's lines, the arithmetic."""
    methods = [method for method in reading.methods if method.strategy == strategy] if reading else []
    about = {name for method in methods for name in (method.written, method.mechanism) if name}
    found = [one for one in reading.remarks if str(one.verdict) == FIXED and one.about in about] if reading else []
    return [_changed(one) for one in found]


def _changed(remark: Remark) -> str:
    lines = ", ".join(dict.fromkeys(map(_place, remark.sources)))
    return "".join((remark.text, f" ({lines})" * bool(lines), f": {remark.arithmetic}" * bool(remark.arithmetic)))


def lines(found: Sequence[Remark]) -> Iterator[str]:
    """Remarks with their lines, the arithmetic, and what else could have been meant."""
    for remark in found:
        yield f"- {bold(escaped(f'{remark.verdict}: {remark.about}'))}. {escaped(remark.text)}"
        for source in remark.sources:
            yield f"  - {_where([source])}: {_words([source])}"
        if remark.arithmetic:
            yield f"  - arithmetic: {code(remark.arithmetic)}"
        for other in remark.instead:
            yield f"  - instead: {escaped(other)}"
    if found:
        yield ""


def facts(reading: Reading) -> Iterator[str]:
    """The tables of methods and facts: what is said of one key in several lines is one row."""
    head = ("method", "role", "deployed as", "recognised by", "where", "words")
    yield from table(head, map(_method, reading.methods))
    head = ("of", "key", "value", "unit", "where", "words", "how")
    named = {(fact.key, str(fact.value), fact.source.quote) for fact in reading.facts if fact.of}
    alike: dict[tuple[str, ...], list[Fact]] = defaultdict(list)
    for fact in sorted(reading.facts, key=lambda fact: fact.of):
        if fact.of or (fact.key, str(fact.value), fact.source.quote) not in named:
            alike[fact.of, fact.key, str(fact.value), fact.unit, str(fact.how), fact.why].append(fact)
    yield from table(head, map(_fact, alike.values()))


def rules(reading: Reading) -> Iterator[str]:
    """Rules that the knowledge beside the paper holds: obeyed, overridden by the paper, or wrong in general and why."""
    found = remarks(reading, HOUSE)
    cells = ([escaped(one.about), escaped(one.text), _where(one.sources), escaped(one.arithmetic)] for one in found)
    yield from table(("rule", "verdict", "where", "by what"), cells)


def _method(method: Method) -> list[str]:
    where, words = _where(method.sources), _words(method.sources)
    deployed = code(method.strategy) or "rules of its own"
    return [bold(escaped(method.name)), escaped(method.role), deployed, escaped(method.mechanism), where, words]


def _fact(same: Sequence[Fact]) -> list[str]:
    fact = same[0]
    value = ", ".join(map(str, fact.value)) if isinstance(fact.value, tuple) else _said(fact.value)
    how = str(fact.how) + (f": {fact.why}" if fact.why else "")
    cells = [escaped(fact.of), code(fact.key), escaped(value), escaped(fact.unit)]
    sources = list({(one.source.line, one.source.quote): one.source for one in same}.values())
    return [*cells, _where(sources), _words(sources), escaped(how)]


def _said(value: object) -> str:
    """Numbers with their thousands apart."""
    return str(value).lower() if isinstance(value, bool) else f"{value:,}" if isinstance(value, int) else str(value)


def _where(sources: Sequence[Source]) -> str:
    """`line 12`; a file of the knowledge by its name."""
    return "<br>".join(escaped(_place(source)) for source in sources if source.line or source.file)


def _place(source: Source) -> str:
    return f"{source.file}:{source.line}" if source.file else f"line {source.line}"


def _words(sources: Sequence[Source]) -> str:
    return "<br>".join(f"“{escaped(source.quote)}”" for source in sources if source.quote)


def data(reading: Reading) -> dict[str, Any]:
    """Methods, facts and remarks as plain data."""
    return {
        "methods": [
            {"name": m.name, "role": m.role, "strategy": m.strategy, "mechanism": m.mechanism, "sources": _sources(m)}
            for m in reading.methods
        ],
        "facts": [
            {"of": f.of, "key": f.key, "value": f.value, "unit": f.unit, "how": str(f.how), "why": f.why}
            | _source(f.source)
            for f in reading.facts
        ],
        "remarks": [
            {"verdict": str(r.verdict), "about": r.about, "text": r.text, "arithmetic": r.arithmetic}
            | {"instead": list(r.instead), "sources": _sources(r)}
            for r in reading.remarks
        ],
    }


def _sources(said: Method | Remark) -> list[dict[str, Any]]:
    return [_source(source) for source in said.sources]


def _source(source: Source) -> dict[str, Any]:
    return {"line": source.line, "words": source.quote, **({"file": source.file} if source.file else {})}
