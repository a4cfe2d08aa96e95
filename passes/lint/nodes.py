"""NODE1: shapes. NODE2: dimensions stated. NODE5: what communication says. And `unreadable`: what no one can read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from ...diagnostics import Diagnostic
from ...ir.drawing import Devices, Drawing, Fact, Family, Form, Kind, Node, Tensor, Unreadable
from .finding import finding, listed, once_alike

_DRAWN = {
    Kind.COMM: (Form.COMM,),
    Kind.COMPUTE: (Form.COMPUTE,),
    Kind.ROUTE: (Form.ROUTE,),
    Kind.INPUT: (Form.COMPUTE, Form.ROUTE),
    Kind.OUTPUT: (Form.COMPUTE, Form.ROUTE),
}
_WHAT = {
    Kind.COMM: "communication",
    Kind.COMPUTE: "computation",
    Kind.ROUTE: "routing or aggregation",
    Kind.INPUT: "the total input",
    Kind.OUTPUT: "the total output",
}
_EXAMPLE = "[batch_size=8, seq_len=1024, hidden=4096]"
_FACTS = ("inputs", "outputs", "weights", "state", "whole_inputs", "whole_outputs")
_NEAR = 200
"""Nodes of a graph up to which a misspelt name is looked for among the others."""


def check_shapes(drawing: Drawing) -> Iterator[Diagnostic]:
    """Ellipse: communication. Rectangle: computation. Parallelogram: routing and aggregation."""
    declared = (node for node in drawing.nodes if node.declared)
    yield from once_alike(declared, lambda node: _shaped(drawing, node))


def _shaped(drawing: Drawing, node: Node) -> Iterator[Diagnostic]:
    kinds = frozenset({node.kind}) if node.kind else node.kinds
    kinds = node.kinds if node.kinds and node.kind in node.kinds else kinds
    shapes = list(dict.fromkeys(form for kind in sorted(kinds) for form in _DRAWN[kind]))
    if node.form is Form.OTHER or (shapes and node.form not in shapes):
        wanted = shapes or [form for form in Form if form is not Form.OTHER]
        what = " or ".join(_WHAT[kind] for kind in sorted(kinds)) or "a node"
        problem = f"`{node.title}` is {what}, drawn as {_drawn(node)}"
        expected = " or ".join(wanted)
        yield finding("NODE1", drawing, node, problem, expected, node.shape or "no shape (an ellipse)",
                      f"shape={_shape(wanted[0])}")  # fmt: skip
    yield from _clashes(drawing, node, "NODE1", "kind")


def _drawn(node: Node) -> str:
    return "another shape" if node.form is Form.OTHER else f"{'an' if node.form is Form.COMM else 'a'} {node.form}"


def _shape(form: Form) -> str:
    return "box" if form is Form.COMPUTE else form.value


def check_dimensions_stated(drawing: Drawing) -> Iterator[Diagnostic]:
    """Input and output, every number with its name."""
    declared = [node.id for node in drawing.nodes if node.declared] if len(drawing.nodes) <= _NEAR else []
    for node in drawing.nodes:
        if not node.declared:
            close = get_close_matches(node.id, declared, n=1, cutoff=0.8)
            hint = f"did you mean {close[0]}?" if close else "declare it, with a label and a shape"
            yield finding("NODE2", drawing, node, f"{node.id} is never declared: it only stands in an edge", hint=hint)
            continue
        yield from _unstated(drawing, node)
        for name in ("inputs", "outputs", "weights", "state"):
            yield from _nameless(drawing, node, name)
        yield from _clashes(drawing, node, "NODE2", "dimensions")


def _unstated(drawing: Drawing, node: Node) -> Iterator[Diagnostic]:
    missing = [name for name in ("inputs", "outputs") if _is_missing(drawing, node, name)]
    if node.kind in (Kind.INPUT, Kind.OUTPUT) and len(missing) < 2:
        return
    if missing:
        words = " and no ".join(name.removesuffix("s") for name in missing)
        where = " in its label (only in attributes, which no one sees)" if set(missing) & set(node.unsaid) else ""
        hint = " ".join(f"{name.removesuffix('s').capitalize()}: {_EXAMPLE}" for name in missing)
        yield finding("NODE2", drawing, node, f"`{node.title}` states no {words} dimensions{where}", hint=hint)


def _is_missing(drawing: Drawing, node: Node, name: str) -> bool:
    """What resident state alone feeds has no input; what only ends in it has no output."""
    if name in node.unsaid:
        return True
    if getattr(node, name) not in (None, ()):
        return False
    edges = drawing.into[node] if name == "inputs" else drawing.out_of[node]
    return bool(edges) or not (node.weights or node.state)


def _nameless(drawing: Drawing, node: Node, name: str) -> Iterator[Diagnostic]:
    fact: Fact = getattr(node, name)
    for tensor in fact if isinstance(fact, tuple) else ():
        if not tensor.plain:
            problem = f"`{node.title}` states {name.removesuffix('s')} dimensions {_flaw(tensor)}"
            yield finding(
                "NODE2", drawing, node, problem, _EXAMPLE, str(tensor), "write every dimension as name=number"
            )


def _flaw(tensor: Tensor) -> str:
    if tensor.unnamed:
        return f"without names: {listed(tensor.unnamed)}"
    return f"without sizes: {listed(tensor.unsized)}" if tensor.unsized else f"twice: {listed(tensor.twice)}"


def check_communication(drawing: Drawing) -> Iterator[Diagnostic]:
    """Its kind, its members or its sender and receiver, and how many bytes. What it carries is NODE2's."""
    for node in drawing.nodes:
        if not node.is_comm or not node.declared:
            continue
        missing = list(_unsaid(node))
        if missing:
            hint = "all-reduce over tp, GPUs 0-7, sends 1.88 GB per GPU"
            yield finding("NODE5", drawing, node, f"`{node.title}` does not state {', nor '.join(missing)}", hint=hint)
        yield from _clashes(drawing, node, "NODE5", "communication")


def _unsaid(node: Node) -> Iterator[str]:
    if not node.collective:
        yield "its kind (all-reduce, all-to-all, send/recv …)"
    place = node.devices
    if node.family is Family.TRANSFER:
        if not (isinstance(place, Devices) and place.senders and place.receivers):
            yield "its sender and receiver (GPU 3 → GPU 11)"
    elif not _names_members(node):
        yield "its members (GPUs 0-7)"
    if not re.search(r"\w", node.bytes):
        yield "how many bytes it moves"


def _names_members(node: Node) -> bool:
    place = node.devices
    if isinstance(place, Unreadable):
        return True
    return place is not None and (place.all or place.vague or len(place.ids) > 1 or bool(place.senders))


def _clashes(drawing: Drawing, node: Node, code: str, what: str) -> Iterator[Diagnostic]:
    for broken, told, said in node.clashes:
        if broken == code:
            problem = f"the label and the attributes of {node.id} state different {what}"
            yield finding(
                code, drawing, node, problem, f"{told} (attribute)", f"{said} (label)", "let both say the same"
            )


def check_readable(drawing: Drawing) -> Iterator[Diagnostic]:
    """What is stated in words that dagc does not know: a warning, since it may be right."""
    for node in drawing.nodes:
        for name in (*_FACTS, "devices"):
            fact = getattr(node, name)
            if isinstance(fact, Unreadable):
                what = name.removesuffix("s").replace("whole_", "global ")
                yield finding("unreadable", drawing, node, f"the {what} of `{node.title}` cannot be read",
                              "GPU: 3" if name == "devices" else _EXAMPLE, fact.text, severity="warning")  # fmt: skip
