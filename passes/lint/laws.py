"""What operators of a family owe: a law says in words what is wrong with a node's dimensions, or nothing."""

from __future__ import annotations

from collections.abc import Callable

from ...ir.drawing import Fact, Node, Tensor
from .dimensions import agree, may_equal
from .names import BATCH, CHOSEN, EXPERTS, HEAD_SIZE, HEADS, KEYS, SEQUENCE, merges, named, size

Tensors = tuple[Tensor, ...]
Law = Callable[[Node, Tensors, Tensors], str]
"""What is wrong, in words; empty when nothing is."""


def readable(fact: Fact) -> bool:
    """Whether a fact holds tensors that can be compared."""
    return isinstance(fact, tuple) and bool(fact) and all(tensor.plain for tensor in fact)


def sizes_kept(before: Tensor, after: Tensor) -> str:
    """Names that both have are equally large."""
    return next(
        (
            f"{name} is {before.dims[name]} before and {after.dims[name]} after"
            for name in before.dims
            if name in after.dims and not may_equal(before.dims[name], after.dims[name])
        ),
        "",
    )


def new_names(after: Tensor, *before: Tensor) -> str:
    """No name appears that none of those before has."""
    known = set[str]().union(*(tensor.dims for tensor in before))
    new = [name for name in after.dims if name not in known]
    return f"{', '.join(new)} comes from nowhere" if new else ""


def keep(node: Node, ins: Tensors, outs: Tensors) -> str:
    """The output is like an input."""
    if any(out.dims.keys() == into.dims.keys() and agree(into, out) for out in outs for into in ins):
        return ""
    found = [(sizes_kept(into, out) or new_names(out, into)) for into in ins for out in outs]
    return found[0] if all(found) else ""


def add(node: Node, ins: Tensors, outs: Tensors) -> str:
    """All inputs and the output are alike."""
    first = outs[0]
    return next((wrong for into in ins if (wrong := sizes_kept(into, first) or new_names(first, into))), "")


def cache(node: Node, ins: Tensors, outs: Tensors) -> str:
    """The output is like the input, of as many tokens as the cache holds."""
    before = _without(ins[0], SEQUENCE | KEYS)
    return next((wrong for out in outs if (wrong := sizes_kept(before, out))), "")


def activation(node: Node, ins: Tensors, outs: Tensors) -> str:
    """The output is like its inputs, or half of one that holds both branches of a gated unit."""
    out = outs[0]
    halves = [Tensor({**out.dims, name: 2 * found}) for name, found in out.dims.items() if isinstance(found, int)]
    if "glu" in node.title.lower() and any(agree(ins[0], both) for both in halves):
        return ""
    return keep(node, ins, outs)


def contract(node: Node, ins: Tensors, outs: Tensors) -> str:
    """Names of input and weight join; what both have and the output has not is contracted, and equally large."""
    weights = node.weights
    several = len(ins) > 2 or len({merges(tensor) for tensor in (*ins[:1], *outs)}) > 1
    if several or len(outs) != 1 or not isinstance(weights, tuple) or len(weights) != 1 or not readable(weights):
        return _shared_kept(ins, outs)
    out, weight = outs[0], weights[0]
    value = max(ins, key=lambda tensor: len(tensor.dims.keys() & weight.dims.keys()))
    if not value.dims.keys() & weight.dims.keys():
        return ""
    clash = sizes_kept(value, weight)
    if clash:
        return f"{clash.replace(' before', ' of the input').replace(' after', ' of the weight')}"
    return sizes_kept(value, out) or sizes_kept(weight, out) or new_names(out, *ins, weight)


def _shared_kept(ins: Tensors, outs: Tensors) -> str:
    """Without a weight: what an operator never contracts keeps its size."""
    for names in (BATCH, SEQUENCE):
        before, after = size(ins[0], names), size(outs[0], names)
        if before is not None and after is not None and before != after:
            name = ", ".join(named(ins[0], names))
            return f"{name} is {before} before and {after} after"
    return ""


