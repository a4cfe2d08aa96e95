"""Models that are told apart by how their paragraphs begin, or by the headings above.

* Small: 12 layers of width 768         ### Small model
* Large: 24 layers of width 1024        It has 12 layers …

Such leads name models only where two of them say the same sizes differently: "Attention: 32 heads of 128" beside
"Experts: 16 of width 4096" are parts of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..document import Block, Part
from .linking import key_of
from .subjects import subjects

_LEAD = re.compile(r"(?P<lead>[A-Z(][^:;,]{0,40}?)\s*(?::|—|–|\.(?=\s))")
_GENERIC = re.compile(r"\b(?:model|network|configuration|variant)s?\b", re.IGNORECASE)
_DESCRIBING = (Part.SETUP, Part.METHOD)
"""Parts whose headings may name models."""
SHARED = 2
"""Sizes that two leads must both say to be two models."""


def lead_of(block: Block) -> str:
    """What a paragraph or an entry begins with, as a label, else the innermost heading above it."""
    match = _LEAD.match(block.text)
    above = block.section[-1] if len(block.section) > 1 and block.part in _DESCRIBING else ""
    lead = match["lead"] if match else above
    named = subjects(lead, [])
    label = named[0].label if named else " ".join(_GENERIC.sub(" ", lead).split())
    return "" if key_of(label) or len(label.split()) > 4 else label


def models_among(said: Mapping[str, Mapping[str, object]], core: Iterable[str]) -> list[str]:
    """Leads that are models, given what each says."""
    keys = set(core)
    sizes = {lead: {key: value for key, value in own.items() if key in keys} for lead, own in said.items() if lead}
    return [lead for lead in sizes if any(_differ(sizes[lead], other) for name, other in sizes.items() if name != lead)]


def _differ(own: Mapping[str, object], other: Mapping[str, object]) -> bool:
    both = own.keys() & other.keys()
    return len(both) >= SHARED and any(own[key] != other[key] for key in both)
