"""Diagnostics as others' tools take them: text, JSON, annotations of GitHub, SARIF. Of anything, not of DOT only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...diagnostics import Diagnostic
from .as_json import as_json
from .github import github
from .sarif import sarif
from .text import text

Writer = Callable[[Sequence[Diagnostic], Sequence[str]], str]
"""What was found, in which files → all that is printed, ending in a newline unless it is empty."""

WRITERS: dict[str, Writer] = {"text": text, "json": as_json, "github": github, "sarif": sarif}
