"""For code scanning: SARIF 2.1.0."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ...codes import CODES, RULES
from ...diagnostics import Diagnostic
from .few import few
from .place import place_of

MOST = 1_000
"""Findings of one code and file that are listed."""
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(found: Sequence[Diagnostic], files: Sequence[str]) -> str:
    """One run, with the rules that are broken and where; what is left out is in its properties."""
    codes = list(dict.fromkeys(each.code for each in found))
    driver = {"name": "dagc", "rules": [_rule(code) for code in codes]}
    groups = few(found, MOST)
    results = [_result(each, codes) for _, kept, _ in groups for each in kept]
    left = [{"file": file, "code": code, "count": count} for (file, code), _, count in groups if count]
    artifacts = [{"location": {"uri": quote(file)}} for file in files]
    run: dict[str, Any] = {"tool": {"driver": driver}, "artifacts": artifacts, "results": results}
    if left:
        run["properties"] = {"leftOut": left}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, ensure_ascii=False) + "\n"


def _rule(code: str) -> dict[str, Any]:
    entry = CODES[code]
    return {
        "id": code,
        "shortDescription": {"text": RULES.get(code, entry.meaning)},
        "fullDescription": {"text": entry.meaning},
        "help": {"text": entry.mend},
    }


def _result(each: Diagnostic, codes: list[str]) -> dict[str, Any]:
    place = place_of(each)
    details = (("expected", each.expected), ("actual", each.actual), ("hint", each.hint))
    message = "\n".join([each.problem, *(f"{name}: {value}" for name, value in details if value)])
    location: dict[str, Any] = {}
    if place.file:
        region = {"region": {"startLine": place.line}} if place.line else {}
        location["physicalLocation"] = {"artifactLocation": {"uri": quote(place.file)}, **region}
    if place.node:
        location["logicalLocations"] = [{"name": place.node}]
    return {
        "ruleId": each.code,
        "ruleIndex": codes.index(each.code),
        "level": each.severity,
        "message": {"text": message},
        "locations": [location] if location else [],
    }
