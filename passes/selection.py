"""Which values carry the gate's choice rather than data: drawn dashed, counted apart from token traffic.

A value is a selection when every use of it is an operand that its operator declares as one (`Rule.selects`), or a
mover, normalisation or pointwise function whose result is. The projection that makes the logits reads data, so the
chain starts behind it.
"""

from __future__ import annotations

from xdsl.ir import SSAValue

from ..ir.op import Operator, Role

CARRIERS = (Role.MOVE, Role.NORM, Role.POINTWISE, Role.ROUTING)


def is_selection(value: SSAValue) -> bool:
    """Is the value used for routing decisions only?"""
    uses = list(value.uses)
    return bool(uses) and all(_selects(use.operation, use.index) for use in uses)


def _selects(op: object, index: int) -> bool:
    if not isinstance(op, Operator):
        return False
    if index in op.RULE.selects:
        return True
    return op.RULE.role in CARRIERS and is_selection(op.out)
