"""The table of words by which rules are recognised (`rules.yaml`), its wordings compiled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path

from ....diagnostics import Refused
from ....ir.demand import Demand
from ...schema import Strict, checked
from ...yaml_reader import read_yaml
from ..lexicon.counts import NUMBER

TABLE = Path(__file__).parent / "rules.yaml"
_SPACE = "\0"
_NUMBER = NUMBER.replace(" ", _SPACE)
_CLASS = re.compile(r"<(\w+?)\??>")


class LawText(Strict):
    says: str
    why: str = ""
    codes: list[str] = []
    affirmed: bool = False


class CannotText(Strict):
    why: str
    parallel: str = ""
    at: str = ""


class TableText(Strict):
    """The table as written; see its head."""

    parallel: dict[str, str]
    places: dict[str, str]
    phases: dict[str, str]
    cues: dict[str, str]
    bounds: dict[str, str]
    uses: list[str]
    held: list[str]
    apart: list[str]
    nodes: str
    gpus: str
    cannot: list[CannotText]
    laws: list[LawText]
    drawn: dict[str, str]


@dataclass(frozen=True)
class Law:
    """A sentence about the world. `why` it is not so in general; nothing where it holds."""

    form: re.Pattern[str]
    why: str
    codes: tuple[str, ...]
    affirmed: bool


@dataclass(frozen=True)
class Wording:
    """The table, compiled."""

    parallel: dict[str, re.Pattern[str]]
    places: dict[str, re.Pattern[str]]
    phases: dict[str, re.Pattern[str]]
    cues: dict[str, re.Pattern[str]]
    bounds: dict[str, re.Pattern[str]]
    uses: dict[str, tuple[re.Pattern[str], ...]]
    held: tuple[re.Pattern[str], ...]
    apart: tuple[re.Pattern[str], ...]
    degree: re.Pattern[str]
    cannot: tuple[CannotText, ...]
    laws: tuple[Law, ...]
    drawn: dict[str, re.Pattern[str]]

    def refuted(self, demand: Demand) -> str:
        """Why what is claimed to be impossible is not; nothing where dagc knows no better."""
        fits = (
            each.why for each in self.cannot if each.at in ("", demand.at) and each.parallel in ("", demand.parallel)
        )
        return next(fits, "")


@cache
def wording() -> Wording:
    """The table that comes with dagc."""
    text, problems = checked(TableText, read_yaml(TABLE))
    if text is None:
        raise Refused(*problems)
    names = text.parallel | {"node": text.nodes, "gpus": text.gpus, "gpu": text.gpus}

    def form(words: str) -> re.Pattern[str]:
        named = _CLASS.sub(lambda match: f"(?:{names[match[1]]})", words).replace("{n}", f"(?P<n>{_NUMBER})")
        gaps = ((" .. ", r"\b[^.;]*?\b"), (" ?", r"[\s-]?"), (" ", r"[\s-]+"), (_SPACE, " "))
        return re.compile(reduce(lambda made, gap: made.replace(*gap), gaps, named), re.IGNORECASE)

    def forms(words: dict[str, str]) -> dict[str, re.Pattern[str]]:
        return {name: form(each) for name, each in words.items()}

    laws = tuple(Law(form(law.says), law.why.strip(), tuple(law.codes), law.affirmed) for law in text.laws)
    return Wording(
        *(forms(words) for words in (text.parallel, text.places, text.phases, text.cues, text.bounds)),
        uses={
            kind: tuple(form(use.replace("{parallel}", f"(?:{said})")) for use in text.uses)
            for kind, said in text.parallel.items()
        },
        held=tuple(map(form, text.held)),
        apart=tuple(map(form, text.apart)),
        degree=form("{n}"),
        cannot=tuple(text.cannot),
        laws=laws,
        drawn=forms(text.drawn),
    )
