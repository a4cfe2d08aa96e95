"""What must hold between the numbers of a model, however it was described."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..diagnostics import Diagnostic

Where = Callable[[str], str]
"""The name of a number here (heads, kv_heads, top_k …) → where the description states it."""


def divisors(number: int) -> str:
    """The divisors of a number, as a message lists them.

    >>> divisors(12)
    '1, 2, 3, 4, 6, 12'
    """
    found = [d for d in range(1, min(number, 4096) + 1) if number % d == 0]
    listed = ", ".join(map(str, found[:16]))
    return f"{listed}, …" if len(found) > 16 else listed


def head_problems(heads: int | None, kv_heads: int | None, where: Where) -> Iterator[Diagnostic]:
    """Every KV head serves the same number of query heads."""
    if heads and kv_heads and heads % kv_heads:
        expected, actual = f"a divisor of {heads} ({divisors(heads)})", str(kv_heads)
        problem = f"{heads} heads cannot share {kv_heads} KV heads"
        yield Diagnostic("indivisible", problem, where("kv_heads"), expected, actual)


def head_size_problems(hidden: int | None, heads: int | None, where: Where) -> Iterator[Diagnostic]:
    """Without a head size of its own, a head is hidden / heads wide."""
    if hidden and heads and hidden % heads:
        problem = f"no head size is given, and {heads} heads do not divide hidden = {hidden}"
        expected, hint = f"a divisor of {hidden}", "give the head size"
        yield Diagnostic("indivisible", problem, where("heads"), expected, str(heads), hint)


def router_problems(experts: int | None, top_k: int | None, where: Where) -> Iterator[Diagnostic]:
    """A token cannot see more experts than there are."""
    if experts and top_k and top_k > experts:
        problem = f"each token is sent to {top_k} of only {experts} experts"
        yield Diagnostic("wrong-type", problem, where("top_k"), f"at most {experts}", str(top_k))


def group_problems(
    experts: int | None, groups: int | None, top_groups: int | None, where: Where
) -> Iterator[Diagnostic]:
    """Groups of experts are equal, and no more are chosen than there are."""
    if experts and groups and experts % groups:
        expected, actual = f"a divisor of {experts} ({divisors(experts)})", str(groups)
        problem = f"{experts} experts are no {groups} equal groups"
        yield Diagnostic("indivisible", problem, where("groups"), expected, actual)
    if groups and top_groups and top_groups > groups:
        problem = f"each token chooses {top_groups} of only {groups} groups of experts"
        yield Diagnostic("wrong-type", problem, where("top_groups"), f"at most {groups}", str(top_groups))


def layer_problems(listed: Iterable[int] | None, layers: int | None, where: Where) -> Iterator[Diagnostic]:
    """Listed layers exist."""
    if missing := [layer for layer in listed or () if layers and layer >= layers]:
        problem = f"layers {', '.join(map(str, missing[:5]))} do not exist"
        yield Diagnostic("wrong-type", problem, where("dense_layers"), f"0 to {(layers or 1) - 1}", str(missing[0]))
