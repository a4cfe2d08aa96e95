"""The verdict on an output folder: for people a line per graph and rule, for programs the same as JSON.

out/ep.dot            proposed  391 nodes  562 edges   ok
DAG9  broken          out/ep.dot:12: data moves from a to b directly
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..diagnostics import Diagnostic
from ..judgement import Judgement, Standing
from .annotations.as_json import as_json as findings_json
from .annotations.text import text as findings_text

LONGEST = 110
"""Signs of what a line says of a rule."""


@dataclass(frozen=True)
class Row:
    """One deployment of the folder. `named`: how many of its edges name what they carry."""

    file: str
    role: str
    nodes: int
    edges: int
    named: int
    errors: int


def text(
    folder: str, rows: Sequence[Row], rules: Sequence[Judgement], found: Sequence[Diagnostic], files: Sequence[str]
) -> str:
    """What was found in full, then every graph, every rule, and whether anything is missing."""
    wide = max((len(row.file) for row in rows), default=0)
    lines = [_line(row, wide) for row in rows]
    lines += ["", *(f"{each.code:<10}  {each.standing:<10}  {_short(each.says)}" for each in rules), ""]
    said = findings_text(found, files) if found else ""
    return said.rpartition("\n\n")[0] + "\n\n" * bool(found) + "\n".join(lines) + f"\n{folder}: {_sum(rules, found)}\n"


def as_json(
    folder: str, rows: Sequence[Row], rules: Sequence[Judgement], found: Sequence[Diagnostic], files: Sequence[str]
) -> str:
    """`{"folder", "complete", "deployments": […], "rules": [{"code", "verdict", …}], "files", "findings", …}`."""
    told = {
        "folder": folder,
        "complete": not any(each.severity == "error" for each in found),
        "deployments": [asdict(row) for row in rows],
        "rules": [each.as_dict() for each in rules],
        **json.loads(findings_json(found, files)),
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _line(row: Row, wide: int) -> str:
    verdict = f"{row.errors} error{'s' * (row.errors > 1)}" if row.errors else "ok"
    named = f"{row.named:,} of {row.edges:,} edges name their tensor"
    return f"{row.file:<{wide}}  {row.role:<8}  {row.nodes:,} nodes, {named}: {verdict}"


def _short(says: str) -> str:
    return says if len(says) <= LONGEST else says[: LONGEST - 2] + " …"


def _sum(rules: Sequence[Judgement], found: Sequence[Diagnostic]) -> str:
    counts = Counter(each.standing for each in rules)
    errors = list(dict.fromkeys(each.code for each in found if each.severity == "error"))
    held = f"{counts[Standing.HOLDS] + counts[Standing.WARNED]} of {len(rules)} rules hold"
    unjudged = f", {counts[Standing.UNJUDGED]} not judged" if counts[Standing.UNJUDGED] else ""
    return f"{held}{unjudged}; " + (f"wrong or missing: {', '.join(errors)}" if errors else "nothing is missing")
