"""A folder that dagc wrote: its reports, rule by rule, and everything made anew from its own files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..diagnostics import Diagnostic, Refused
from ..judgement import Judgement
from ..recheck import recheck
from ..selfcheck.deployed import deployed
from .files import Files

ENDING = ".report.json"


def reported(folder: Path, files: Files) -> tuple[list[Judgement], list[Diagnostic]]:
    """Verdicts of every report, and what `dagc verify` finds; nothing of a folder that dagc did not write."""
    if not _is_ours(folder / "manifest.json"):
        return [], []
    judged = [one for name in files.jsons if name.endswith(ENDING) for one in _judged(folder / name)]
    try:
        found = [diagnostic for each in recheck(folder) for diagnostic in each.diagnostics]
    except Refused as refused:
        found = list(refused.diagnostics)
    return judged, found


def _is_ours(manifest: Path) -> bool:
    return bool(manifest.is_file() and (data := _read(manifest)) and data.get("generator") == "dagc")


def _judged(file: Path) -> Iterator[Judgement]:
    """Of a deployment that was not refused; of a report that someone wrote over, nothing."""
    data = _read(file)
    if not data or data.get("status") == "refused":
        return
    try:
        yield from list(deployed(data))
    except (KeyError, TypeError, AttributeError, ValueError):
        return


def _read(file: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
