"""The `dag` dialect: the tensor type, the module's attributes and every operator."""

from __future__ import annotations

import re

from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.ir import Dialect
from xdsl.parser import Parser
from xdsl.utils.exceptions import ParseError, VerifyException

from ..diagnostics import Diagnostic, Refused
from .ops import OPERATORS
from .plan_type import PlanAttr
from .types import MeshAttr, SizesAttr, TensorType

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')

DAG = Dialect("dag", [*OPERATORS], [TensorType, SizesAttr, MeshAttr, PlanAttr])


def context() -> Context:
    """A context that knows the builtin and the dag dialect."""
    made = Context()
    made.load_dialect(Builtin)
    made.load_dialect(DAG)
    return made


def parse_module(text: str, name: str = "module.mlir") -> ModuleOp:
    """Read a module's text. Refused with file and line where it does not parse."""
    if line := _open_string(text):
        raise Refused(Diagnostic("syntax", "a string is not closed on its line", f"{name}:{line}"))
    try:
        return Parser(context(), text, name).parse_module()
    except ParseError as error:
        line = text.count("\n", 0, error.span.start) + 1
        raise Refused(Diagnostic("syntax", error.msg, f"{name}:{line}")) from error
    except VerifyException as error:
        raise Refused(Diagnostic("syntax", str(error).split("\n", 1)[0], name)) from error


def _open_string(text: str) -> int:
    """The first line with a string that does not end on it, or 0: xDSL's lexer would never finish it."""
    for number, line in enumerate(text.split("\n"), 1):
        if _STRINGS.sub("", line).partition("//")[0].count('"'):
            return number
    return 0
