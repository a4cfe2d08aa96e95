"""Safe file names from any text: no separators, no leading dots, nothing a shell or a file system minds.

a"b<script>/../c  →  a-b-script-c          two texts never share a name: the second becomes name-2
"""

from __future__ import annotations

import re

RESERVED = {"con", "prn", "aux", "nul", "manifest.json"}


def safe(text: str) -> str:
    """The text with every run of other characters than letters, digits and `.,=+_-` made one dash."""
    name = re.sub(r"[^A-Za-z0-9.,=+_-]+", "-", text).strip("-.")
    name = re.sub(r"\.{2,}|-?\.-", "-", name)
    name = re.sub(r"-{2,}", "-", name)[:100]
    return f"{name}-" if name.lower() in RESERVED else name or "unnamed"


class Names:
    """Hands out safe names, each once (compared without case: some file systems do not tell them apart)."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, text: str) -> str:
        name, number = safe(text), 1
        while (candidate := name if number == 1 else f"{name}-{number}").lower() in self._taken:
            number += 1
        self._taken.add(candidate.lower())
        return candidate
