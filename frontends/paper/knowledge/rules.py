"""Sentences → rules of a house: what they demand of deployments, or claim of the world (`rules.yaml`).

"Never use tensor parallelism inside an expert."      never tp at experts
"EP degree must be at least 16."                      degree of ep, 16 or more; wrong in general: no law
"Communication nodes are ellipses."                   drawn: NODE1

A sentence that commands or forbids and is none of these is a rule that dagc does not know; it is reported as such.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ....ir.demand import Demand, Kind
from ..document import Block, Document
from ..facts import Source
from ..lexicon.counts import count
from ..lexicon.quoting import source
from .wording import Wording, wording

NO_LAW = "no law: any degree that divides what it cuts computes the same; which is best depends on links and loads"
_SENTENCE = re.compile(r"(?<=[.;!?])\s+(?=[^\s\d])")
_NEAR = 5
"""Words between a denial and what it denies."""
_TERSE = 6
"""Words of what commands without a verb that does: "one expert per GPU"."""
_ONE_OF_MANY = ("experts",)
"""That one of these is not to be split says nothing of which GPU has it."""
LONGEST = 500
"""Characters of a sentence that may be a rule."""
_MOST = 400
"""Rules that one folder may hold."""


@dataclass(frozen=True)
class HouseRule:
    """A rule as written, and what it demands; nothing where dagc does not know what. `wrong`: why it is not so in
    general.
    """

    text: str
    source: Source
    demands: tuple[Demand, ...] = ()
    wrong: str = ""

    @property
    def codes(self) -> tuple[str, ...]:
        """The rules of drawn graphs that say it."""
        return tuple(code for demand in self.demands for code in demand.codes)


def rules_of(document: Document) -> list[HouseRule]:
    """The rules that a document states, in order."""
    return [rule for block in document.blocks for rule in _of_block(document, block)][:_MOST]


def _of_block(document: Document, block: Block) -> Iterator[HouseRule]:
    for sentence in _SENTENCE.split(block.text):
        words = sentence.strip().rstrip(".;!")
        found = rule_of(words) if 0 < len(words) <= LONGEST else None
        if found is not None:
            demands, wrong = found
            yield HouseRule(words, source(document, block, words), demands, wrong)


def rule_of(sentence: str) -> tuple[tuple[Demand, ...], str] | None:
    """What a sentence demands, and why that is wrong in general; None where it is no rule."""
    said = _Said(sentence, wording())
    for form in FORMS if not said.has("conditional") else (_drawn, _law):
        if found := form(said):
            return found
    about = said.parallel or (said.place and (said.has("cut") or said.has("whole")))
    return ((), "") if said.has("firm") and about and not said.has("defined") else None


Found = tuple[tuple[Demand, ...], str] | None


@dataclass(frozen=True)
class _Said:
    """A sentence, and what of the table's words stands in it."""

    text: str
    words: Wording

    def has(self, cue: str) -> bool:
        return bool(self.words.cues[cue].search(self.text))

    @property
    def parallel(self) -> str:
        return next((kind for kind, form in self.words.parallel.items() if form.search(self.text)), "")

    @property
    def place(self) -> str:
        return next((place for place, form in self.words.places.items() if form.search(self.text)), "")

    @property
    def phases(self) -> list[str]:
        return [phase for phase, form in self.words.phases.items() if form.search(self.text)]

    @property
    def phase(self) -> str:
        return self.phases[0] if len(self.phases) == 1 else ""

    @property
    def forbids(self) -> bool:
        """Is it a kind of parallelism, or a cut, that is forbidden: no more than a few words apart?"""
        told = self.words.parallel.get(self.parallel) or self.words.cues["cut"]
        denials = [match for cue in ("never", "cannot") for match in self.words.cues[cue].finditer(self.text)]
        pairs = ((one.span(), other.span()) for one in denials for other in told.finditer(self.text))
        return any(len(self.text[min(a[1], b[1]) : max(a[0], b[0])].split()) <= _NEAR for a, b in pairs)

    def bounded(self, form: re.Pattern[str]) -> tuple[int | None, int | None]:
        """The least and the most that it allows of the number in a form; nothing where it has none."""
        match = form.search(self.text)
        if match is None:
            return None, None
        bound = count(match["n"])
        least, most, surely = (bool(self.words.bounds[way].search(self.text)) for way in ("least", "most", "surely"))
        if most or (least and not surely and self.has("forbidden")):
            return None, bound
        return (bound, None) if least else (bound, bound)


