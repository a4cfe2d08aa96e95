"""Expressions of the tables in whole numbers: `d_k / slice_width`, `gpus - tp`, `sqrt(gpus)`.

>>> evaluated("d_k / slice_width", {"d_k": 128, "slice_width": 64})
2
>>> evaluated("gpus / 3", {"gpus": 16}) is None, evaluated("d_v", {}) is None
(True, True)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from fractions import Fraction

_NAME = re.compile(r"[a-z_][a-z_.0-9]*", re.IGNORECASE)
_EXPRESSION = re.compile(r"\{([^{}]+)\}")
_ROOTS = {"sqrt": 2, "cbrt": 3}


def evaluated(text: str, values: Mapping[str, object]) -> int | None:
    """The value; None where a name has no whole number, or the result is no positive whole number."""
    try:
        result = _value(ast.parse(text, mode="eval").body, values)
    except (KeyError, ZeroDivisionError, ValueError, SyntaxError):
        return None
    return int(result) if result > 0 and result.denominator == 1 else None


def shown(text: str, values: Mapping[str, object]) -> str:
    """The expression with its numbers in place: `128 / 64`."""
    return _NAME.sub(lambda match: str(values.get(match[0], match[0])), text)


def worked(text: str, values: Mapping[str, object], grouped: bool = True) -> str:
    """The text with its {expressions} worked out, thousands `grouped`; empty where one has no value.

    >>> worked("{gpus} / 2 = {gpus / 2}", {"gpus": 2048})
    '2,048 / 2 = 1,024'
    """
    found = {expression: evaluated(expression, values) for expression in _EXPRESSION.findall(text)}
    if any(value is None for value in found.values()):
        return ""
    return _EXPRESSION.sub(lambda match: f"{found[match[1]]:{',' * grouped}}", text)


def _value(node: ast.expr, values: Mapping[str, object]) -> Fraction:
    match node:
        case ast.Constant(value=int(number)):
            return Fraction(number)
        case ast.Name(id=name):
            return _whole(values[name])
        case ast.BinOp(left=left, op=operation, right=right):
            return _applied(operation, _value(left, values), _value(right, values))
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            return _root(_value(argument, values), _ROOTS[name])
    raise ValueError(ast.dump(node))


def _applied(operation: ast.operator, left: Fraction, right: Fraction) -> Fraction:
    match operation:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
    raise ValueError(ast.dump(operation))


def _whole(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is no whole number")
    return Fraction(value)


def _root(value: Fraction, degree: int) -> Fraction:
    """The root of a power, or the largest whole number below it that divides the value."""
    most = round(float(value) ** (1 / degree))
    return next(Fraction(root) for root in range(max(most, 1), 0, -1) if (value / root).denominator == 1)
