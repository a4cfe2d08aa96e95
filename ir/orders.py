"""Orders: which indices of a dimension each of the parts holds that an axis cuts it into.

    contiguous      part r of p holds the r-th run of n/p indices
    strided         r, r + p, r + 2p, …; `strided 2` deals out pairs of indices in this way
    zigzag          of 2p equal chunks the r-th from the front and the r-th from the back (causal attention in balance)
    [3, 0, 2, 1]    a table: of 4 equal chunks, in the order listed, the r-th run of 4/p (a placement of experts)

    ring            in time: part r passes over all p of them, at step i over part (r − i) mod p (ring attention's
                    keys); of parts in any of the orders above: `ring zigzag`

A *cut* of a dimension is the axis and its order, as text: `cp`, `cp zigzag`, `ep [3, 0, 2, 1]`. Cuts nest: the order of
an inner one is that of the indices in the part it cuts; one in time is the innermost. `Levels` are nested cuts without
the names of their axes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from math import lcm

import numpy as np

CONTIGUOUS = "contiguous"
RING = "ring"
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

_TEXT = re.compile(r"(?P<name>[a-z]+)(?: (?P<block>[1-9]\d{0,8}))?|\[(?P<table>\d{1,9}(?:, \d{1,9})*)\]", re.ASCII)


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
    return order_of(a_cut).split(" ")[0] == RING


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
    order = still(order)
    match = _TEXT.fullmatch(order)
    if match is None or (match["name"] and match["name"] not in ORDERS):
        return f"is none of {', '.join(ORDERS)}, {RING}, or a table such as [3, 0, 2, 1]"
    if match["block"] and match["name"] != "strided":
        return f"has blocks, which {match['name']} has not"
    table = table_of(order)
    if sorted(table) != list(range(len(table))):
        return f"does not list each of 0 to {len(table) - 1} once"
    return f"lists {len(table)} chunks, which {parts} parts do not share equally" if len(table) % parts else ""


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
    if order.partition(" ")[0] == RING:
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
    """Of how many equal runs an order is made, whatever the size; None where it takes them apart.

    What follows a dimension in groups (KV heads the heads) has parts in the same order if they are made of whole runs.
    """
    order = still(order)
    if order.startswith("strided"):
        return None
    return len(table_of(order)) or (2 * parts if order == "zigzag" else parts)


def divisor(cuts: Levels) -> int:
    """What a size must be a multiple of, to be cut so."""
    if not cuts:
        return 1
    (parts, order), *rest = ((parts, still(order)) for parts, order in cuts)
    return lcm(runs(order, parts) or parts * _block(order), parts * divisor(tuple(rest)))


@lru_cache(maxsize=1024)
def indices(cuts: Levels, size: int) -> np.ndarray:
    """The indices that each part holds, in the order in which they lie there: int64 [parts, size / parts].

    >>> indices(((2, "zigzag"),), 8).tolist()
    [[0, 1, 6, 7], [2, 3, 4, 5]]

    ValueError where the size cannot be cut so.
    """
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
