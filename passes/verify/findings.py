"""How every verifier names the place of what it finds: `model.yaml:12 at layers.moe.gate`."""

from __future__ import annotations

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation
from xdsl.irdl import IRDLOperation

from ...diagnostics import Diagnostic
from ...ir.debts import KINDS, by_kind
from ...ir.op import where_of


def finding(code: str, op: Operation, problem: str, **more: str) -> Diagnostic:
    """A diagnostic about an operator."""
    return Diagnostic(code, problem, site(op), **more)


def site(op: Operation) -> str:
    """file:line as far as known, and the module path; robust on operators that are not well-formed."""
    line = where_of(op) if isinstance(op, IRDLOperation) else ""
    return f"{line} at {path_of(op)}" if line else path_of(op)


def path_of(op: Operation) -> str:
    """`layers.moe.gate`, or the operator's name where it has no path (`dag.repeat`)."""
    path = op.properties.get("path")
    return path.data if isinstance(path, StringAttr) else op.name


def axes_text(axes: tuple[str, ...]) -> str:
    """
    >>> axes_text(("ep", "tp"))
    'ep·tp'
    """
    return "·".join(axes) or "nothing"


def debts_text(owes: tuple[str, ...]) -> str:
    """
    >>> debts_text(("ep", "tp")), debts_text(("cp lse",))
    ('a sum over ep·tp', 'a log-sum-exp over cp')
    """
    return ", ".join(f"{KINDS[kind].called} over {axes_text(axes)}" for kind, axes in by_kind(owes)) or "nothing"
