"""What sections are for, by the words of their headings: the table is `parts.yaml`.

>>> [part.value for part in parts_of([("3.1 Experimental Setup",), ("4 Experiments",), ("Shards that fit",)])]
['setup', 'results', 'method']
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import yaml

from ..document import Part

EXPERIMENTS = "experiments"
_NUMBER = re.compile(
    r"^(?:(?:section|appendix)\s+)?(?:\d+(?:\.\d+)*|[ivxlc]+(?=\.)|[a-z](?=\.|\s*:))[.):]*\s+|^[§#]+\s*"
)
_LEAD = re.compile(r"\s*(?:\w[\w'/-]*\s+){0,3}\w[\w'/-]*\s*[.:—–]")


def parts_of(sections: Iterable[tuple[str, ...]]) -> list[Part]:
    """The part of each section, given as the headings above it (without the paper's title), outermost first.

    The innermost heading with a known word decides; a heading of the paper's own making names its method; what stands
    under no heading is OTHER. Experiments are the setup unless another section is.
    """
    named = [(section, _of(section)) for section in sections]
    setup = any(name == Part.SETUP for _, name in named)
    experiments = Part.RESULTS if setup else Part.SETUP
    return [
        experiments if name == EXPERIMENTS else Part(name) if name else Part.METHOD if section else Part.OTHER
        for section, name in named
    ]


def lead_part(text: str) -> Part | None:
    """The part that a paragraph's run-in heading names ("Setup. We use …", "Implementation details: …"), if any."""
    match = _LEAD.match(text[:80])
    name = _named(match[0].strip(" .:—–")) if match else ""
    return Part(name) if name and name != EXPERIMENTS else None


def known(heading: str) -> bool:
    """Whether a heading has a word of the table."""
    return bool(_named(heading))


def _of(section: Sequence[str]) -> str:
    return next(filter(None, map(_named, reversed(section))), "")


@cache
def _named(heading: str) -> str:
    text = _NUMBER.sub("", " ".join(heading.lower().split())).strip(" .:—–-")
    return next((part for part, pattern in _table() if pattern.search(text)), "")


@cache
def _table() -> tuple[tuple[str, re.Pattern[str]], ...]:
    entries = yaml.safe_load((Path(__file__).parent / "parts.yaml").read_text(encoding="utf-8"))
    return tuple((entry["part"], re.compile("|".join(_patterns(entry)))) for entry in entries)


def _patterns(entry: dict[str, list[str]]) -> Iterator[str]:
    yield from (rf"^{re.escape(text)}$" for text in entry.get("is", ()))
    for text in entry.get("has", ()):
        yield rf"\b{re.escape(text.rstrip('*'))}{'' if text.endswith('*') else chr(92) + 'b'}"
