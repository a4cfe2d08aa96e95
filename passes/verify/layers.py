"""Guarantees that the repeats run every layer 0 … n-1 exactly once, in order, and that bodies number their layers."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir.module import offset_of
from ...ir.op import Operator
from ...ir.ops.program import RepeatOp
from .findings import finding


def count(module: ModuleOp) -> int:
    """The number of layers of a module that numbers them from 0."""
    return max((op.span[1] + 1 for op in module.ops if isinstance(op, RepeatOp)), default=0)


def check(module: ModuleOp, layers: int) -> list[Diagnostic]:
    """Every layer that is missing, repeated or out of order among `layers` of them."""
    repeats = [op for op in module.ops if isinstance(op, RepeatOp)]
    return [*_spans(module, repeats, layers), *(d for op in repeats for d in _body(op))]


def _spans(module: ModuleOp, repeats: list[RepeatOp], layers: int) -> Iterator[Diagnostic]:
    following = 0
    for op in repeats:
        first, last, _ = op.span
        if first != following:
            problem = f"layers {first} to {last} come where layer {following} is next"
            yield finding("coverage", op, problem, expected=f"from {following}", actual=f"from {first}")
        following = last + 1
    if following != layers:
        problem = f"the last layer run is {following - 1}" if repeats else "no layer is run"
        yield finding("coverage", repeats[-1] if repeats else module, problem, expected=str(layers - 1))


def _body(op: RepeatOp) -> Iterator[Diagnostic]:
    period = op.span[2]
    numbered = {offset_of(inner) for inner in op.body.block.ops if isinstance(inner, Operator)}
    if any(offset >= period for offset in numbered) or (len(numbered) < period):
        problem = f"a body of {period} layers holds operators of its layers {', '.join(map(str, sorted(numbered)))}"
        yield finding("coverage", op, problem, expected=f"0 to {period - 1}")