def _drawn(said: _Said) -> Found:
    if said.parallel or not (said.has("firm") or said.has("graph")):
        return None
    codes = tuple(code for code, form in said.words.drawn.items() if form.search(said.text))
    return ((Demand(Kind.DRAWN, codes=codes),), "") if codes else None


def _law(said: _Said) -> Found:
    denied = said.has("never")
    laws = (law for law in said.words.laws if law.form.search(said.text) and not (law.affirmed and denied))
    law = next(laws, None)
    return ((Demand(Kind.LAW, codes=law.codes),), law.why) if law else None


def _experts(said: _Said) -> Found:
    bounded = any(said.words.bounds[way].search(said.text) for way in ("least", "most"))
    if not (said.has("firm") or bounded or len(said.text.split()) <= _TERSE):
        return None
    for form in said.words.held:
        least, most = said.bounded(form)
        if (least, most) != (None, None):
            return (Demand(Kind.EXPERTS, least=least, most=most),), ""
    return ((Demand(Kind.EXPERTS, most=1),), "") if any(form.search(said.text) for form in said.words.apart) else None


def _node(said: _Said) -> Found:
    if not said.parallel or not said.has("inside"):
        return None
    if said.has("across") and not (said.has("never") or said.has("cannot")):
        return ((), "") if said.has("firm") else None
    wrong = "links between nodes are slower, not other: the function is the same" if said.has("cannot") else ""
    return (Demand(Kind.NODE, said.parallel, said.place, said.phase),), wrong


def _degree(said: _Said) -> Found:
    bounds = any(said.words.bounds[way].search(said.text) for way in ("least", "most"))
    if not said.parallel or not (said.has("degree") or bounds) or not said.has("firm") or said.has("defined"):
        return None
    least, most = said.bounded(said.words.degree)
    if (least, most) == (None, None):
        return None
    wrong = NO_LAW if least is not None and least > 1 else ""
    return (Demand(Kind.DEGREE, said.parallel, "", said.phase, least, most),), wrong


def _never(said: _Said) -> Found:
    """What is forbidden; what is to be whole; what is allowed in one phase or part only."""
    whole = said.has("whole") and (said.has("always") or said.has("everywhere")) and said.place and not said.parallel
    if said.parallel and said.has("only") and not (said.has("never") or said.has("cannot")):
        return _elsewhere(said)
    if not whole and not (said.forbids and (said.parallel or said.place)):
        return None
    inside = "tp" if said.place in _ONE_OF_MANY else "any"
    demand = Demand(Kind.NEVER, said.parallel or inside, said.place, said.phase)
    return (demand,), said.words.refuted(demand) if said.has("cannot") else ""


def _elsewhere(said: _Said) -> Found:
    """`TP only in attention` forbids it elsewhere, `only in prefill` in the other phase."""
    phases = [phase for phase in said.words.phases if said.phase and phase != said.phase]
    places = [at for at in ("attention", "experts", "ffn") if said.place in ("attention", "experts", "ffn")]
    demands = [Demand(Kind.NEVER, said.parallel, said.place, phase) for phase in phases]
    demands += [Demand(Kind.NEVER, said.parallel, at) for at in places if at != said.place and not phases]
    return (tuple(demands), "") if demands else None


def _always(said: _Said) -> Found:
    if not said.parallel or not said.has("firm"):
        return None
    if not any(use.search(said.text) for use in said.words.uses[said.parallel]):
        return None
    return (Demand(Kind.ALWAYS, said.parallel, said.place, said.phase),), ""


FORMS: tuple[Callable[[_Said], Found], ...] = (_drawn, _law, _experts, _node, _degree, _never, _always)
