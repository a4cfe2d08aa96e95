"""Of all that is said of one key, the value that counts; what disagrees with it is a contradiction that is told.

    setup (prose, then tables) > tables elsewhere > method > results > the rest > abstract > conclusion

What the paper states comes before what a language model found in it, and that before knowledge from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from ..document import Part
from ..facts import Fact, How, Method, Remark, Verdict
from ..lexicon.vocabulary import about
from .filling import Chosen, rules

_ORDER = (Part.METHOD, Part.RESULTS, Part.OTHER, Part.ABSTRACT, Part.CONCLUSION)
_HOW = (How.STATED, How.MODEL, How.KNOWLEDGE, How.DERIVED, How.DECLARED)

Fits = Callable[[Fact], bool]


def weight(fact: Fact) -> tuple[int, int]:
    """The lower, the more it counts."""
    if fact.part is Part.SETUP:
        rank = int(fact.in_table)
    elif fact.in_table:
        rank = 2
    else:
        rank = 3 + _ORDER.index(fact.part)
    return _HOW.index(fact.how), rank


def decided(facts: Sequence[Fact], fits: Fits = lambda _: True) -> tuple[Fact, str]:
    """The fact of one key that counts, and why it does. A table's wins over the setup where only it `fits`."""
    ranked = sorted(facts, key=weight)
    best = ranked[0]
    if not fits(best) and not best.in_table:
        tabled = next((fact for fact in ranked if fact.in_table and fits(fact)), None)
        if tabled is not None:
            return tabled, "only the table's reading makes the parts equal to the GPUs"
    return best, f"{_place(best)} counts first"


def contradiction(best: Fact, facts: Sequence[Fact], why: str) -> Remark | None:
    """What says otherwise, with both lines; None if all agree."""
    others = [fact for fact in facts if fact.how in (How.STATED, How.MODEL) and not _agree(fact, best)]
    if not others:
        return None
    said = "; ".join(f"{_place(fact)} says {shown(fact)} ({fact.source})" for fact in (best, *others))
    sources = tuple(dict.fromkeys(fact.source for fact in (best, *others)))
    about = f"{best.of}: {best.key}" if best.of else best.key
    return Remark(Verdict.CONTRADICTION, about, f"{said}: {shown(best)} is taken, {why}", sources)


def _agree(fact: Fact, best: Fact) -> bool:
    """Equal, or one of the several values of the other."""
    left, right = (set(value) if isinstance(value, tuple) else {value} for value in (fact.value, best.value))
    return left <= right or right <= left


def _place(fact: Fact) -> str:
    if fact.how is How.KNOWLEDGE:
        return f"{fact.source.file or 'knowledge'}"
    if fact.in_table:
        return "a table"
    return {Part.OTHER: "the text"}.get(fact.part, f"the {fact.part}")


def shown(fact: Fact) -> str:
    """A value as the description has it."""
    value = fact.value
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


CUTS = {"layers": ("pp",), "heads": ("tp",), "experts": ("ep",)}
"""Which axes of a method must divide a key."""


@dataclass
class Decisions:
    """Decides key after key. `degrees`: axes and sizes of the paper's methods; `counted`: the facts that counted."""

    degrees: Sequence[dict[str, int]]
    remarks: list[Remark] = field(default_factory=list)
    counted: list[Fact] = field(default_factory=list)

    def decided(self, facts: Iterable[Fact], of: str = "") -> Chosen:
        """Of every key the fact that counts; what disagrees is remarked."""
        by_key: dict[str, list[Fact]] = {}
        for fact in facts:
            by_key.setdefault(fact.key, []).append(fact)
        chosen: Chosen = {}
        for key, found in by_key.items():
            best, why = decided(found, fitting(key, self.degrees))
            chosen[key] = replace(best, of=of if about(key) == "model" else best.of)
            remark = None if key in rules().plural else contradiction(best, self._relevant(key, best, found), why)
            self.remarks += [remark] if remark else []
        return chosen

    def _relevant(self, key: str, best: Fact, found: list[Fact]) -> list[Fact]:
        """What may contradict: said of as much as the best. GPUs as many as a method's degree are its group's."""
        groups = {size for sizes in self.degrees for size in sizes.values()} if key == "gpus" else set()
        return [fact for fact in found if (not fact.of or fact.of == best.of) and fact.value not in groups]


def fitting(key: str, degrees: Sequence[Mapping[str, int]]) -> Fits:
    """Whether a value of the key makes parts equal to GPUs under methods of these degrees."""

    def fits(fact: Fact) -> bool:
        value = fact.value
        if not isinstance(value, int) or not degrees:
            return True
        if key == "gpus":
            return any(prod(sizes.values()) == value for sizes in degrees)
        axes = CUTS.get(key, ())
        return all(value % sizes[axis] == 0 for sizes in degrees for axis in axes if axis in sizes)

    return fits


def degrees_of(methods: Iterable[Method]) -> list[dict[str, int]]:
    """Axes and sizes of the methods whose text has them: of those that the paper writes down, if it writes any."""
    texts = {method.strategy: method.mechanism == "degrees" for method in methods if method.body is None}
    found = {text: {axis: int(n) for axis, n in re.findall(r"(\w+)=(\d+)", text)} for text in texts}
    written = [sizes for text, sizes in found.items() if sizes and texts[text]]
    return written or [sizes for sizes in found.values() if sizes]
