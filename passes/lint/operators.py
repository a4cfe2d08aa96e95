"""DIM3: what an operator gives follows from what it takes, by its family's law. A family without a law says nothing.

Laws speak of sizes, and of names that appear from nowhere; names that vanish are DIM4's.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ...ir.drawing import Devices, Drawing, Family, Node
from .finding import finding, listed
from .laws import Law, activation, add, cache, context, contract, keep, readable, reshape, route_tokens, scores, top_k
from .moving_laws import all_gather, concat, reduce_scatter, send, split, swap


def check_operators(drawing: Drawing) -> Iterator[Diagnostic]:
    """Every node whose title names one operator, and whose dimensions were read."""
    fine = set[tuple[object, int | None]]()
    for node in drawing.nodes:
        law = LAWS.get(node.family) if node.family else None
        key = (node.alike, node.devices.members if isinstance(node.devices, Devices) and node.is_comm else None)
        if law is None or key in fine:
            continue
        found = list(_unlawful(drawing, node, law))
        if not found and node.alike is not None:
            fine.add(key)
        yield from found


def _unlawful(drawing: Drawing, node: Node, law: Law) -> Iterator[Diagnostic]:
    ins, outs = node.inputs, node.outputs
    if not isinstance(ins, tuple) or not isinstance(outs, tuple) or not readable(ins) or not readable(outs):
        return
    if wrong := law(node, ins, outs):
        rule = f"the rule of {node.family}: {RULE_TEXTS[law]}"
        actual = f"{listed(ins)} → {listed(outs)}"
        yield finding("DIM3", drawing, node, f"`{node.title}`: {wrong}", rule, actual, "mend the dimensions named")


LAWS: dict[Family, Law] = {
    Family.ALL_REDUCE: keep,
    Family.TRANSFER: send,
    Family.PERMUTE: keep,
    Family.BROADCAST: keep,
    Family.ALL_GATHER: all_gather,
    Family.REDUCE_SCATTER: reduce_scatter,
    Family.ALL_TO_ALL: swap,
    Family.ADD: add,
    Family.POINTWISE: keep,
    Family.SOFTMAX: keep,
    Family.NORM: keep,
    Family.ROPE: keep,
    Family.ACTIVATION: activation,
    Family.CACHE: cache,
    Family.PROJECT: contract,
    Family.GATE: contract,
    Family.SCORES: scores,
    Family.CONTEXT: context,
    Family.TOP_K: top_k,
    Family.DISPATCH: route_tokens,
    Family.COMBINE: route_tokens,
    Family.SPLIT: split,
    Family.SCATTER: split,
    Family.CONCAT: concat,
    Family.GATHER: concat,
    Family.RESHAPE: reshape,
}
RULE_TEXTS: dict[Law, str] = {law: (law.__doc__ or "").rstrip(".").lower() for law in LAWS.values()}
