"""What a paper states, and what was remarked about it: every value with its line and its words."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .document import Document, Part

Value = int | float | str | bool | tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """Where something is said: a line (from 1) and the words that stand there; `file` is empty for the paper itself."""

    line: int
    quote: str
    file: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file else f"line {self.line}"


class How(StrEnum):
    """How a value was come by."""

    STATED = "stated"
    DERIVED = "derived"
    KNOWLEDGE = "knowledge"
    DECLARED = "declared"
    MODEL = "language model"


@dataclass(frozen=True)
class Fact:
    """One value of one key.

    Keys are those of a description: of a model (`hidden`, `layers`, `heads`, `kv_heads`, `d_k`, `ffn`, `experts`,
    `top_k`, `shared_ffn`, `activation`, `gated`, `vocab`, `norm`, `dtype`, …), of sizes (`batch_size`, `seq_len`,
    `kv_len`, `phase`), of the cluster (`gpu`, `gpus`, `gpus_per_node`, `nodes`, `memory`, `cache`, `links.inside`,
    `links.across`) or a parameter of a method (`tp`, `pp`, `ep`, `slice_width`, …). `value` is in the unit of the
    description: elements, tokens, GPUs, bytes, bytes per second. `of`: the model, method or platform it is said of;
    empty: the only one, or all.
    """

    key: str
    value: Value
    source: Source
    unit: str = ""
    of: str = ""
    part: Part = Part.OTHER
    in_table: bool = False
    how: How = How.STATED
    why: str = ""
    """The derivation (`128 / 64`), or the rule of a default."""


class Verdict(StrEnum):
    """What a remark is about; each is treated by a rule of its own and always said."""

    DERIVED = "derived"
    ASSUMED = "assumed"
    CHOSEN = "chosen"
    CONTRADICTION = "contradiction"
    FIXED = "fixed"
    FLAG = "flag"
    MISSING = "missing"
    IGNORED = "ignored"
    RULE = "rule"
    COMPARED = "compared"


@dataclass(frozen=True)
class Remark:
    """Something that the reader must know. `arithmetic` shows the figures; `instead` names other readings or repairs,
    each with the flag that selects it (`--reading exactness=literal`).
    """

    verdict: Verdict
    about: str
    text: str
    sources: tuple[Source, ...] = ()
    arithmetic: str = ""
    instead: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """A way to deploy that a paper describes, as a strategy: its text (`tp=8,pp=2`, `ep=16`), or a `body` in the keys
    of a strategy file. `role` is baseline, proposed, or compared (another one
    that the paper measures). Methods that it only mentions are none.
    """

    name: str
    role: str
    strategy: str
    sources: tuple[Source, ...]
    body: dict[str, Any] | None = field(default=None, hash=False)
    mechanism: str = ""
    """Which entry of the table of mechanisms it is."""
    written: str = ""
    """Of one that is drawn otherwise, as it is impossible as written: what it was called. Remarks say what changed."""


@dataclass(frozen=True)
class Option:
    """One way to read; `flag` selects it."""

    name: str
    about: str
    flag: str


@dataclass(frozen=True)
class Point:
    """A question with its options. `stated`: the paper itself answers it, at `sources`."""

    id: str
    question: str
    options: tuple[Option, ...]
    chosen: str
    why: str
    of: str = ""
    """The mechanism that it is asked of."""
    tries: bool = False
    """Whether the other options are tried, and what is wrong with them is said."""
    stated: bool = False
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Reading:
    """Everything read in a document: facts as stated, methods, remarks, and the descriptions to lower, in the keys of a
    YAML description (`models`, `cluster`, `baseline`, `strategies`, `sizes`).
    """

    document: Document
    facts: tuple[Fact, ...]
    methods: tuple[Method, ...]
    remarks: tuple[Remark, ...]
    description: dict[str, Any] = field(default_factory=dict, hash=False)
    points: tuple[Point, ...] = ()
    """Where it can be read in two ways, repairs included, and which was taken."""
