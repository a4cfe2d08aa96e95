"""path → Document: the format is chosen by the suffix and, where that says nothing, by the content."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ....diagnostics import Diagnostic, Refused
from ..document import Document
from . import latex, markdown, pdf, plain
from .file import bytes_of, text_of
from .latex_source import Source
from .outline import Outline

_PDF = b"%PDF-"
MARKDOWN, LATEX, PLAIN = "markdown", "latex", "plain"
SUFFIXES = {".md": MARKDOWN, ".markdown": MARKDOWN, ".mdown": MARKDOWN, ".tex": LATEX, ".latex": LATEX, ".ltx": LATEX}
_LATEX = re.compile(r"^\s*\\(?:documentclass|begin\{|section\*?\{)", re.MULTILINE)
_MARKDOWN = re.compile(r"^(?:#{1,6} \S|```|\s*[*-] \*\*)", re.MULTILINE)


def document_of(path: Path) -> Document:
    """The paper in a file. Refused if it is missing, empty, too large, no text, or in no format that dagc reads."""
    name = str(path)
    data = bytes_of(path)
    try:
        found = _of_pages(data, path) if _PDF in data[:1024] else _of_text(text_of(data, name), path)
    except Refused as refused:
        raise Refused(*(problem if problem.where else problem.at(name) for problem in refused.diagnostics)) from None
    if not found.blocks:
        pages = f"{len(found.unread)} pages without text" if found.unread else ""
        raise Refused(Diagnostic("empty-document", "holds no text", name, "a paper", pages))
    return found


def _sniffed(text: str) -> str:
    """The format of a text whose suffix says nothing (.txt, none)."""
    if len(_LATEX.findall(text)) > 1:
        return LATEX
    return MARKDOWN if _MARKDOWN.search(text) else PLAIN


def _of_pages(data: bytes, path: Path) -> Document:
    outline = Outline()
    page, empty = pdf.typed(data)
    plain.read_typed(page, outline)
    unread = tuple(f"{path.name}: page {number} has no text" for number in empty)
    return Document(path.name, outline.blocks(), tuple(page.lines), unread=unread)


def _of_text(text: str, path: Path) -> Document:
    outline = Outline()
    form = SUFFIXES.get(path.suffix.lower()) or _sniffed(text)
    source: Source | None = None
    if form == LATEX:
        source = latex.read(text, outline, lambda name: _beside(path, name))
    else:
        (markdown if form == MARKDOWN else plain).read(text, outline)
    found = Document(path.name, outline.blocks(), tuple(text.split("\n")))
    return found if source is None else _with_included(found, source)


def _with_included(document: Document, source: Source) -> Document:
    included = {name: tuple(text.split("\n")) for name, text in source.files.items()}
    unread = tuple(
        f"{file or document.name}:{line}: {name} is not beside the paper" for name, file, line in source.missing
    )
    return replace(document, included=included, unread=unread)


def _beside(path: Path, name: str) -> str | None:
    """The text of a file that a LaTeX source includes: only one in the folder of the paper, or below it."""
    folder = path.parent.resolve()
    for candidate in (folder / name, folder / f"{name}.tex"):
        found = candidate.resolve()
        if found.is_relative_to(folder) and found.suffix == ".tex" and found.is_file():
            return text_of(bytes_of(found), name)
    return None
