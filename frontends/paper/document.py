"""A paper as a sequence of blocks of plain text, each with its lines and the headings above it.

Formats differ in `formats`; nothing past this knows them. Text is whitespace-normalised and free of markup; formulas
keep their source. Lines count from 1 in the file as it is (in a PDF: in the text that was extracted, page after page).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a block is: one paragraph, one entry of a list, one row of a table, one displayed formula, one heading."""

    HEADING = "heading"
    PROSE = "prose"
    BULLET = "bullet"
    ROW = "row"
    FORMULA = "formula"


class Part(StrEnum):
    """What a section is for, by its headings; settles which of two statements wins (`RANK`)."""

    SETUP = "setup"
    METHOD = "method"
    RESULTS = "results"
    OTHER = "other"
    ABSTRACT = "abstract"
    CONCLUSION = "conclusion"


RANK: dict[Part, int] = {part: rank for rank, part in enumerate(Part)}
"""The lower, the more a statement weighs: setup, then tables of results, …; abstract and conclusion last."""


@dataclass(frozen=True)
class Block:
    """One block. `lines` are the first and last line of its source; `section` the headings above it, outermost first.

    Of a row, `cells` are its texts and `header` those of the table's first row.
    """

    kind: Kind
    text: str
    lines: tuple[int, int]
    section: tuple[str, ...] = ()
    part: Part = Part.OTHER
    cells: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    file: str = ""
    """The file that the paper includes and in which the block stands; empty for the paper's own."""


@dataclass(frozen=True)
class Document:
    """A paper: the name of its file, its blocks in order, and the lines of its source text.

    `included`: name → lines of the files that it takes in; `unread`: what could not be read of it, and where.
    """

    name: str
    blocks: tuple[Block, ...]
    lines: tuple[str, ...]
    included: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    def source_of(self, block: Block) -> tuple[str, ...]:
        """The lines of a block, as they stand in its file."""
        first, last = block.lines
        return (self.included[block.file] if block.file else self.lines)[first - 1 : last]

    @property
    def title(self) -> str:
        """The first heading, or the name of the file."""
        return next((block.text for block in self.blocks if block.kind is Kind.HEADING), self.name)
