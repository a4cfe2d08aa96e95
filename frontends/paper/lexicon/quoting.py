"""Where the words of a block stand in the source: a line, and an exact piece of it."""

from __future__ import annotations

import re

from ..document import Block, Document
from ..facts import Source

_GAP = r"[\s*_`$\\{}~|&,]{0,12}?"
"""What markup may put between two tokens of the text."""
LONGEST = 200


def source(document: Document, block: Block, words: str) -> Source:
    """Line and quote of some words of a block. Words that wrap are quoted up to the end of their first line."""
    first, lines, file = block.lines[0], document.source_of(block), block.file
    for number, line in enumerate(lines, first):
        if words in line:
            return Source(number, words, file)
    tokens = re.findall(r"\w+|[^\w\s]", words)[:60]
    for length in range(len(tokens), 0, -1):
        form = re.compile(_GAP.join(map(re.escape, tokens[:length])))
        for number, line in enumerate(lines, first):
            if match := form.search(line):
                return Source(number, match[0], file)
    return Source(first, (lines[0].strip() if lines else words)[:LONGEST], file)
