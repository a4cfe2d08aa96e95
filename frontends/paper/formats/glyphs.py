"""Pages of a PDF → words with their boxes, by PDFium.

A raised small digit is a power (`10^6`), a lowered one an index (`d_s`): without these marks 10⁶ would read as 106.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from ....diagnostics import Diagnostic, Refused

MOST_PAGES = 300
MOST_CHARACTERS = 3_000_000
_BOLD = re.compile(r"bold|black|heavy|medi(?!um)|demi|cmbx|cmssbx|-b$|bd\b", re.IGNORECASE)
_SHOWN = {"\x02": "-", "\ufffe": "-", "\u00ad": "-", "ˆ": "^", "˜": "~"}
"""What stands for a character: first how PDFium writes a hyphen that breaks a word. The nameless are bullets."""


@dataclass(frozen=True)
class Glyph:
    """One character: its box from the left and the bottom of the page, its baseline and font size in points."""

    text: str
    x0: float
    x1: float
    base: float
    size: float
    bold: bool


@dataclass(frozen=True)
class Word:
    """Characters without a gap between them."""

    text: str
    x0: float
    x1: float
    base: float
    size: float
    bold: bool


def pages_of(data: bytes) -> Iterator[tuple[float, list[Word]]]:
    """(width, words in the order of the file) of every page. Refused if it is no PDF, locked, or too long."""
    document = _opened(data)
    try:
        if len(document) > MOST_PAGES:
            problem = "has more pages than any paper"
            raise Refused(Diagnostic("too-large", problem, "", f"at most {MOST_PAGES}", str(len(document))))
        read = 0
        for page in document:
            glyphs = list(_glyphs(page))
            read += len(glyphs)
            if read > MOST_CHARACTERS:
                raise Refused(
                    Diagnostic("too-large", "has more text than any paper", "", f"{MOST_CHARACTERS:,} characters")
                )
            yield page.get_width(), list(words_of(glyphs))
    except pypdfium2.PdfiumError as error:
        raise Refused(Diagnostic("file", f"is a damaged PDF: {error}", "")) from error
    finally:
        document.close()


def _opened(data: bytes) -> Any:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Refused(
                Diagnostic("file", "is locked with a password", "", "a PDF that opens without one")
            ) from error
        raise Refused(Diagnostic("file", f"is a damaged PDF: {error}", "")) from error


def _glyphs(page: Any) -> Iterator[Glyph]:
    """Characters in the order of the file, spaces too, without what is turned (stamps in the margin)."""
    held = page.get_textpage()
    text = held.raw
    bold: dict[bytes, bool] = {}
    name, flags = ctypes.create_string_buffer(100), ctypes.c_int()
    box, x, y = pdfium.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
    for index in range(min(pdfium.FPDFText_CountChars(text), MOST_CHARACTERS)):
        character = chr(min(pdfium.FPDFText_GetUnicode(text, index), 0x10FFFF))
        pdfium.FPDFText_GetLooseCharBox(text, index, box)
        pdfium.FPDFText_GetCharOrigin(text, index, x, y)
        pdfium.FPDFText_GetFontInfo(text, index, name, 100, flags)
        if character.isspace():
            yield Glyph(" ", x.value, x.value, y.value, 0, False)
        else:
            if abs(pdfium.FPDFText_GetCharAngle(text, index)) > 0.1:
                continue
            font = name.value
            if font not in bold:
                bold[font] = bool(_BOLD.search(font.decode(errors="replace")))
            size = pdfium.FPDFText_GetFontSize(text, index)
            shown = _SHOWN.get(character, character if character.isprintable() else "•")
            yield Glyph(shown, box.left, box.right, y.value, size or box.top - box.bottom, bold[font])


def words_of(glyphs: list[Glyph]) -> Iterator[Word]:
    """Neighbours on one line are one word; a smaller one beside it is its power or index."""
    word: list[Glyph] = []
    for glyph in glyphs:
        if word and (glyph.text == " " or not _joins(word, glyph)):
            yield _word(word)
            word = []
        if glyph.text != " ":
            word.append(glyph)
    if word:
        yield _word(word)


def _joins(word: list[Glyph], glyph: Glyph) -> bool:
    last, size = word[-1], max(part.size for part in word)
    near = -1.1 * size < glyph.x0 - last.x1 < 0.2 * size
    return near and abs(glyph.base - word[0].base) < 0.7 * size


def _word(glyphs: list[Glyph]) -> Word:
    main = max(glyphs, key=lambda glyph: glyph.size)
    text, level = "", ""
    for glyph in glyphs:
        raised = (glyph.base - main.base) / main.size if main.size else 0
        mark = "" if glyph.size > 0.88 * main.size else "^" if raised > 0.15 else "_" if raised < -0.08 else ""
        text += mark + glyph.text if mark and mark != level and text else glyph.text
        level = mark
    x0, x1 = min(glyph.x0 for glyph in glyphs), max(glyph.x1 for glyph in glyphs)
    return Word(text, x0, x1, main.base, main.size, all(glyph.bold for glyph in glyphs))
