"""Facts of a paper and of a folder → the facts of the folder that say what the paper does not. Nothing overrides it.

    paper        H100, 16 GPUs
    h100.md      "An H100 has 80 GB … An A100 has 40 GB …"      →    memory 80 GB; that of the A100 is of another GPU
    other.md     "The model has 48 layers"                      →    nothing: whose layers these are is not said

A fact counts where it is of something that the paper names. Of GPUs it also does where it names none and is the only
one; of models where its file states enough of what the paper states, and nothing else of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from ..document import Document
from ..facts import Fact, Remark, Source, Verdict
from .folder import KnowledgeFile, Known, printable
from .subjects import CLUSTER, Subject

ALIKE = 3
"""Facts that a file must share with the paper to be taken to be about its model."""
OF_THE_WORLD = ("memory", "cache", "flops", "links.inside", "links.across", "gpus_per_node")
"""Keys of the cluster that knowledge may fill; how many GPUs there are is the paper's to say."""
OF_THE_EXPERIMENT = ("batch_size", "seq_len", "kv_len", "phase", "gpus", "nodes", "gpu")


@dataclass(frozen=True)
class Filled:
    """The facts used, those in the way of which the paper stands, and what is to be said of both and of each file."""

    facts: tuple[Fact, ...]
    remarks: tuple[Remark, ...]


def filling(files: Iterable[KnowledgeFile], document: Document, stated: Iterable[Fact]) -> Filled:
    """What the files add to the facts that a paper states. Every file is either cited or listed as ignored."""
    filler = _Filler(document, tuple(stated))
    used: dict[tuple[str, str], Fact] = {}
    remarks: list[Remark] = []
    for file in files:
        found = [filler.fitting(known, file) for known in file.facts]
        fits = [fact for fact in found if fact is not None]
        for fact in fits:
            remarks += filler.said(fact, used)
        new = [fact for fact in fits if not filler.states(fact)]
        for fact in new:
            used.setdefault((fact.key, fact.of), fact)
        cited = [fact for fact in new if used[fact.key, fact.of] == fact]
        if not cited and not file.rules:
            remarks.append(_ignored(file, bool(fits)))
    return Filled(tuple(used.values()), tuple(dict.fromkeys(remarks)))


@dataclass(frozen=True)
class _Filler:
    document: Document
    stated: tuple[Fact, ...]

    def fitting(self, known: Known, file: KnowledgeFile) -> Fact | None:
        """The fact as one of the paper's models or clusters; None where it is of something else."""
        fact, subject = known.fact, known.subject
        if fact.key in OF_THE_EXPERIMENT or (fact.key in CLUSTER and fact.key not in OF_THE_WORLD):
            return None
        if subject.name:
            return replace(fact, of=self._called(subject)) if subject.is_in(self.text) else None
        fits = fact.key in OF_THE_WORLD or self._is_alike(file)
        return replace(fact, of="") if fits else None

    @cached_property
    def text(self) -> str:
        """All that the paper says."""
        return "\n".join(self.document.lines)

    def states(self, fact: Fact) -> bool:
        """Does the paper say it itself, rightly or not?"""
        return any(own.key == fact.key and own.of in ("", fact.of) for own in self.stated)

    def said(self, fact: Fact, used: dict[tuple[str, str], Fact]) -> Iterator[Remark]:
        """Where the paper, or a file before it, says something else."""
        own = next((own for own in self.stated if own.key == fact.key and own.of in ("", fact.of)), None)
        if own is not None:
            if own.value != fact.value and all(each.value != fact.value for each in self._alike(fact)):
                yield _overruled(fact, own, "the paper")
        elif (first := used.get((fact.key, fact.of))) and first.value != fact.value:
            yield _overruled(fact, first, "the file before it")

    def _alike(self, fact: Fact) -> list[Fact]:
        return [own for own in self.stated if own.key == fact.key]

    def _called(self, subject: Subject) -> str:
        """What the paper's facts are of that are of this name; nothing where they name none."""
        return next((own.of for own in self.stated if own.of and subject.is_in(own.of)), "")

    def _is_alike(self, file: KnowledgeFile) -> bool:
        """Does a file that names no model state what the paper states of its one model?"""
        own = {fact.key: fact.value for fact in self.stated}
        mine = {known.fact.key: known.fact.value for known in file.facts if known.fact.key not in CLUSTER}
        shared = [key for key in mine if key in own and key not in OF_THE_EXPERIMENT]
        return sum(own[key] == mine[key] for key in shared) >= ALIKE and all(own[key] == mine[key] for key in shared)


def _overruled(fact: Fact, stands: Fact, whose: str) -> Remark:
    text = f"{whose} says {stands.value}, {printable(fact.source.file)} says {fact.value}: {whose} stands"
    return Remark(Verdict.IGNORED, fact.key, text, (stands.source, fact.source))


def _ignored(file: KnowledgeFile, known: bool) -> Remark:
    if file.unread:
        why = file.unread
    elif not file.facts:
        why = "it states nothing that a deployment depends on"
    else:
        why = "the paper says all of it itself" if known else "it is of no GPU and no model of the paper"
    return Remark(Verdict.IGNORED, printable(file.name), f"not used: {why}", (Source(1, "", file.name),))
