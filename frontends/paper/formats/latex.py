"""LaTeX → blocks, by pylatexenc; commands and environments are listed in latex.yaml."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ....diagnostics import Diagnostic, Refused
from ..document import Kind
from .latex_source import Load, Source
from .latex_tables import rows_of
from .latex_text import Node, arguments, children, name_of, nodes_of, table, text_of, text_of_source
from .outline import Lines, Outline

LONGEST_PARAGRAPH = 200_000
_LEAD_IN = 60


def read(text: str, outline: Outline, load: Load) -> Source:
    """All blocks of a LaTeX source and of what it includes. The source says where everything stands."""
    source = Source(load)
    source.read(text)
    if max(map(len, re.split(r"\n\s*\n", source.text))) > LONGEST_PARAGRAPH:
        problem = "has a paragraph longer than any paper's"
        raise Refused(Diagnostic("too-large", problem, "", f"at most {LONGEST_PARAGRAPH:,} characters"))
    try:
        _Reader(source, outline).read(_body(nodes_of(source.text)))
    except RecursionError:
        raise Refused(Diagnostic("too-large", "is nested more deeply than any paper", "")) from None
    return source


def _body(nodes: Sequence[Node]) -> Sequence[Node]:
    """What stands in \\begin{document}, with a title before it; of a fragment, everything."""
    document = next((node for node in nodes if name_of(node) == "document"), None)
    if document is None:
        return nodes
    return [*(node for node in nodes if name_of(node) == "title"), *children(document)]


@dataclass
class _Reader:
    """Collects the text of one paragraph (`pieces`, from `first` to `last`) until something ends it."""

    source: Source
    outline: Outline
    kind: Kind = Kind.PROSE
    pieces: list[str] = field(default_factory=list)
    first: int = -1
    last: int = -1
    notes: list[Node] = field(default_factory=list)

    def read(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if node is not None:
                self._node(node)
        self._flush()

    def _node(self, node: Node) -> None:
        kind = type(node).__name__
        if kind == "LatexCharsNode":
            self._chars(node)
        elif kind == "LatexEnvironmentNode":
            self._environment(node)
        elif kind == "LatexGroupNode":
            for child in children(node):
                self._node(child)
        elif kind == "LatexMathNode" and node.displaytype == "display":
            self._formula(node)
        elif kind == "LatexMacroNode":
            self._command(node)
        else:
            self._take(text_of([node]), node.pos, node.pos + node.len)

    def _chars(self, node: Node) -> None:
        """Text; an empty line in it ends the paragraph."""
        at = node.pos
        for place, part in enumerate(_paragraphs(node.chars)):
            if place % 2:
                self._flush()
            else:
                self._take(part, at, at + len(part))
            at += len(part)

    def _take(self, text: str, start: int, end: int) -> None:
        self.pieces.append(text)
        if text.strip():
            self.first = start + len(text) - len(text.lstrip()) if self.first < 0 else self.first
            self.last = max(self.last, end - 1 - (len(text) - len(text.rstrip())))

    def _flush(self) -> None:
        """Ends the paragraph; its footnotes follow it."""
        text, lines, notes = "".join(self.pieces), self._lines(self.first, self.last), self.notes
        self.pieces, self.first, self.last, self.notes = [], -1, -1, []
        self._add(self.kind, text, lines)
        for note in notes:
            self._add(Kind.PROSE, text_of(arguments(note)[-1:]), self._lines(note.pos, note.pos + note.len - 1))

    def _add(self, kind: Kind, text: str, lines: Lines) -> None:
        self.outline.add(kind, text, lines)

    def _command(self, node: Node) -> None:
        name, given = name_of(node), arguments(node)
        if name in table()["levels"] and given:
            self._flush()
            self._heading(table()["levels"][name], text_of(given[-1:]), node)
        elif name == "item":
            self._flush()
            self.kind = Kind.BULLET
            self._take(text_of(given) + " ", node.pos, node.pos + node.len)
        elif name in ("footnote", "footnotetext"):
            self.notes.append(node)
        elif name in ("caption", "captionof", "par", "newpage"):
            self._flush()
            self._add(Kind.PROSE, text_of(given[-1:]), self._lines(node.pos, node.pos + node.len - 1))
        elif any(type(child).__name__ == "LatexEnvironmentNode" for argument in given for child in children(argument)):
            for child in given:
                self._node(child)
        else:
            self._take(text_of([node]), node.pos, node.pos + node.len)

    def _heading(self, level: int, text: str, node: Node) -> None:
        self.outline.heading(level, text, self._lines(node.pos, node.pos + node.len - 1))
        self.kind = Kind.PROSE
        if level > 4:
            self._take(f"{text.rstrip(' .:')}. ", node.pos, node.pos + node.len)

    def _environment(self, node: Node) -> None:
        name = name_of(node)
        before = "".join(self.pieces) if self.kind is Kind.BULLET else ""
        self._flush()
        kind = self.kind
        for words, act in (("lists", self._list), ("tables", self._table), ("floats", self._float)):
            if name in table()[words]:
                with self.outline.under(before if words == "lists" and len(before.strip()) < _LEAD_IN else ""):
                    act(node)
                break
        else:
            self._other(name, node)
        self.kind = kind

    def _other(self, name: str, node: Node) -> None:
        if name in table()["formulas"]:
            self._formula(node)
        elif name in table()["verbatim"]:
            self._verbatim(node)
        elif name not in table()["skipped"]:
            if name == "abstract":
                self.outline.heading(2, "Abstract", self._lines(node.pos, node.pos))
            self.kind = Kind.PROSE if self.kind is Kind.PROSE else self.kind
            self.read(children(node))

    def _list(self, node: Node) -> None:
        self.read(children(node))

    def _table(self, node: Node, caption: str = "") -> None:
        self._rows(node, caption)

    def _rows(self, node: Node, caption: str) -> None:
        self.outline.rows(rows_of(node, lambda offset: self._lines(offset, offset)[0]), caption)

    def _float(self, node: Node) -> None:
        """A table or figure; its caption, wherever it stands, is above its rows."""
        inside = list(_inside(node))
        captions = [text_of(arguments(child)[-1:]) for child in inside if name_of(child) == "caption"]
        for child in inside:
            if name_of(child) == "caption":
                self._command(child)
            elif name_of(child) in table()["tables"]:
                self._rows(child, captions[0] if captions else "")

    def _formula(self, node: Node) -> None:
        self._flush()
        self._add(Kind.FORMULA, text_of_source(node), self._lines(node.pos, node.pos + node.len - 1))

    def _verbatim(self, node: Node) -> None:
        at = node.pos
        for line in node.latex_verbatim().split("\n"):
            if not line.lstrip().startswith(("\\begin{", "\\end{")):
                self._add(Kind.FORMULA, line, self._lines(at, at))
            at += len(line) + 1

    def _lines(self, first: int, last: int) -> Lines:
        """The lines of a stretch of the source; of one that goes over several files, those in its first."""
        file, line = self.source.place(max(0, first))
        other, end = self.source.place(max(0, last))
        self.outline.file = file
        return line, max(line, end) if other == file else line


def _paragraphs(text: str) -> list[str]:
    """Text, gap, text, …: split at empty lines."""
    return re.split(r"(\n[ \t]*\n\s*)", text)


def _inside(node: Node) -> list[Node]:
    """All tables and captions below a node, in order."""
    found: list[Node] = []
    for child in [*children(node), *arguments(node)]:
        if name_of(child) == "caption" or name_of(child) in table()["tables"]:
            found.append(child)
        else:
            found.extend(_inside(child))
    return found