def scores(node: Node, ins: Tensors, outs: Tensors) -> str:
    """Queries and keys contract the head size; the output has the queries' rows, and the keys' as columns."""
    out = outs[0]
    if named(out, HEAD_SIZE):
        return f"{', '.join(named(out, HEAD_SIZE))} is contracted, and cannot be in the output"
    for names in (BATCH, HEADS, SEQUENCE):
        before, after = size(ins[0], names), size(out, names)
        if before is not None and after is not None and before != after and len(named(out, names)) == 1:
            return f"{', '.join(named(ins[0], names))} is {before} in the queries and {after} in the scores"
    if len(ins) < 2:
        return ""
    columns, keys = size(out, KEYS), size(ins[1], KEYS) or size(ins[1], SEQUENCE)
    if columns is not None and keys is not None and columns != keys:
        return f"the scores have {columns} columns for {keys} keys"
    return _heads(ins[0], ins[1]) or _alike(ins[0], ins[1], HEAD_SIZE, "queries", "keys")


def _heads(queries: Tensor, keys: Tensor) -> str:
    many, few = size(queries, HEADS), size(keys, HEADS)
    return f"{many} query heads do not share {few} key heads evenly" if many and few and many % few else ""


def _alike(one: Tensor, other: Tensor, names: frozenset[str], first: str, second: str) -> str:
    left, right = size(one, names), size(other, names)
    if left is None or right is None or left == right:
        return ""
    return f"{', '.join(named(one, names))} is {left} in the {first} and {right} in the {second}"


def context(node: Node, ins: Tensors, outs: Tensors) -> str:
    """Weights and values contract the keys; the output has the weights' rows and heads, and the values' head size."""
    if len(ins) < 2:
        return ""
    weights, values, out = ins[0], ins[1], outs[0]
    if named(weights, HEAD_SIZE) and not named(values, HEAD_SIZE):
        weights, values = values, weights
    columns, rows = size(weights, KEYS), size(values, KEYS) or size(values, SEQUENCE)
    if columns is not None and rows is not None and columns != rows:
        return f"{columns} weights per row meet {rows} values"
    return (
        _alike(weights, out, BATCH, "weights", "output")
        or _alike(weights, out, HEADS, "weights", "output")
        or _alike(weights, out, SEQUENCE, "weights", "output")
        or _alike(values, out, HEAD_SIZE, "values", "output")
    )


def top_k(node: Node, ins: Tensors, outs: Tensors) -> str:
    """Experts become the chosen few; all else is kept."""
    experts, chosen = size(ins[0], EXPERTS), size(outs[0], CHOSEN)
    if experts is not None and chosen is not None and chosen > experts:
        return f"{chosen} experts are chosen of {experts}"
    return next((wrong for out in outs if (wrong := sizes_kept(_without(ins[0], EXPERTS), out))), "")


def _without(tensor: Tensor, names: frozenset[str]) -> Tensor:
    return Tensor({name: size for name, size in tensor.dims.items() if name not in names})


def route_tokens(node: Node, ins: Tensors, outs: Tensors) -> str:
    """What is not merged keeps its size, and a merged one has the size that its formula gives."""
    for out in outs:
        values = [tensor for tensor in ins if not tensor.dims.keys() & CHOSEN] or list(ins)
        moved = set(node.merges) | {"sources"} | EXPERTS | BATCH | SEQUENCE
        for into in values:
            kept = Tensor({name: found for name, found in into.dims.items() if name not in moved})
            if wrong := sizes_kept(kept, out):
                return wrong
    return ""


def reshape(node: Node, ins: Tensors, outs: Tensors) -> str:
    """The number of elements stays."""
    before, after = ins[0].volume, outs[0].volume
    if len(ins) > 1 or len(outs) > 1 or before is None or after is None or before == after:
        return ""
    return f"{before} elements go in, {after} come out"
