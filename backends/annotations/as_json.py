"""For programs: a list of findings, every field a key; and how many of which code are left out."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ...diagnostics import Diagnostic
from .few import few
from .place import place_of

MOST = 1_000
"""Findings of one code and file that are listed."""


def as_json(found: Sequence[Diagnostic], files: Sequence[str]) -> str:
    """`{"files": […], "findings": [{"code", "severity", "file", "line", "node", "message", "expected", …}], "left_out":
    [{"file", "code", "count"}]}`."""
    groups = few(found, MOST)
    findings = [_finding(each) for _, kept, _ in groups for each in kept]
    left = [{"file": file, "code": code, "count": count} for (file, code), _, count in groups if count]
    told = {"files": list(files), "findings": findings, "left_out": left}
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


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
