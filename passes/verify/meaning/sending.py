"""What receivers of a transfer hold: put together from what each is sent, by nobody but those who send to it.

A value's places along a name without a fixed order are counted as if it had one; which rows lie there goes with them,
and all who send to one receiver must have the same rows at the same places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .pieces import Held, Impossible, Value, assembled, together

HeldOn = Callable[[np.ndarray], Held]
"""GPUs → per dimension the indices that each of them has."""


def received(pairs: np.ndarray, names: tuple[str, ...], sent: Value, held: HeldOn, wanted: HeldOn) -> Value:
    """The value on all receivers. `held`: what senders have of it, `wanted`: what receivers are to have."""
    return together([_from(givers, taker, names, sent, held, wanted) for taker, givers in _alike(pairs)])


def _alike(pairs: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Receivers with equally many senders: their GPUs [n], and those of the senders [n, senders]."""
    takers, counts = np.unique(pairs[:, 1], return_counts=True)
    for count in np.unique(counts):
        mine = pairs[np.isin(pairs[:, 1], takers[counts == count])]
        ordered = mine[np.lexsort((mine[:, 0], mine[:, 1]))].reshape(-1, count, 2)
        yield ordered[:, 0, 1], ordered[:, :, 0]


def _from(
    givers: np.ndarray, taker: np.ndarray, names: tuple[str, ...], sent: Value, held: HeldOn, wanted: HeldOn
) -> Value:
    sources = [(sent.on(giver), held(giver)) for giver in givers.T]
    want = wanted(taker)
    data = assembled([(value.data, own) for value, own in sources], want)
    rows = {}
    for name in sent.rows:
        axis = names.index(name)
        rows[name] = _rows([(value.rows[name], own[axis]) for value, own in sources], want[axis], name)
    return Value(data, taker, rows)


def _rows(sources: list[tuple[np.ndarray, np.ndarray]], wanted: np.ndarray, name: str) -> np.ndarray:
    """Which rows lie at the places wanted: those that the senders have there."""
    made = np.full(wanted.shape, -1, dtype=np.int64)
    for rows, own in sources:
        match = own[:, None, :] == wanted[:, :, None]
        found = np.where(match.any(axis=2), np.take_along_axis(rows, match.argmax(axis=2), axis=1), -1)
        if ((made >= 0) & (found >= 0) & (made != found)).any():
            raise Impossible(f"is sent other rows of {name} by one than by another")
        made = np.maximum(made, found)
    return made
