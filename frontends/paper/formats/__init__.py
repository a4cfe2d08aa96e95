"""Files of any format → documents: blocks of plain text with their lines, their headings, and what those are for.

opening    path → Document: chooses the format by suffix and content; refuses what cannot be read
file       bytes of a file, within limits, and their text
outline    collects blocks under headings; `parts` tells what a section is for (parts.yaml)
grids      the rows of a table, with or without a header
markdown   by markdown-it; `formulas`: those inside sentences as plain text
latex      by pylatexenc: `latex_source` (macros, included files), `latex_text`, `latex_tables`; words in latex.yaml
plain      text as people type it: `typed` lines, `typed_headings`, `typed_tables`, `typed_stacks`, `hyphens`
pdf        by PDFium: `glyphs` → words, `pages` → lines in the order of reading, which `plain` reads
"""

from .opening import document_of

__all__ = ["document_of"]
