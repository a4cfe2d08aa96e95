"""What a proposal is called: the name that the paper's title gives it, else its mechanism's."""

from __future__ import annotations

import re

from ..document import Document
from .mechanisms import Mechanism

_LONGEST = 3
"""Words before the colon of a title that may be a name, if the text uses it again."""


def name_of(document: Document, mechanism: Mechanism) -> str:
    """`HeadSlice: Partitioning Attention …` → head-slice."""
    head, colon, _ = document.title.partition(":")
    words = head.split()
    named = bool(colon) and 1 <= len(words) <= _LONGEST
    if not named or not any(head in block.text for block in document.blocks if block.text != document.title):
        return mechanism.name
    return slug(head) or mechanism.name


def slug(text: str) -> str:
    """Lower case, words with hyphens between: a name for a strategy and for files."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", text)
    return re.sub(r"[^a-z0-9]+", "-", parted.lower()).strip("-")
