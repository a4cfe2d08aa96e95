"""deal: which expert every slot holds, of what a strategy says of its slots.

    4 experts, redundant 2, over 2 GPUs              [0, 1, 2] [2, 3, 0]: experts in runs, copies dealt out in turn
    4 experts, replicas {3: 2, 0: 2}, over 2 GPUs    [0, 1, 3] [2, 3, 0]: no GPU has an expert twice if there is a way
    4 experts, slots: gpus, over 3 GPUs              [0, 2] [1, 0] [2, 3]: two on each, as few as hold all
    4 experts, redundant 1, uneven, over 2 GPUs      [0, 1, 0] [2, 3]
    placement [[0, 1, 3], [2, 3, 0]]                 as it says

Copies of which no list says whose they are go to experts at equal distances: which are hot, only loads can tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np

from ..diagnostics import Diagnostic, Refused
from ..ir.slots import EACH_GPU, MAX_SLOTS, Slots, least

LISTED = 12
"""Experts that a message names."""


def counted(slots: Slots, experts: int, parts: int, alike: bool) -> int:
    """How many slots there are for so many parts of GPUs, `alike` if all are to have as many. Refused with all that is
    wrong.
    """
    found = list(_unknown(slots, experts))
    found += _misplaced(slots, experts, parts, alike) if slots.placement else ()
    if not found:
        found += _miscounted(slots, experts, parts, alike)
    if found:
        raise Refused(*found)
    return _total(slots, experts, parts)


def dealt(slots: Slots, experts: int, held: Sequence[int]) -> list[list[int]]:
    """The experts of every part, which have so many slots each. Refused where a placement lists other numbers."""
    if not slots.placement:
        return _deal(_copies(slots, experts, sum(held) - experts), experts, held)
    if (lengths := [len(own) for own in slots.placement]) != list(held):
        hint = "list as many, or let one axis cut experts, without an order"
        problem = "the placement lists other numbers of experts than the cut gives"
        raise Refused(_wrong(slots, problem, _list(list(held)), _list(lengths), hint))
    return [list(own) for own in slots.placement]


def _total(slots: Slots, experts: int, parts: int) -> int:
    if slots.placement:
        return sum(map(len, slots.placement))
    needed = least(experts, slots.replicas)
    if slots.total is not None:
        return -(-needed // parts) * parts if slots.total == EACH_GPU else int(slots.total)
    if slots.redundant is not None:
        return experts + (parts if slots.redundant == EACH_GPU else int(slots.redundant))
    return needed


def _copies(slots: Slots, experts: int, redundant: int) -> list[int]:
    """Whose copies there are beyond one of each: first copies, then second ones, …"""
    counts = dict(slots.replicas)
    listed = [expert for expert, count in slots.replicas for _ in range(count - 1)]
    others = [expert for expert in range(experts) if expert not in counts] or list(range(experts))
    spread = redundant - len(listed)
    made = listed + [others[len(others) * i // spread] for i in range(spread)]
    seen: dict[int, int] = {}
    ranked = [(seen.setdefault(expert, 0), seen.update({expert: seen[expert] + 1}), expert) for expert in made]
    return [expert for _, _, expert in sorted(ranked, key=lambda item: item[0])]


def _deal(copies: list[int], experts: int, held: Sequence[int]) -> list[list[int]]:
    """Experts in runs, and in the places left the copies in turn, where there is a way none on a part that has it."""
    made, total = [], sum(held)
    for end, slots in zip(accumulate(held), held, strict=True):
        own = list(range(experts * (end - slots) // total, experts * end // total))
        while len(own) < slots:
            own.append(copies.pop(next((i for i, copy in enumerate(copies) if copy not in own), 0)))
        made.append(own)
    return made


def _unknown(slots: Slots, experts: int) -> Iterator[Diagnostic]:
    """Ids that are no expert's, and counts below one."""
    named = {expert for expert, _ in slots.replicas} | {expert for own in slots.placement for expert in own}
    if beyond := sorted(expert for expert in named if not 0 <= expert < experts):
        problem = f"the model has no expert {_list(beyond)}"
        yield _wrong(slots, problem, f"ids from 0 to {experts - 1}", _list(beyond), "remove them")


def _misplaced(slots: Slots, experts: int, parts: int, alike: bool) -> Iterator[Diagnostic]:
    lengths = [len(own) for own in slots.placement]
    if len(lengths) != parts:
        problem = f"the placement lists {len(lengths)} GPUs, experts are cut into {parts} parts"
        hint = f"list the experts of {parts} GPUs, or cut experts by axes of {len(lengths)} parts"
        yield _wrong(slots, problem, f"{parts} lists", str(len(lengths)), hint)
    if missing := sorted(set(range(experts)) - {expert for own in slots.placement for expert in own}):
        hint = "add each to a GPU's list"
        yield _wrong(slots, f"no slot holds expert {_list(missing)}", "a slot for every expert", _list(missing), hint)
    if len(set(lengths)) > 1 and alike:
        problem, hint = f"GPUs hold from {min(lengths)} to {max(lengths)} experts", "give some of them a copy more"
        yield _wrong(slots, problem, "equally many on every GPU", _list(lengths), f"{hint}, or cut experts in no order")


def _miscounted(slots: Slots, experts: int, parts: int, alike: bool) -> Iterator[Diagnostic]:
    total, needed = _total(slots, experts, parts), least(experts, slots.replicas)
    fewest = -(-needed // parts)
    near = sorted({max(fewest, each) * parts for each in (total // parts, -(-total // parts))})
    fits = " or ".join(map(str, near))
    hint = f"use {fits} slots, that is {' or '.join(str(n - experts) for n in near)} more than experts"
    if total < needed:
        told = f"{experts} experts and {needed - experts} replicas" if slots.replicas else f"{experts} experts"
        yield _wrong(slots, f"{total} slots do not hold {told}", f"at least {needed} slots", str(total), hint)
    elif total % parts and alike:
        problem = f"{total} slots are not shared equally by {parts} parts of GPUs"
        yield _wrong(slots, problem, f"a multiple of {parts}", str(total), f"{hint}; or cut experts uneven")
    elif total > MAX_SLOTS:
        yield _wrong(slots, f"{total} slots are too many", f"at most {MAX_SLOTS}", str(total), "use fewer")


def _wrong(slots: Slots, problem: str, expected: str, actual: str, hint: str) -> Diagnostic:
    return Diagnostic("slots", problem, slots.where, expected=expected, actual=actual, hint=hint)


def _list(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:LISTED])) + ", …" * (len(ids) > LISTED)


def table(rows: list[list[int]], held: Sequence[np.ndarray]) -> list[int]:
    """The expert of every slot, where part p has the slots `held[p]`."""
    made = np.empty(sum(map(len, held)), dtype=np.int64)
    made[np.concatenate(held)] = np.concatenate(rows)
    return made.tolist()
