"""Which GPUs a node names, in its label and in its attributes, and whether the two agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from ...ir.drawing import Devices, Unreadable
from .contents import Attributes
from .devices import devices
from .fields import Stated

_Found = Devices | Unreadable | None


@dataclass(frozen=True)
class Place:
    """`devices`: where the node is; `said`: whether its label says so; `clash`: attribute and label that differ."""

    devices: _Found
    said: bool
    clash: tuple[str, str] | None


def place_of(attributes: Attributes, label: Stated, said: _Found) -> Place:
    """Where a node is, from its attributes and its label."""
    named = next((attributes[key] for key in ("gpu", "gpus", "device", "devices", "rank_id") if key in attributes), "")
    ends = tuple(attributes.get(key, "") for key in ("from", "to"))
    group = attributes.get("group") or attributes.get("members") or ""
    drawn = _joined(said, label.senders, label.receivers, label.members)
    return _place(named, ends[0], ends[1], group, drawn)


@lru_cache(65536)
def _place(named: str, sender: str, receiver: str, group: str, drawn: _Found) -> Place:
    told = _joined(devices(named), devices(sender), devices(receiver), devices(group))
    if not isinstance(told, Devices) or not isinstance(drawn, Devices):
        return Place(told if isinstance(told, Devices) else drawn or told, drawn is not None, None)
    if _differ(told, drawn):
        return Place(told, True, (str(told), str(drawn)))
    return Place(replace(told, all=told.all or drawn.all, ids=told.ids or drawn.ids, **_finer(told, drawn)), True, None)


def _finer(told: Devices, drawn: Devices) -> dict[str, frozenset[int]]:
    return {name: getattr(told, name) or getattr(drawn, name) for name in ("senders", "receivers")}


def _differ(told: Devices, drawn: Devices) -> bool:
    if told.host != drawn.host:
        return True
    return told.known and drawn.known and told.ids != drawn.ids


@lru_cache(65536)
def _joined(own: _Found, sender: _Found, receiver: _Found, members: _Found) -> _Found:
    """One statement of the several that a node makes: its own GPUs, else its members, else who sends and receives."""
    senders, receivers = (each.ids if isinstance(each, Devices) else frozenset[int]() for each in (sender, receiver))
    found = own if own is not None else members
    if senders or receivers:
        base = found if isinstance(found, Devices) else Devices()
        ids, vague = (base.ids, base.vague) if base.known else (senders | receivers, False)
        return replace(base, ids=ids, vague=vague, senders=senders, receivers=receivers)
    if isinstance(found, Devices) and isinstance(members, Devices) and members.groups:
        return replace(found, groups=members.groups)
    return found
