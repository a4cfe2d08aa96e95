"""The verdict on one rule of the contract (`codes.RULES`): what `report.md` and `dagc grade` say of a deployment.

    Judgement("DAG2", Standing.HOLDS, "1 total input, 1 total output", ("input_0", "output_30"))

A rule that nothing could be said of is `not judged`, with the reason: never taken to hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """From best to worst."""

    HOLDS = "holds"
    WARNED = "warned"
    UNJUDGED = "not judged"
    BROKEN = "broken"


ORDER = tuple(Standing)


@dataclass(frozen=True)
class Judgement:
    """`says`: the arithmetic, what was counted, or what is wrong; `at`: nodes that show it, the first ones of many."""

    code: str
    standing: Standing
    says: str
    at: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, str | list[str]]:
        """Plain data."""
        return {"code": self.code, "verdict": str(self.standing), "says": self.says, "nodes": list(self.at)}


def worst(judged: Sequence[Judgement]) -> Judgement:
    """One verdict of several on a rule: the worst, with what those that agree with it say."""
    standing = max((each.standing for each in judged), key=ORDER.index)
    same = [each for each in judged if each.standing is standing]
    says = "; ".join(dict.fromkeys(each.says for each in same))
    return Judgement(judged[0].code, standing, says, tuple(dict.fromkeys(node for each in same for node in each.at)))
