"""A folder of knowledge → its files: what each states, the rules in it, and why one cannot be read.

Files of every format that papers come in are opened read-only; a configuration of Hugging Face is read as the model
that it is. Nothing here fails on a file: one that is broken, huge or hostile says so in its `unread`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ....diagnostics import Diagnostic, Refused
from ...parsed import shown
from ..document import Document, Part
from ..facts import Fact, How
from ..formats import document_of
from ..lexicon.finding import facts_of
from .configuration import configured
from .keyed import keyed, stated
from .rules import HouseRule, rules_of
from .subjects import Subject, subject_of

OTHERS = {Part.ABSTRACT, Part.CONCLUSION}
"""Sections of papers on other experiments: what they find is no rule of a house, and their GPUs are not ours."""
MAX_FILES = 200
MAX_DEPTH = 8
MAX_NUMBERS = 5_000
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Known:
    """A fact of a file and what it is of: a GPU, a model, or nothing that is named."""

    fact: Fact
    subject: Subject


@dataclass(frozen=True)
class KnowledgeFile:
    """A file by its name in the folder. `unread`: why nothing of it is known."""

    name: str
    facts: tuple[Known, ...] = ()
    rules: tuple[HouseRule, ...] = ()
    unread: str = ""


def knowledge_of(folder: Path, paper: Path | None = None) -> tuple[KnowledgeFile, ...]:
    """All files under a folder, by name, but the paper itself. Refused where there is no such folder."""
    if not os.path.isdir(folder):
        problem = "is not a folder" if os.path.exists(folder) else "no such folder"
        where = shown(str(folder), quoted=False)
        raise Refused(Diagnostic("file", problem, where, "a folder of knowledge (--knowledge DIR)"))
    paths = [(name, path) for name, path in sorted(_files(folder)) if not (paper and _is_same(path, paper))]
    left = [KnowledgeFile(name, unread=f"past the first {MAX_FILES} files") for name, _ in paths[MAX_FILES:]]
    return (*(_read(name, path) for name, path in paths[:MAX_FILES]), *left)


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names and paths, without those that are hidden; links to folders are not followed."""
    for at, folders, files in os.walk(folder):
        depth = len(Path(at).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and depth < MAX_DEPTH)
        yield from ((str((Path(at) / name).relative_to(folder)), Path(at) / name) for name in files if name[0] != ".")


def _read(name: str, path: Path) -> KnowledgeFile:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return KnowledgeFile(name, unread="is no file")
        facts = configured(path)
        if facts is not None:
            return KnowledgeFile(name, tuple(_known(name, fact, subject) for fact, subject in facts))
        keys = keyed(path)
        document = keys or document_of(path)
        if (numbers := sum(len(_NUMBER.findall(block.text)) for block in document.blocks)) > MAX_NUMBERS:
            return KnowledgeFile(name, unread=f"holds {numbers:,} numbers: it is data, not knowledge")
        facts = stated(keys) if keys else [(fact, subject_of(document, fact)) for fact in facts_of(document)]
        other = OTHERS.intersection(block.part for block in document.blocks)
        known = tuple(_known(name, fact, subject) for fact, subject in facts if subject.name or not other)
        return KnowledgeFile(name, known, () if other else tuple(_ruled(name, document)))
    except Refused as refused:
        return KnowledgeFile(name, unread=refused.diagnostics[0].problem)
    except OSError as error:
        return KnowledgeFile(name, unread=f"cannot be read: {error.strerror}")
    except RecursionError:
        return KnowledgeFile(name, unread="is nested too deeply")


def _known(name: str, fact: Fact, subject: Subject) -> Known:
    return Known(replace(fact, how=How.KNOWLEDGE, source=replace(fact.source, file=name)), subject)


def _ruled(name: str, document: Document) -> Iterator[HouseRule]:
    for rule in rules_of(document):
        yield replace(rule, source=replace(rule.source, file=name))


def printable(name: str) -> str:
    """A file's name as a report may hold it."""
    return re.sub(r"[^\x20-\x7e\w]", "?", name)[:200]
