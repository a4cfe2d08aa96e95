"""DIM1: what a node gives is what the next one takes, name by name, size by size; edges say which tensor it is."""

from __future__ import annotations

from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ...ir.drawing import Drawing, Edge, EdgeKind, Size, Tensor
from .finding import finding, listed


def check_edges(drawing: Drawing) -> Iterator[Diagnostic]:
    """Along data and gate edges."""
    nameless = list[Edge]()
    for edge in drawing.edges:
        if edge.kind is EdgeKind.ORDER:
            continue
        if not edge.tensor:
            nameless.append(edge)
        if _differ(edge):
            outs, ins = edge.source.outputs, edge.target.inputs
            assert isinstance(outs, tuple)
            assert isinstance(ins, tuple)
            yield finding(
                "DIM1",
                drawing,
                edge,
                f"no output of {edge.source.id} is an input of {edge.target.id}: {_difference(outs, ins)}",
                f"one of {listed(ins)}" if len(ins) > 1 else listed(ins),
                listed(outs),
                "make both ends state the same names and sizes, or draw the operator that changes them",
            )
    if nameless:
        problem = f"{len(nameless)} of {len(drawing.edges)} edges do not name the tensor they carry"
        hint = 'write it on the edge: [label="hidden_states"] (or tensor="…")'
        yield finding("DIM1", drawing, nameless[0], problem, hint=hint)


def agree(one: Tensor, other: Tensor) -> bool:
    """Equal names and sizes, in any order; sizes that cannot be compared (`B/2` and 64) are no contradiction."""
    return one.key == other.key or (
        one.dims.keys() == other.dims.keys() and all(may_equal(one.dims[name], other.dims[name]) for name in one.dims)
    )


def may_equal(one: Size, other: Size) -> bool:
    return one == other or isinstance(one, str) or isinstance(other, str)


def _differ(edge: Edge) -> bool:
    outs, ins = edge.source.outputs, edge.target.inputs
    if not isinstance(outs, tuple) or not isinstance(ins, tuple) or not outs or not ins:
        return False
    if not all(tensor.plain for tensor in (*outs, *ins)):
        return False
    return not any(agree(out, into) for out in outs for into in ins)


def _difference(outs: tuple[Tensor, ...], ins: tuple[Tensor, ...]) -> str:
    """In words, for the pair that differs least."""
    out, into = min(((o, i) for o in outs for i in ins), key=lambda pair: len(pair[0].key ^ pair[1].key))
    sizes = [
        f"{name} is {out.dims[name]}, not {into.dims[name]}"
        for name in out.dims
        if name in into.dims and not may_equal(out.dims[name], into.dims[name])
    ]
    lost = [f"{name}={out.dims[name]} is not taken" for name in out.dims if name not in into.dims]
    new = [f"{name}={into.dims[name]} comes from nowhere" for name in into.dims if name not in out.dims]
    return "; ".join([*sizes, *lost, *new])
