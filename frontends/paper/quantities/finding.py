"""text → its quantities, in order.

>>> for found in quantities_of("sixteen H100s in 2 nodes of eight, 4K tokens; 30% over the 900 MB of [3]"):
...     print(found.value, found.form.value, found.unit or "-", found.per or "-")
16 count gpu -
2 count node -
8 count gpu node
4096 count token -
0.3 percent - -
900000000 count byte -
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import gcd

from .definitions import spans
from .names import HIDDEN, hidden
from .numerals import Numeral, decimal, exact
from .quantity import Form, Number, Quantity
from .series import Series, separated, series_at
from .units import Unit, is_decimal, unit_at
from .words import START as IN_WORDS
from .words import share

_COUNTED = r"(?<![A-Za-z])(?:TP|PP|DP|EP|CP|SP|MP|top|topk|batch|bs|seq|hidden|width|degree|size)-?(?=\d)"
_START = re.compile(
    rf"(?P<prefix>{_COUNTED})|(?<![A-Za-z0-9_{HIDDEN}$.])(?<!\d[.,'])(?P<digit>\d)|(?P<word>{IN_WORDS.pattern}|(?<![\w-])(?:an?[\s-](?=\w+\s+(?:of|as)\b)|half\b))",
    re.IGNORECASE,
)
_SHARE = re.compile(r"([1-9])/(\d{1,3})(?:th)?(?![\d./])")
_PERCENT = re.compile(r"\s?\\?(?:%|percent\b|per cent\b|pct\b)", re.IGNORECASE)
_RATIO = re.compile(r"\s?[x×](?![A-Za-z0-9])")
_BEFORE = re.compile(
    r"(?:about|around|approximately|approx\.?|roughly|nearly|almost|up to|at most|at least|no more than|no less than"
    r"|more than|less than|fewer than|exceed(?:s|ing)?|~|≈|∼|<=?|>=?|≤|≥)\s*$",
    re.IGNORECASE,
)
_AFTER = re.compile(r"\s*(or (?:more|fewer|less|higher|larger|above)|\+(?!\d))")
_OF = re.compile(
    r"\s*(?:,?\s*each\s+)?(?:of|with|containing|having|holding|hosting|[x×*])\s*(?:only\s+|up to\s+)?", re.IGNORECASE
)
_HELD = ("node", "rack")


def quantities_of(text: str, definitions: Mapping[str, Number] | None = None) -> tuple[Quantity, ...]:
    """All quantities of a text. `definitions` are those of the paper (`definitions_of`): what its MB or K mean."""
    defined = text
    for start, end in spans(text):
        defined = defined[:start] + HIDDEN * (end - start) + defined[end:]
    searched = separated(hidden(defined))
    return tuple(_owned(text, _found(text, searched, definitions or {})))


def _found(text: str, searched: str, definitions: Mapping[str, Number]) -> Iterator[Quantity]:
    at = 0
    while match := _START.search(searched, at):
        start = match.end() if match["prefix"] else match.start()
        found = _share(text, searched, start) or _counted(text, searched, start, definitions)
        if found:
            yield replace(found, hedge=_hedge(searched, found))
        at = found.end if found else _past(searched, start)


def _past(text: str, at: int) -> int:
    """Behind what began like a number and is none."""
    match = re.compile(r"\d[\d.,]*|\w+").match(text, at)
    return match.end() if match else at + 1


def _share(text: str, searched: str, at: int) -> Quantity | None:
    """`1/8`, "one eighth": a fraction whose parts have no common divisor; 8/16 is two numbers."""
    match = _SHARE.match(searched, at)
    if match and int(match[1]) < int(match[2]) and gcd(int(match[1]), int(match[2])) == 1:
        value, end = int(match[1]) / int(match[2]), match.end()
    elif found := share(_lower(searched), at):
        value, end = found
    else:
        return None
    return Quantity((value,), at, end, text[at:end], Form.FRACTION)


def _counted(text: str, searched: str, at: int, definitions: Mapping[str, Number]) -> Quantity | None:
    series = series_at(searched, at)
    if series is None:
        return None
    if percent := _PERCENT.match(searched, series.end):
        values = tuple(number.value / 100 for number in series.numbers)
        return Quantity(values, at, percent.end(), text[at : percent.end()], Form.PERCENT)
    unit = unit_at(text, series.end)
    if (ratio := _RATIO.match(searched, series.end)) and (unit is None or _has_part(series)):
        values = tuple(number.value for number in series.numbers)
        return Quantity(values, at, ratio.end(), text[at : ratio.end()], Form.RATIO)
    if unit is None and searched[at].isalpha() and series.numbers[0].value == 1:
        return None
    end = unit.end if unit else series.numbers[-1].end
    values, others = _values(series, unit or Unit("", end), definitions)
    found = Quantity(values, at, end, text[at:end], series.form, others=others)
    return replace(found, unit=unit.unit, of=unit.of, per=unit.per) if unit else found


def _has_part(series: Series) -> bool:
    return any(isinstance(number.value, float) for number in series.numbers)


def _values(series: Series, unit: Unit, definitions: Mapping[str, Number]) -> tuple[tuple[Number, ...], ...]:
    """(values in the unit, those under the other meaning of K or GB if there is one)."""
    numbers = [_meant(number, unit, definitions) for number in series.numbers]
    first = [number.value for number in numbers]
    values = _scaled(first, definitions.get(unit.symbol, unit.scale), series.form)
    if any(number.other is not None for number in numbers):
        second = [number.value if number.other is None else number.other for number in numbers]
        return values, _scaled(second, unit.scale, series.form)
    has_other = unit.other is not None and unit.symbol not in definitions
    return values, _scaled(first, unit.other or 1, series.form) if has_other else ()


def _scaled(values: list[Number], scale: Number, form: Form) -> tuple[Number, ...]:
    """Each in its unit; of factors (`8 × 80 GB`) only the last has the unit."""
    whole = 1 if form is Form.PRODUCT else scale
    return tuple(_times(value, scale if place == len(values) else whole) for place, value in enumerate(values, 1))


def _meant(number: Numeral, unit: Unit, definitions: Mapping[str, Number]) -> Numeral:
    """A number with K as the paper defines it, else as its unit is counted."""
    defined = definitions.get(number.suffix.upper())
    if number.other is None or defined is None:
        return decimal(number) if is_decimal(unit.unit) else number
    readings = sorted((number.value, number.other))
    return replace(number, value=readings[bin(int(defined)).count("1") == 1], other=None)


def _times(value: Number, scale: Number) -> Number:
    return exact(float(f"{value * scale:.15g}")) if isinstance(value * scale, float) else value * scale


def _hedge(text: str, found: Quantity) -> str:
    before = _BEFORE.search(text, max(0, found.start - 24), found.start)
    after = _AFTER.match(text, found.end)
    return before[0].strip().lower() if before else after[1] if after else ""


def _owned(text: str, quantities: Iterator[Quantity]) -> Iterator[Quantity]:
    """`nodes of eight GPUs`, `sequences of 1024 tokens`, `2 nodes × 8`: the second is per one of the first."""
    before: Quantity | None = None
    for found in quantities:
        if before and before.unit and found.per in ("", "each") and _OF.fullmatch(text, before.end, found.start):
            unit = found.unit or ("gpu" if before.unit in _HELD else "")
            found = replace(found, per=before.unit, unit=unit)
        yield found
        before = found


def _lower(text: str) -> str:
    """Lower case without changing any length."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text
