"""Routing loses no row. Guarantees, per dispatch:

* conservation: experts · rows per expert = tokens · top_k, exactly and for all sizes
* the rows that labels show are rounded up per part of the tokens, so never fewer than the exact ones
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir.dims import Size, Sizes, ceildiv, product, same, text
from ...ir.module import operators, sizes_of
from ...ir.op import tensor_of
from ...ir.ops.moe import TOKEN_PARTS, TOKENS, DispatchOp
from .findings import finding


def check(module: ModuleOp) -> tuple[list[Diagnostic], list[str]]:
    """Every dispatch that loses or invents rows, and the facts proven of the others."""
    found: list[Diagnostic] = []
    facts: dict[str, None] = {}
    for op, _ in operators(module):
        if isinstance(op, DispatchOp):
            routing = _Routing.of(op, sizes_of(module))
            problems = list(routing.problems())
            found += [finding("unproven", op, problem) for problem in problems]
            facts |= {} if problems else {routing.fact(): None}
    return found, list(facts)


@dataclass(frozen=True)
class _Routing:
    """Rows per expert as labels show and as volumes count them, and the rows that were chosen."""

    experts: Size
    shown: Size
    exact: Size
    chosen: Size

    @staticmethod
    def of(op: DispatchOp, sizes: Sizes) -> _Routing:
        x, routing, out = (tensor_of(value) for value in (*op.operands, op.out))
        free = replace(
            sizes,
            bound=tuple((name, None) for name, _ in sizes.bound),
            defined=tuple(d for d in sizes.defined if d.name != str(TOKEN_PARTS)),
        )
        rows, tokens = out.dim("expert_tokens").size, product([x.dim(name).size for name in TOKENS])
        return _Routing(out.dim("experts").size, free.shown(rows), free.exact(rows), tokens * routing.dim("top_k").size)

    def problems(self) -> Iterator[str]:
        if not same(self.experts * self.exact, self.chosen):
            yield f"{text(self.experts)} experts of {text(self.exact)} rows are not the {text(self.chosen)} rows chosen"
        if not (same(self.shown, self.exact) or same(self.shown, self._rounded_up())):
            yield f"labels show {text(self.shown)} rows per expert, not {text(self.exact)} rounded up per part"

    def _rounded_up(self) -> Size:
        over, by = self.exact.as_numer_denom()
        return TOKEN_PARTS * ceildiv(over, by * TOKEN_PARTS)

    def fact(self) -> str:
        return f"conservation: {text(self.experts)} experts · {text(self.exact)} rows = {text(self.chosen)} rows chosen"
