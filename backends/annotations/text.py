"""For people: every diagnostic in full, then a line that counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...diagnostics import Diagnostic


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
    return "".join(f"{each}\n\n" for each in found) + f"{_named(files)}: {counted} ({listed})\n"


def _named(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else f"{len(files)} files"
