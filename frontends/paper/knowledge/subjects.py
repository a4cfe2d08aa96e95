"""What a fact of a file is of: the GPU or the model whose name stands nearest before it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from ..document import Block, Document, Kind
from ..facts import Fact
from ..lexicon.vocabulary import vocabulary

CLUSTER = ("memory", "cache", "flops", "links.inside", "links.across", "gpus_per_node", "gpu", "gpus", "nodes")
"""Keys of GPUs; all others are of models and of what they are given."""
_COUNT = r"\d+(?:\.\d+)?(?:x\d+)?B"
_MODEL = rf"[A-Za-z][A-Za-z]+(?:[ -]?v?\d+(?:\.\d+)*)?(?:[ -][A-Za-z]+){{0,2}}?[ -]?{_COUNT}(?:-A{_COUNT})?"
"""A published model: a family, perhaps a version and what it is for, and a number of parameters."""


@dataclass(frozen=True)
class Subject:
    """A name as written; none where nothing is named."""

    name: str = ""
    hardware: bool = False

    def is_in(self, text: str) -> bool:
        """Does a text name it, in any spelling? `Subject("Llama-3.1-70B").is_in("a Llama 3.1 70B")`"""
        return any(_form(spelling).search(text) for spelling in self._spellings)

    @property
    def _spellings(self) -> tuple[str, ...]:
        names = vocabulary().gpu_names if self.hardware else {}
        kind = next((kind for spelling, kind in names.items() if _form(spelling).fullmatch(self.name)), "")
        return (self.name, *(spelling for spelling, other in names.items() if other == kind))


@lru_cache(maxsize=1024)
def _form(name: str) -> re.Pattern[str]:
    """A name, whatever stands between its words and figures."""
    parts = map(re.escape, re.findall(r"[A-Za-z]+|\d+", name))
    joined = r"[\s._-]*".join(parts)
    return re.compile(rf"(?<![A-Za-z0-9]){joined}(?![A-Za-z0-9])", re.IGNORECASE)


def subject_of(document: Document, fact: Fact) -> Subject:
    """Whose fact it is: as its table says, else by the name before it in its block, its headings or its file."""
    hardware = fact.key in CLUSTER
    if fact.of:
        return Subject(fact.of, hardware)
    block = next((each for each in document.blocks if _has(each, fact)), None)
    if block is None:
        return Subject("", hardware)
    at = block.text.find(fact.source.quote)
    before = block.text[: at + len(fact.source.quote)] if at >= 0 else block.text
    texts = (block.text, *reversed(block.section), re.sub(r"[_.]", " ", document.name.rpartition(".")[0]))
    last = [match[0] for match in _names(hardware).finditer(before)][-1:]
    return Subject(next(iter((*last, *filter(None, (named_in(text, hardware) for text in texts)))), ""), hardware)


def named_in(text: str, hardware: bool) -> str:
    """The first GPU, or model, that a text names; nothing where it names none."""
    match = _names(hardware).search(text)
    return match[0] if match else ""


def _has(block: Block, fact: Fact) -> bool:
    """Is it the block that states a fact: one that is more than a heading, and has its line?"""
    return block.kind is not Kind.HEADING and block.lines[0] <= fact.source.line <= block.lines[1]


@cache
def _names(hardware: bool) -> re.Pattern[str]:
    gpus = "|".join(sorted(map(re.escape, vocabulary().gpu_names), key=len, reverse=True))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{gpus if hardware else _MODEL})(?![A-Za-z0-9])", re.IGNORECASE)
