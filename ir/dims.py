"""Symbolic sizes and what is known of them. The only file that knows sympy.

A size is a sympy expression over positive integer symbols: `64`, `B`, `P*ceildiv(2*B*S, 16*P)`. Sizes never hold a
division: a cut dimension keeps its global size, and "tp divides heads" is a precondition that someone must discharge,
because sympy's rational `h/tp*tp == h` is true without any fact.

`Sizes` says what the symbols of one module stand for. A symbol is bound to a number, left free, or defined by two
expressions: the one that labels show (rounded up per part) and the exact one that volumes and FLOPs count with.
"""

from __future__ import annotations

import os

os.environ.setdefault("SYMPY_CACHE_SIZE", "200000")

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, cached_property, lru_cache, reduce
from operator import mul
from typing import cast

import sympy

Size = sympy.Expr
Number = int | Fraction


class ceildiv(sympy.Function):
    """⌈a / b⌉ for positive integers; kept symbolic until both are numbers (sympy's ceiling is 1,000 times slower)."""

    @classmethod
    def eval(cls, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr | None:  # pyright: ignore
        if a.is_Integer and b.is_Integer:
            return sympy.Integer(-(-int(a) // int(b)))
        return a if b == 1 else None


def quotient_up(over: Size, by: Size) -> Size:
    """⌈over / by⌉, as an expression."""
    return cast(Size, ceildiv(over, by))


def rounded_up(size: Size, parts: Size) -> Size:
    """The least multiple of `parts` that is at least `size`: parts · ⌈size / parts⌉."""
    over, under = sympy.fraction(size)
    return parts * quotient_up(over, under * parts)


@cache
def symbol(name: str) -> Size:
    """The symbol of a size: a positive integer. One per name, so that equal names are equal symbols."""
    return sympy.Symbol(name, integer=True, positive=True)


def number(value: int | Fraction) -> Size:
    return sympy.Rational(value.numerator, value.denominator)


def product(sizes: list[Size]) -> Size:
    return reduce(mul, sizes, sympy.Integer(1))


def same(a: Size, b: Size) -> bool:
    """Equal for every value of the symbols: an identity of polynomials (ceildiv terms are opaque)."""
    return bool(a == b or sympy.expand(a - b) == 0)


def ratio(a: Size, b: Size) -> Fraction | None:
    """a / b where that is a number whatever the symbols are, else None."""
    quotient = sympy.cancel(a / b)
    return Fraction(int(quotient.p), int(quotient.q)) if isinstance(quotient, sympy.Rational) else None


def free_symbols(size: Size) -> frozenset[str]:
    return frozenset(str(s) for s in size.free_symbols)


def as_number(size: Size) -> Number | None:
    """The value of a size without symbols, else None."""
    if size.is_Integer:
        return int(size)
    return Fraction(int(size.p), int(size.q)) if isinstance(size, sympy.Rational) else None


def substitute(size: Size, values: Mapping[str, Size]) -> Size:
    replaced = size.xreplace({symbol(name): value for name, value in values.items()})
    assert isinstance(replaced, sympy.Expr)
    return replaced


_TOKEN = re.compile(r"\s*(?:(?P<number>\d{1,18})|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>[*+/(),]))")


@lru_cache(maxsize=4096)
def parse(text: str) -> Size:
    """Read `2*B*S`, `ceildiv(B, 16)*P`, `B/16`: our own small grammar, never `sympify`, which runs `eval`.

    Raises ValueError, with the place, for anything else.
    """
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None or len(tokens) > 200:
            raise ValueError(f"not a size: {text!r} at column {at + 1}")
        tokens.append(match)
        at = match.end()
    size, rest = _sum(tokens)
    if rest:
        raise ValueError(f"not a size: {text!r} at column {rest[0].start() + 1}")
    return size


def _sum(tokens: list[re.Match[str]]) -> tuple[Size, list[re.Match[str]]]:
    total, rest = _term(tokens)
    while rest and rest[0]["mark"] == "+":
        term, rest = _term(rest[1:])
        total = total + term
    return total, rest


def _term(tokens: list[re.Match[str]]) -> tuple[Size, list[re.Match[str]]]:
    result, rest = _factor(tokens)
    while rest and rest[0]["mark"] in ("*", "/"):
        factor, after = _factor(rest[1:])
        result = result * factor if rest[0]["mark"] == "*" else result / _nonzero(factor)
        rest = after
    return result, rest


def _factor(tokens: list[re.Match[str]]) -> tuple[Size, list[re.Match[str]]]:
    if not tokens:
        raise ValueError("not a size: it ends too early")
    token, rest = tokens[0], tokens[1:]
    if token["number"]:
        return sympy.Integer(int(token["number"])), rest
    if token["name"] == "ceildiv":
        return _ceildiv(rest)
    if token["name"]:
        return symbol(token["name"]), rest
    if token["mark"] == "(":
        inner, rest = _sum(rest)
        return inner, _expect(rest, ")")
    raise ValueError(f"not a size: unexpected {token['mark']!r}")


def _ceildiv(tokens: list[re.Match[str]]) -> tuple[Size, list[re.Match[str]]]:
    over, rest = _sum(_expect(tokens, "("))
    by, rest = _sum(_expect(rest, ","))
    return quotient_up(over, _nonzero(by)), _expect(rest, ")")


def _nonzero(size: Size) -> Size:
    if size.is_zero:
        raise ValueError("not a size: it divides by zero")
    return size


def _expect(tokens: list[re.Match[str]], mark: str) -> list[re.Match[str]]:
    if not tokens or tokens[0]["mark"] != mark:
        raise ValueError(f"not a size: expected {mark!r}")
    return tokens[1:]


_POWER = re.compile(r"(\w+)\*\*(\d+)")


@lru_cache(maxsize=4096)
def text(size: Size) -> str:
    """A size as `parse` reads it: powers are written as products."""
    return _POWER.sub(lambda power: "*".join([power[1]] * int(power[2])), str(size))


@dataclass(frozen=True)
class Definition:
    """What a derived symbol stands for: `shown` in labels (whole rows per part), `exact` in volumes and FLOPs."""

    name: str
    shown: Size
    exact: Size


@dataclass(frozen=True)
class Sizes:
    """The symbols of one module: `bound` to a number or None where free, and `defined` from others (in order)."""

    bound: tuple[tuple[str, int | None], ...] = ()
    defined: tuple[Definition, ...] = ()

    def shown(self, size: Size) -> Size:
        """A size as labels show it: bound symbols replaced, rounding per part included."""
        if size not in self._shown:
            self._shown[size] = self._resolve(size, [(d.name, d.shown) for d in self.defined])
        return self._shown[size]

    @cached_property
    def _shown(self) -> dict[Size, Size]:
        return {}

    def exact(self, size: Size) -> Size:
        """A size as volumes count it: rows that are only there to fill up a part are left out."""
        return self._resolve(size, [(d.name, d.exact) for d in self.defined])

    def _resolve(self, size: Size, definitions: list[tuple[str, Size]]) -> Size:
        for name, meaning in reversed(definitions):
            size = substitute(size, {name: meaning})
        return substitute(size, {name: number(value) for name, value in self.bound if value is not None})

    def bind(self, **values: int) -> Sizes:
        """The same sizes with these symbols bound."""
        return replace(self, bound=tuple((name, values.get(name, value)) for name, value in self.bound))

    def define(self, name: str, shown: Size, exact: Size) -> Sizes:
        """The same sizes with `name` redefined in its place, or defined before all others, which may use it."""
        new = Definition(name, shown, exact)
        if any(d.name == name for d in self.defined):
            return replace(self, defined=tuple(new if d.name == name else d for d in self.defined))
        return replace(self, defined=(new, *self.defined))
