"""Every rule of the contract with its verdict: what `report.md` says of what was written, `dagc grade` of any folder.

| file | judges | by |
| --- | --- | --- |
| `drawn` | rules of the graph | the lint of the very DOT, and what it counted there |
| `deployed` | rules of the deployment | figures, and the layers of defence of its certificate |
| `written` | rules of the folder | what was written |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..codes import RULES
from ..judgement import Judgement, Standing, worst
from .deployed import deployed, proofs
from .drawn import Drawn, drawn, judge
from .written import written

__all__ = ["Drawn", "drawn", "judge", "self_check", "written"]


def self_check(views: Sequence[Drawn], report: Mapping[str, Any]) -> list[Judgement]:
    """A verdict on every rule of one deployment, in the order of the contract: of its DOT files and of its report."""
    found: dict[str, list[Judgement]] = {}
    for each in (*judge(views), *deployed(report)):
        found.setdefault(each.code, []).append(each)
    known = [code for code in (*RULES, "unreadable") if code in found]
    return [_with_proofs(worst(found[code]), proofs(code, report)) for code in known]


def _with_proofs(each: Judgement, shown: Judgement | None) -> Judgement:
    """What the layers of defence show counts beside the lint, and for it where no graph was read."""
    if shown is None:
        return each
    if each.standing is Standing.UNJUDGED or shown.standing is Standing.BROKEN:
        return shown
    return replace(each, says=f"{each.says}; {shown.says}")
