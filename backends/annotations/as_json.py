"""For programs: a list of findings, every field a key."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ...diagnostics import Diagnostic
from .place import place_of


def as_json(found: Sequence[Diagnostic], files: Sequence[str]) -> str:
    """`{"files": […], "findings": [{"code", "severity", "file", "line", "node", "message", "expected", …}]}`."""
    findings = [_finding(each) for each in found]
    return json.dumps({"files": list(files), "findings": findings}, indent=1, ensure_ascii=False) + "\n"


def _finding(each: Diagnostic) -> dict[str, str | int]:
    place = place_of(each)
    return {
        "code": each.code,
        "severity": each.severity,
        "file": place.file,
        "line": place.line,
        "node": place.node,
        "message": each.problem,
        "expected": each.expected,
        "actual": each.actual,
        "hint": each.hint,
    }
