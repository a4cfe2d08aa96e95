"""The `dag` dialect: the tensor type, the module's attributes and every operator."""

from __future__ import annotations

from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.ir import Dialect
from xdsl.parser import Parser
from xdsl.utils.exceptions import ParseError

from ..diagnostics import Diagnostic, Refused
from .ops import OPERATORS
from .types import MeshAttr, PlanAttr, SizesAttr, TensorType

DAG = Dialect("dag", [*OPERATORS], [TensorType, SizesAttr, MeshAttr, PlanAttr])


def context() -> Context:
    """A context that knows the builtin and the dag dialect."""
    made = Context()
    made.load_dialect(Builtin)
    made.load_dialect(DAG)
    return made


def parse_module(text: str, name: str = "module.mlir") -> ModuleOp:
    """Read a module's text. Refused with file and line where it does not parse."""
    try:
        return Parser(context(), text, name).parse_module()
    except ParseError as error:
        line = text.count("\n", 0, error.span.start) + 1
        raise Refused(Diagnostic("syntax", error.msg, f"{name}:{line}")) from error
