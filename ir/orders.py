"""Orders: which indices of a dimension each of the parts holds that an axis cuts it into.

    contiguous      part r of p holds the r-th run of n/p indices
    strided         r, r + p, r + 2p, …; `strided 2` deals out pairs of indices in this way
    zigzag          of 2p equal chunks the r-th from the front and the r-th from the back (causal attention in balance)
    [3, 0, 2, 1]    a table: of 4 equal chunks, in the order listed, the r-th run of 4/p (a placement of experts)
    uneven 10       runs that are not equal: 10 units are dealt as evenly as can be, 3, 3, 2 and 2 of them to 4 parts
    (5, 3, 2)       runs in these proportions

    ring            in time: part r passes over all p of them, at step i over part (r − i) mod p (ring attention's
                    keys); of parts in any of the orders above: `ring zigzag`

A unit is here the tenth part of what is cut: what follows a dimension (rows of experts its sequences, KV heads their
groups of heads) is so cut in the same units, into other sizes.

A *cut* of a dimension is the axis and its order, as text: `cp`, `cp zigzag`, `ep [3, 0, 2, 1]`. Cuts nest: the order of
an inner one is that of the indices in the part it cuts; one in time is the innermost. `Levels` are nested cuts without
the names of their axes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm

import numpy as np

CONTIGUOUS = "contiguous"
RING = "ring"
UNEVEN = "uneven"
MAX_TABLE = 65_536
"""Chunks that a table may list."""

Levels = tuple[tuple[int, str], ...]
"""Nested cuts, outermost first: into how many parts, in which order. Empty: all are contiguous."""


def _runs(parts: int, size: int, block: int) -> np.ndarray:
    return np.arange(size).reshape(parts, -1)


def _strided(parts: int, size: int, block: int) -> np.ndarray:
    return np.arange(size).reshape(-1, parts, block).swapaxes(0, 1).reshape(parts, -1)


def _zigzag(parts: int, size: int, block: int) -> np.ndarray:
    chunks = np.arange(size).reshape(2 * parts, -1)
    return np.concatenate([chunks[:parts], chunks[: parts - 1 : -1]], axis=1)


ORDERS: dict[str, Callable[[int, int, int], np.ndarray]] = {
    CONTIGUOUS: _runs,
    "strided": _strided,
    "zigzag": _zigzag,
}
"""By name: parts, size and block → global indices [parts, size / parts]. Only `strided` has blocks."""

_TEXT = re.compile(
    r"(?P<name>[a-z]+)(?: (?P<block>[1-9]\d{0,8}))?|\[(?P<table>\d{1,9}(?:, \d{1,9})*)\]"
    r"|\((?P<sizes>[1-9]\d{0,8}(?:, [1-9]\d{0,8})*)\)",
    re.ASCII,
)


def cut(axis: str, order: str = CONTIGUOUS) -> str:
    """An axis with its order, as layouts hold it."""
    return axis if order == CONTIGUOUS else f"{axis} {order}"


def axis_of(a_cut: str) -> str:
    """
    >>> axis_of("cp zigzag"), order_of("cp zigzag"), order_of("cp")
    ('cp', 'zigzag', 'contiguous')
    """
    return a_cut.partition(" ")[0]


def order_of(a_cut: str) -> str:
    """The order of a cut."""
    return a_cut.partition(" ")[2] or CONTIGUOUS


def in_time(a_cut: str) -> bool:
    """Is the dimension passed over in time, part after part?

    >>> in_time("cp ring zigzag"), in_time("cp zigzag"), at_rest("cp ring zigzag"), passed("cp zigzag")
    (True, False, 'cp zigzag', 'cp ring zigzag')
    """
    return passes_by(order_of(a_cut))


def passes_by(order: str) -> bool:
    """Is it an order in time?"""
    return order.partition(" ")[0] == RING


def at_rest(a_cut: str) -> str:
    """The cut that leaves every GPU its own part only."""
    return cut(axis_of(a_cut), still(order_of(a_cut)))


def passed(a_cut: str) -> str:
    """The cut whose parts all pass by every GPU."""
    return cut(axis_of(a_cut), f"{RING} {still(order_of(a_cut))}".removesuffix(f" {CONTIGUOUS}"))


def still(order: str) -> str:
    """The order of the parts, which may be passed over in time."""
    name, _, rest = order.partition(" ")
    return (rest or CONTIGUOUS) if name == RING else order


def in_space(cuts: Iterable[str]) -> tuple[str, ...]:
    """The cuts that give GPUs different parts for good."""
    return tuple(a_cut for a_cut in cuts if not in_time(a_cut))


def axes_of(cuts: Iterable[str]) -> tuple[str, ...]:
    """The axes of cuts, without their orders."""
    return tuple(map(axis_of, cuts))


def problem(order: str, parts: int = 1) -> str:
    """What is wrong with an order, of itself or over so many parts; or nothing."""
    in_steps, order = passes_by(order), still(order)
    match = _TEXT.fullmatch(order)
    if match is None or (match["name"] and match["name"] not in (*ORDERS, UNEVEN)):
        known = ", ".join((*ORDERS, UNEVEN, RING))
        return f"is none of {known}, a table such as [3, 0, 2, 1] or sizes such as (3, 3, 2)"
    if match["block"] and match["name"] not in ("strided", UNEVEN):
        return f"has blocks, which {match['name']} has not"
    if is_unequal(order):
        return "lets parts pass by that are not equal" if in_steps else _problem_of_sizes(order, parts)
    table = table_of(order)
    if sorted(table) != list(range(len(table))):
        return f"does not list each of 0 to {len(table) - 1} once"
    return f"lists {len(table)} chunks, which {parts} parts do not share equally" if len(table) % parts else ""


def _problem_of_sizes(order: str, parts: int) -> str:
    sizes, dealt = listed_sizes(order), units(order)
    if sizes and parts not in (1, len(sizes)):
        return f"lists the sizes of {len(sizes)} parts, of {parts}"
    return f"deals {dealt} units to {parts} parts, of which some get none" if dealt and dealt < parts else ""


def is_unequal(order: str) -> bool:
    """Does an order make parts of different sizes?"""
    return order.startswith(("(", UNEVEN))


def unequal(cuts: Levels) -> bool:
    """Do nested cuts make parts of different sizes?"""
    return any(is_unequal(order) for _, order in cuts)


def uneven(count: int) -> str:
    """The order that deals so many units as evenly as can be."""
    return f"{UNEVEN} {count}"


def listed(sizes: Iterable[int]) -> str:
    """The order of runs in these proportions."""
    return f"({', '.join(map(str, sizes))})"


@lru_cache(maxsize=1024)
def listed_sizes(order: str) -> tuple[int, ...]:
    """The sizes that an order lists; none for any other."""
    return tuple(map(int, order[1:-1].split(","))) if order.startswith("(") else ()


def units(order: str) -> int:
    """The units that an uneven order deals; 0 where it does not say."""
    return int(order.partition(" ")[2] or 0) if order.startswith(UNEVEN) else 0


def only_sizes(a_cut: str) -> str:
    """A cut of what lies in any order: the axis, and how great the parts are where they are not equal.

    >>> only_sizes("ep strided"), only_sizes("ep uneven 10")
    ('ep', 'ep uneven 10')
    """
    return a_cut if is_unequal(order_of(a_cut)) else axis_of(a_cut)


@lru_cache(maxsize=1024)
def portions(cuts: Levels) -> tuple[int, np.ndarray]:
    """Of how many the whole is, and how many of them each part holds: int64 [parts].

    >>> portions(((4, "uneven 10"),))[1].tolist(), portions(((2, "contiguous"), (2, "uneven 5")))[1].tolist()
    ([3, 3, 2, 2], [3, 2, 3, 2])

    ValueError where an uneven cut has not a unit for each part.
    """
    held = [Fraction(1)]
    for parts, order in cuts:
        held = [own * each for own in held for each in _fractions(parts, order)]
    whole = lcm(*(own.denominator for own in held))
    made = np.array([int(own * whole) for own in held], dtype=np.int64)
    made.setflags(write=False)
    return whole, made


def _fractions(parts: int, order: str) -> Sequence[Fraction]:
    """Of what is cut, how much each part has."""
    if sizes := listed_sizes(order):
        return [Fraction(size, sum(sizes)) for size in sizes]
    if not is_unequal(order):
        return [Fraction(1, parts)] * parts
    if (dealt := units(order)) < parts:
        raise ValueError(f"{dealt} units are not dealt to {parts} parts")
    return [Fraction(dealt // parts + (i < dealt % parts), dealt) for i in range(parts)]


@lru_cache(maxsize=1024)
def table_of(order: str) -> tuple[int, ...]:
    """The chunks that a table lists, in its order; none for an order with a name."""
    return tuple(map(int, order[1:-1].split(","))) if order.startswith("[") else ()


def table(chunks: Iterable[int]) -> str:
    """The order that lists these chunks."""
    return f"[{', '.join(map(str, chunks))}]"


def refined(order: str, outermost: bool, inner: int) -> str:
    """The order of a sub-axis, so that all together order as the axis did; `inner`: parts of those inside of it.

    >>> refined("strided", True, 2), refined("strided", False, 1), refined("zigzag", False, 1)
    ('strided 2', 'strided', 'zigzag')
    """
    if passes_by(order):
        return order_of(passed(cut("", refined(still(order), outermost, inner))))
    if order.startswith("strided"):
        block = _block(order) * inner
        return f"strided {block}" if block > 1 else "strided"
    return order if order == "zigzag" or outermost else CONTIGUOUS


def levels(cuts: Iterable[tuple[int, str]]) -> Levels:
    """Of nested (parts, order); empty where each is contiguous."""
    found = tuple(cuts)
    return found if any(order != CONTIGUOUS for _, order in found) else ()


def runs(order: str, parts: int) -> int | None:
    """Of how many runs an order is made, whatever the size; None where it takes them apart.

    What follows a dimension in groups (KV heads the heads) has parts in the same order if they are made of whole runs.
    """
    order = still(order)
    if order.startswith("strided"):
        return None
    return len(table_of(order)) or (2 * parts if order == "zigzag" else parts)


def divisor(cuts: Levels) -> int:
    """What a size must be a multiple of, to be cut so. ValueError where units are not dealt so, whatever the size."""
    if not cuts:
        return 1
    if unequal(cuts):
        return lcm(*(_divisor_of_level(cuts[:at], *cuts[at]) for at in range(len(cuts))))
    (parts, order), *rest = ((parts, still(order)) for parts, order in cuts)
    return lcm(runs(order, parts) or parts * _block(order), parts * divisor(tuple(rest)))


def fits(cuts: Levels, size: int) -> bool:
    """Can a size be cut so?

    >>> fits(((3, "uneven 8"),), 32), fits(((3, "uneven 8"),), 36), fits(((3, "uneven 2"),), 32)
    (True, False, False)
    """
    try:
        return size % divisor(cuts) == 0
    except ValueError:
        return False


def _divisor_of_level(outer: Levels, parts: int, order: str) -> int:
    """What a size must be a multiple of, so that what lies outside of a cut leaves it parts that it can cut."""
    cuts, chunks = (outer, runs(order, parts) or parts * _block(order)) if not is_unequal(order) else ((), 1)
    whole, held = portions(cuts or (*outer, (parts, order)))
    return lcm(*(whole * chunks // gcd(whole * chunks, own) for own in set(held.tolist())))


@lru_cache(maxsize=1024)
def pieces(cuts: Levels, size: int) -> Sequence[np.ndarray]:
    """The indices that each part holds, however great parts are.

    >>> [part.tolist() for part in pieces(((2, "uneven 5"), (2, "zigzag")), 20)][0]
    [0, 1, 2, 9, 10, 11]
    """
    if not unequal(cuts):
        return list(indices(cuts, size))
    held = [np.arange(size)]
    for parts, order in cuts:
        held = [own[part] for own in held for part in _pieces(order, parts, len(own))]
    return held


def _pieces(order: str, parts: int, size: int) -> Sequence[np.ndarray]:
    if not is_unequal(order):
        return list(_indices(order, parts, size))
    if problem(order, parts) or not fits(((parts, order),), size):
        raise ValueError(f"{size} indices are not cut into {parts} parts in order {order}")
    whole, held = portions(((parts, order),))
    return np.split(np.arange(size), np.cumsum(held * size // whole)[:-1])


@lru_cache(maxsize=1024)
def indices(cuts: Levels, size: int) -> np.ndarray:
    """The indices that each part holds, in the order in which they lie there: int64 [parts, size / parts].

    >>> indices(((2, "zigzag"),), 8).tolist()
    [[0, 1, 6, 7], [2, 3, 4, 5]]

    ValueError where the size cannot be cut so, or where parts are not equal: see `pieces`.
    """
    if unequal(cuts):
        raise ValueError(f"the parts of {text(cuts)} are not equal")
    held = np.arange(size)[None]
    for parts, order in ((parts, still(order)) for parts, order in cuts):
        if wrong := problem(order, parts):
            raise ValueError(f"order {order} {wrong}")
        one = _indices(order, parts, held.shape[1])
        held = held[:, one].reshape(-1, one.shape[1])
    held.setflags(write=False)
    return held


def _indices(order: str, parts: int, size: int) -> np.ndarray:
    if size % divisor(((parts, order),)):
        raise ValueError(f"{size} indices are not cut into {parts} parts in order {order}")
    if listed := table_of(order):
        return np.arange(size).reshape(len(listed), -1)[list(listed)].reshape(parts, -1)
    return ORDERS[order.partition(" ")[0]](parts, size, _block(order))


def _block(order: str) -> int:
    return int(order.partition(" ")[2] or 1)


def text(cuts: Levels) -> str:
    """As operators state it: `2 contiguous / 4 zigzag`."""
    return " / ".join(f"{parts} {order}" for parts, order in cuts)


@lru_cache(maxsize=1024)
def parse(said: str) -> Levels:
    """Read what `text` writes. ValueError for anything else."""
    found: list[tuple[int, str]] = []
    for part in said.split(" / ") if said else ():
        parts, _, order = part.partition(" ")
        if not re.fullmatch(r"[1-9][0-9]{0,8}", parts) or problem(order, int(parts)):
            raise ValueError(f"not an order: {said!r}")
        found.append((int(parts), order))
    return tuple(found)
