"""For people: diagnostics in full, the first of each code and file, then a line that counts all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...diagnostics import Diagnostic
from .few import few

MOST = 20
"""Findings of one code and file that are printed."""


def text(found: Sequence[Diagnostic], files: Sequence[str]) -> str:
    """
    >>> print(text([], ["ep.dot"]), end="")
    ep.dot: ok
    """
    if not found:
        return f"{_named(files)}: ok\n"
    severities = Counter(each.severity for each in found)
    codes = Counter(each.code for each in found)
    counted = ", ".join(f"{count} {severity}{'s' if count > 1 else ''}" for severity, count in severities.items())
    listed = ", ".join(f"{code} × {count}" if count > 1 else code for code, count in codes.items())
    shown = "".join(_shown(kept, left) for _, kept, left in few(found, MOST))
    return f"{shown}{_named(files)}: {counted} ({listed})\n"


def _shown(kept: list[Diagnostic], left: int) -> str:
    more = f"… and {left:,} more ({kept[0].code})\n\n" if left else ""
    return "".join(f"{each}\n\n" for each in kept) + more


def _named(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else f"{len(files)} files"
