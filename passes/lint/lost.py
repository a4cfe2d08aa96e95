"""DIM4: no dimension is lost, and one that merges others says which."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from ...diagnostics import Diagnostic
from ...ir.drawing import Drawing, Fact, Family, Node, Product, Size, Tensor
from .finding import finding, listed, once_alike
from .names import BATCH, HEAD_SIZE, HEADS, KEYS, MERGED, SEQUENCE, merges, named, words

_KEEP_ALL = {
    Family.ALL_REDUCE, Family.ALL_GATHER, Family.REDUCE_SCATTER, Family.ALL_TO_ALL, Family.TRANSFER, Family.BROADCAST,
    Family.PERMUTE,
    Family.ADD, Family.POINTWISE, Family.SOFTMAX, Family.NORM, Family.ROPE, Family.ACTIVATION, Family.SPLIT,
    Family.CONCAT, Family.SCATTER, Family.GATHER, Family.CACHE,
}  # fmt: skip
"""Operators that lose no name at all, but that a cache keeps the tokens appended to it under the name of keys."""
_KEEP_BATCH = _KEEP_ALL | {
    Family.PROJECT, Family.GATE, Family.SCORES, Family.CONTEXT, Family.TOP_K, Family.EMBED, Family.DISPATCH,
    Family.COMBINE, Family.RESHAPE,
}  # fmt: skip
_HEADED = {Family.SCORES: (HEADS,), Family.CONTEXT: (HEADS, HEAD_SIZE), Family.ROPE: (HEADS, HEAD_SIZE)}
_QKV = {"q", "k", "v", "qkv", "query", "key", "value", "kv", "wq", "wk", "wv"}
_OF_ALL_HEADS = {"lora", "latent", "compressed", "shared", "mqa"}
"""Words for what all heads have in common, which has neither heads nor their size."""
_MEAN = {"batch": BATCH, "sequence": SEQUENCE, "heads": HEADS, "head size": HEAD_SIZE}


def check_lost(drawing: Drawing) -> Iterator[Diagnostic]:
    """Node by node."""
    yield from once_alike(drawing.nodes, lambda node: _lost(drawing, node))


def _lost(drawing: Drawing, node: Node) -> Iterator[Diagnostic]:
    ins, outs = _tensors(node.inputs), _tensors(node.outputs)
    yield from _unexplained(drawing, node, (*ins, *outs))
    yield from _wrongly_merged(drawing, node, ins, outs)
    if ins and outs and node.family:
        yield from _vanished(drawing, node, ins, outs)
    yield from _headless(drawing, node, outs)


def _tensors(fact: Fact) -> tuple[Tensor, ...]:
    return tuple(tensor for tensor in fact if tensor.plain) if isinstance(fact, tuple) else ()


def _unexplained(drawing: Drawing, node: Node, tensors: tuple[Tensor, ...]) -> Iterator[Diagnostic]:
    names = {name for tensor in tensors for name in tensor.dims if name in MERGED and name not in node.merges}
    for name in sorted(names):
        problem = f"`{node.title}` merges dimensions into `{name}`, and does not say which"
        hint = f"add a line: {name} = batch_size·seq_len (or = batch_size·seq_len·top_k/experts)"
        yield finding("DIM4", drawing, node, problem, f"what {name} multiplies", listed(tensors), hint)


def _wrongly_merged(
    drawing: Drawing, node: Node, ins: tuple[Tensor, ...], outs: tuple[Tensor, ...]
) -> Iterator[Diagnostic]:
    """Where a dispatch gives a merged dimension, its size is what the formula makes of the sizes it takes. It is
    divided by all experts: where a file only says how many a GPU has, any multiple will do."""
    if node.family is not Family.DISPATCH:
        return
    sizes: dict[str, Size] = {name: size for tensor in (*outs, *ins) for name, size in tensor.dims.items()}
    whole: dict[str, Size] = {
        name: size for tensor in _tensors(node.whole_outputs) for name, size in tensor.dims.items()
    }
    for name, formula in node.merges.items():
        product = Product.parse(formula)
        divided = {each: whole[each] for each in product.over if each in whole} if product else {}
        value = product.value({**sizes, **divided}) if product else None
        stated = next((tensor.dims[name] for tensor in outs if name in tensor.dims), None)
        if value is None or not isinstance(stated, int) or stated == ceil(value):
            continue
        if divided or not stated or value % stated:
            problem = f"`{node.title}` gives {name}={stated}, but {formula} is {ceil(value)}"
            yield finding(
                "DIM4", drawing, node, problem, f"{name}={ceil(value)}", f"{name}={stated}", "mend one of them"
            )


def _vanished(drawing: Drawing, node: Node, ins: tuple[Tensor, ...], outs: tuple[Tensor, ...]) -> Iterator[Diagnostic]:
    if node.merges or any(merges(tensor) for tensor in outs) or node.family is Family.COMBINE:
        return
    kept = set[str]().union(*(tensor.dims for tensor in outs))
    lost = [name for name in ins[0].dims if name not in kept and _must_stay(node, name, outs)]
    if lost:
        problem = f"`{node.title}` loses {', '.join(lost)}"
        hint = "carry it in the output, or say what merges it (`tokens = batch_size·seq_len`)"
        yield finding("DIM4", drawing, node, problem, listed(ins[:1]), listed(outs), hint)


def _must_stay(node: Node, name: str, outs: tuple[Tensor, ...]) -> bool:
    if node.family is Family.CACHE and name in SEQUENCE:
        return not any(named(tensor, KEYS) for tensor in outs)
    if node.family in _KEEP_ALL:
        return True
    if node.family not in _KEEP_BATCH:
        return False
    if name in BATCH:
        return not any(named(tensor, BATCH) for tensor in outs)
    if name in SEQUENCE:
        return not any(named(tensor, SEQUENCE) for tensor in outs) and "head" not in node.title.lower()
    return _is_uncontracted(node, name)


def _is_uncontracted(node: Node, name: str) -> bool:
    """A projection only contracts what its weight has."""
    weights = _tensors(node.weights)
    if node.family is not Family.PROJECT or len(weights) != 1:
        return False
    shares = any(set(tensor.dims) & set(weights[0].dims) for tensor in _tensors(node.inputs)[:1])
    return shares and name not in weights[0].dims


def _headless(drawing: Drawing, node: Node, outs: tuple[Tensor, ...]) -> Iterator[Diagnostic]:
    """Attention's operators carry heads and head size."""
    said = words(node.title)
    wanted = _HEADED.get(node.family, ()) if node.family else ()
    if node.family is Family.PROJECT and said & _QKV:
        wanted = (HEADS, HEAD_SIZE)
    if said & _OF_ALL_HEADS:
        wanted = ()
    for tensor in outs[:1]:
        missing = [name for name, names in _MEAN.items() if names in wanted and not named(tensor, names)]
        if missing:
            problem = f"`{node.title}` does not carry {' and '.join(missing)}"
            hint = "write heads=32, d_k=128 in place of their product"
            yield finding(
                "DIM4", drawing, node, problem, "heads=…, d_k=…" if len(missing) > 1 else "", str(tensor), hint
            )
