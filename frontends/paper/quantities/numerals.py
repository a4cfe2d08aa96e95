"""One number in digits: thousands separators, powers, K and M.

>>> numeral("16,384 wide", 0).value, numeral("2^14", 0).value, numeral("4K tokens", 0)
(16384, 16384, Numeral(value=4096, end=2, other=4000, suffix='K'))
>>> numeral("1 048 576", 0).value, numeral("2 × 10^{3}", 0).value, numeral("70B", 0).value
(1048576, 2000, 70000000000)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from .quantity import Number
from .words import SCALES

LARGEST = 10**30
_GROUP = r"(?:,|\{,\}|['’_\u00a0\u2009\u202f])"
_BASE = rf"""
    (?P<grouped> \d{{1,3}} (?: {_GROUP}\d{{3}} )+ (?!\d) (?:\.\d+)? )
  | (?P<spaced>  [1-9]\d{{0,2}} (?: [ ]\d{{3}} )+ (?![\d.,]|[ ]\d) )
  | (?P<plain>   \d+ (?:\.\d+)? (?:[eE][+-]?\d{{1,3}}(?!\w))? )
"""
_NUMERAL = re.compile(_BASE, re.VERBOSE)
_TIMES_TEN = re.compile(
    r"\s*(?:×|[xX*·]|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*\{?(-?\d{1,3})\}?|\s*(?:×|[xX*·])\s*10([⁰¹²³⁴-⁹⁻]+)"
)
_POWER = re.compile(r"\s?(?:\^|\*\*)\s?\{?(-?\d{1,3})\}?(?![\w.])|([⁰¹²³⁴-⁹]+)")
_SUFFIX = re.compile(r"\s?([kKM])(?![A-Za-z0-9])|([BTbG])(?![A-Za-z0-9/])|[\s-](thousand|million|billion|trillion)s?\b")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_DECIMAL = {"k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9, "b": 10**9, "G": 10**9, "T": 10**12}
_BINARY = {"k": 2**10, "K": 2**10, "M": 2**20}


@dataclass(frozen=True)
class Numeral:
    """A number and where it ends. `other` is its value under the other meaning of its suffix."""

    value: Number
    end: int
    other: Number | None = None
    suffix: str = ""


def numeral(text: str, at: int) -> Numeral | None:
    """The number in digits that begins at a place, or None; also for one that is absurdly large."""
    match = _NUMERAL.match(text, at)
    if match is None or match.end() - at > 30:
        return None
    value = _number(re.sub(_GROUP + "| ", "", match[0]))
    raised = _raised(text, value, match.end())
    found = raised or suffixed(Numeral(value, match.end()), text)
    return found if found.value < LARGEST else None


def suffixed(found: Numeral, text: str) -> Numeral:
    """The number times the K, M, B, T or million that follows it.

    K is 1024 where that makes a power of two, or three times one (4K, 96K), and 1000 elsewhere (30K); M is 10^6.
    """
    match = _SUFFIX.match(text, found.end)
    if match is None:
        return found
    suffix = match[1] or match[2] or ""
    decimal = exact(found.value * (_DECIMAL[suffix] if suffix else SCALES[match[3]]))
    if suffix not in _BINARY:
        return Numeral(decimal, match.end(), None, suffix)
    binary = exact(found.value * _BINARY[suffix])
    first, second = (binary, decimal) if suffix != "M" and _is_round(found.value) else (decimal, binary)
    return Numeral(first, match.end(), second, suffix)


def decimal(found: Numeral) -> Numeral:
    """The same with K as 1000: of samples and requests, which nobody counts in powers of two."""
    if found.suffix in ("k", "K") and found.other is not None and found.other < found.value:
        return replace(found, value=found.other, other=found.value)
    return found


def exact(value: Number) -> Number:
    """An integer where the number is one."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _is_round(value: Number) -> bool:
    """Whether K of so many is 1024: 1, 2, 4, 8, … or 3, 6, 12, …"""
    if not isinstance(value, int) or value < 1:
        return False
    odd = value // (value & -value)
    return odd in (1, 3)


def _raised(text: str, base: Number, end: int) -> Numeral | None:
    """base ^ power, or base × 10 ^ power."""
    if match := _TIMES_TEN.match(text, end):
        power = int(match[1] or match[2].translate(_SUPERSCRIPTS).strip("-") or 0)
        return Numeral(exact(base * _power(10, power)), match.end())
    if (match := _POWER.match(text, end)) and base:
        power = int(match[1] or match[2].translate(_SUPERSCRIPTS))
        return Numeral(exact(_power(base, power)), match.end())
    return None


def _power(base: Number, power: int) -> Number:
    """base^power, or LARGEST where it is that large."""
    if base > 1 and power > 100:
        return LARGEST
    return base**power if power >= 0 else float(base) ** power


def _number(digits: str) -> Number:
    if digits.isdecimal():
        return int(digits)
    value = float(digits)
    return exact(value) if value < LARGEST else LARGEST
