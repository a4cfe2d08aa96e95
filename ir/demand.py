"""What someone demands of deployments, beside what a model needs: rules of a house, as data.

no tensor parallelism inside experts     Demand(Kind.NEVER, parallel="tp", at="experts")
no sequence parallelism in decode        Demand(Kind.NEVER, parallel="sp", phase="decode")
never split layer norms                  Demand(Kind.NEVER, parallel="any", at="norms")
attention is data parallel               Demand(Kind.ALWAYS, parallel="dp", at="attention")
TP stays inside a node                   Demand(Kind.NODE, parallel="tp")
EP degree of 16 or more                  Demand(Kind.DEGREE, parallel="ep", least=16)
at least 4 experts per GPU               Demand(Kind.EXPERTS, least=4)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is demanded; each is judged in its own way (`passes/demands.py`)."""

    NEVER = "never"
    ALWAYS = "always"
    NODE = "inside a node"
    DEGREE = "degree"
    EXPERTS = "experts per GPU"
    DRAWN = "drawn"
    LAW = "law"


@dataclass(frozen=True)
class Demand:
    """`parallel`: tp, sp, ep, pp, dp, or any; `at`: a part of a model, or anywhere; `phase`: prefill, decode, or both.

    `least` and `most` bound a number. `codes`: rules of drawn graphs that say the same. A law says something of the
    world rather than demand something of a plan.
    """

    kind: Kind
    parallel: str = "any"
    at: str = ""
    phase: str = ""
    least: int | None = None
    most: int | None = None
    codes: tuple[str, ...] = ()
