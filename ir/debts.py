"""Debts: what GPUs owe one another where each has only an addend of a value, and how addends are merged.

    sum     the value is the sum of the addends (a contraction whose contracted name is cut)
    lse     addends are logarithms of sums of exponentials, and so is the value: log Σ exp

A *debt* is the axis it is owed over and its kind, as text: `tp`, `cp lse`. Of a kind that is not named it is a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from .exponentials import merged

SUM = "sum"
LSE = "lse"


@dataclass(frozen=True)
class Kind:
    """What a debt is called, how addends are merged along an array's axis (of floats or residues), and the float that
    adds nothing to others.
    """

    called: str
    merge: Callable[[np.ndarray, int], np.ndarray]
    nothing: float


KINDS: dict[str, Kind] = {
    SUM: Kind("a sum", lambda addends, axis: addends.sum(axis=axis), 0.0),
    LSE: Kind("a log-sum-exp", merged, -np.inf),
}


def debt(axis: str, kind: str = SUM) -> str:
    """An axis with what is owed over it, as layouts hold it."""
    return axis if kind == SUM else f"{axis} {kind}"


def debtor(owed: str) -> str:
    """
    >>> debtor("cp lse"), kind_of("cp lse"), kind_of("cp")
    ('cp', 'lse', 'sum')
    """
    return owed.partition(" ")[0]


def kind_of(owed: str) -> str:
    """The kind of a debt."""
    return owed.partition(" ")[2] or SUM


def debtors(owes: Iterable[str]) -> tuple[str, ...]:
    """The axes of debts, without their kinds."""
    return tuple(map(debtor, owes))


def by_kind(owes: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Neighbours of one kind together: the kind and the axes it is owed over."""
    return [(kind, debtors(group)) for kind, group in groupby(owes, key=kind_of)]
