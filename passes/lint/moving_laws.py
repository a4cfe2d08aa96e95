"""Laws of what splits, joins and moves: sizes change by as much as there are parts or members."""

from __future__ import annotations

from math import prod

from ...ir.drawing import Devices, Family, Node, Size, Tensor
from .dimensions import may_equal
from .laws import Tensors, keep, new_names


def split(node: Node, ins: Tensors, outs: Tensors) -> str:
    """Parts add up to the whole; a part alone is not larger than it."""
    if len(ins) != 1:
        return ""
    if node.family is Family.SPLIT and len(outs) > 1 and all(out.key == ins[0].key for out in outs):
        return f"each of {len(outs)} parts is as large as the whole"
    return _parted(ins[0], outs, "part")


def concat(node: Node, ins: Tensors, outs: Tensors) -> str:
    """The whole is what its parts add up to; it is not smaller than a part."""
    return _parted(outs[0], ins, "input") if len(outs) == 1 else ""


def _parted(whole: Tensor, parts: Tensors, what: str) -> str:
    if any(part.dims.keys() != whole.dims.keys() for part in parts):
        return new_names(parts[0], whole) if what == "part" else ""
    cut = [name for name in whole.dims if any(not may_equal(part.dims[name], whole.dims[name]) for part in parts)]
    for name in cut:
        sizes, total = [part.dims[name] for part in parts], whole.dims[name]
        numbers = [found for found in sizes if isinstance(found, int)]
        if not isinstance(total, int) or len(numbers) < len(sizes):
            continue
        if max(numbers) > total:
            return f"{name} is {max(numbers)} in a{'n' if what == 'input' else ''} {what}, and {total} in the whole"
        if len(parts) > 1 and len(cut) == 1 and sum(numbers) != total:
            return f"{name}: {' + '.join(map(str, numbers))} = {sum(numbers)}, not {total}"
    return ""


def all_gather(node: Node, ins: Tensors, outs: Tensors) -> str:
    """One size becomes as many times larger as there are members."""
    return _scaled(node, ins[0], outs[0], grows=True)


def reduce_scatter(node: Node, ins: Tensors, outs: Tensors) -> str:
    """One size becomes as many times smaller as there are members."""
    return _scaled(node, ins[0], outs[0], grows=False)


def _scaled(node: Node, before: Tensor, after: Tensor, grows: bool) -> str:
    small, large = (before, after) if grows else (after, before)
    if small.dims.keys() != large.dims.keys():
        return new_names(after, before)
    changed = [name for name in small.dims if not may_equal(small.dims[name], large.dims[name])]
    if len(changed) != 1:
        return f"{', '.join(changed)} change, and only one may" if changed else _unchanged(node, small, large)
    name = changed[0]
    few, many = small.dims[name], large.dims[name]
    members = _members(node)
    if not (isinstance(few, int) and isinstance(many, int) and members) or few * (members - 1) < many <= few * members:
        return ""
    verb = "grows" if grows else "shrinks"
    return f"{name} {verb} from {before.dims[name]} to {after.dims[name]} among {members} members"


def _unchanged(node: Node, small: Tensor, large: Tensor) -> str:
    """Nothing may stay as it is where there are several members, and all sizes are numbers."""
    if (_members(node) or 1) < 2 or small.volume is None or large.volume is None:
        return ""
    return f"no size changes among {_members(node)} members"


def send(node: Node, ins: Tensors, outs: Tensors) -> str:
    """One GPU sends another what it gets; among several, sizes grow at most as often as there are senders, and shrink
    at most as often as there are receivers."""
    place, wrong = node.devices, keep(node, ins, outs)
    several = isinstance(place, Devices) and len(place.senders | place.receivers) > 2
    if not wrong or not several or ins[0].dims.keys() != outs[0].dims.keys():
        return wrong
    assert isinstance(place, Devices)
    ratios = [_ratio(ins[0].dims[name], outs[0].dims[name]) for name in ins[0].dims]
    grown, shrunk = prod(r for r in ratios if r > 1), prod(1 / r for r in ratios if r < 1)
    if grown > len(place.senders):
        return f"sizes grow {grown:g} times, from {len(place.senders)} senders"
    if round(shrunk, 6) > len(place.receivers):
        return f"sizes shrink {shrunk:g} times, to {len(place.receivers)} receivers"
    return ""


def _members(node: Node) -> int | None:
    return node.devices.members if isinstance(node.devices, Devices) else None


def swap(node: Node, ins: Tensors, outs: Tensors) -> str:
    """What one size gains another loses: every GPU ends with as much as it began with."""
    if len(ins) != 1 or len(outs) != 1 or ins[0].dims.keys() != outs[0].dims.keys():
        return ""
    before, after = ins[0].volume, outs[0].volume
    if before is None or after is None:
        return ""
    if before != after:
        return f"{before} elements go in, {after} come out"
    members, grown = _members(node), [_ratio(ins[0].dims[name], outs[0].dims[name]) for name in ins[0].dims]
    most = prod(ratio for ratio in grown if ratio > 1)
    return f"sizes change {most:g} times among {members} members" if members and most > members else ""


def _ratio(before: Size, after: Size) -> float:
    return after / before if isinstance(before, int) and isinstance(after, int) and before else 1.0
