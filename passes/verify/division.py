"""Does a number of parts divide a size, whatever its symbols stand for? Three answers, and one condition.

    8 | 64                          holds: 64 = 8 · 8
    8 | P, P defined as 16          proven: 16 = 8 · 2
    8 | T, T = 8 · ⌈2·B·S / 512⌉    proven for all sizes: every coefficient of T / 8 is whole
    8 | B, B free                   a precondition: for every B divisible by 8
    8 | B, B = 12                   refuted: 12 = 8 · 1 + 4
    8 | T, T = 4 · ⌈…⌉              refuted by a counterexample, or else unknown

There is no solver: a polynomial with whole coefficients over whole symbols is whole, and that is all that is used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from ...ir.dims import Size, Sizes, as_number, free_symbols, number, substitute, text


class Answer(StrEnum):
    """What is known of `parts | size`."""

    PROVEN = "proven"
    HOLDS = "holds"
    ASSUMED = "assumed"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Division:
    """An answer and its reason; `value` is the size where it is a number."""

    answer: Answer
    because: str
    value: int | None = None


def divide(parts: int, size: Size, sizes: Sizes) -> Division:
    """Whether `parts` divides `size`: for all sizes, for the bound ones, as a precondition, or not."""
    general = _unbound(sizes).shown(size)
    if as_number(general) is None and _is_whole(general / parts):
        return Division(Answer.PROVEN, f"{text(general)} is a multiple of {parts} for all sizes")
    value = as_number(sizes.shown(size))
    if isinstance(value, int):
        fixed = bool(free_symbols(size)) and as_number(general) is not None
        return _numbers(parts, value, Answer.PROVEN if fixed else Answer.HOLDS)
    if _is_whole(sizes.shown(size) / parts):
        return Division(Answer.HOLDS, f"{text(sizes.shown(size))} is a multiple of {parts}")
    if free_symbols(size) <= {name for name, _ in sizes.bound}:
        return Division(Answer.ASSUMED, f"for every {text(sizes.shown(size))} divisible by {parts}")
    return _sample(parts, size, sizes) or Division(Answer.UNKNOWN, f"missing: {parts} divides {text(general)}")


def _numbers(parts: int, value: int, answer: Answer = Answer.HOLDS) -> Division:
    quotient, rest = divmod(value, parts)
    if rest:
        return Division(Answer.REFUTED, f"{value} = {parts} · {quotient} + {rest}", value)
    return Division(answer, f"{value} = {parts} · {quotient}", value)


def _unbound(sizes: Sizes) -> Sizes:
    return replace(sizes, bound=tuple((name, None) for name, _ in sizes.bound))


def _is_whole(quotient: Size) -> bool:
    """A polynomial whose coefficients are whole numbers, over symbols and rounded-up terms that are whole."""
    return quotient.as_numer_denom()[1] == 1


def _sample(parts: int, size: Size, sizes: Sizes) -> Division | None:
    """A counterexample among small sizes that meet every precondition of these parts."""
    names = [name for name, value in sizes.bound if value is None]
    for factor in (1, 2, 3):
        chosen = {name: number(parts * factor) for name in names}
        value = as_number(substitute(sizes.shown(size), chosen))
        if isinstance(value, int) and value % parts:
            shown = ", ".join(f"{name} = {text(chosen[name])}" for name in names)
            return Division(Answer.REFUTED, f"with {shown}: {_numbers(parts, value).because}", value)
    return None
