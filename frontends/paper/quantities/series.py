"""Several numbers with one unit: lists (`4, 8 and 16`, `{8,16,32}`, `32 / 128`), ranges (`1K–8K`), products (`2 × 8`).

>>> [series_at(text, 0).form.value for text in ("4, 8 and 16", "32 / 128", "1–8K", "2 x 8", "8, 32 heads")]
['list', 'list', 'range', 'product', 'count']
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .numerals import Numeral, numeral, suffixed
from .quantity import Form
from .words import START, worded

_BETWEEN = (
    (Form.PRODUCT, re.compile(r"\s*(?:[xX×*·]|\\times|\\cdot)\s*")),
    (Form.RANGE, re.compile(r"\s*(?:–|—|-|−|\.{2,3}|…)\s*|\s+(?:to|through|until)\s+")),
    (Form.LIST, re.compile(r"\s*,\s+(?:and\s+|or\s+)?|\s+(?:and|or|vs\.?)\s+(?:on\s+|with\s+)?|\s*&\s*|,(?=\d)")),
    (Form.LIST, re.compile(r"\s*/\s*")),
    (Form.LIST, re.compile(r";(?=\d)")),
)
_LAST = re.compile(r"\b(?:and|or|vs)\b")
"""The word before the last number of a list."""
_CLOSES = {"{": "}", "[": "]", "(": ")"}
_CLOSED = re.compile(r"[{\[(]\d{1,6}(?:,\d{1,6}){2,}[}\])]")
_ENDS = re.compile(r"\bbetween\s*$", re.IGNORECASE)
MOST = 64


@dataclass(frozen=True)
class Series:
    """Numbers in order, and where they end."""

    numbers: tuple[Numeral, ...]
    form: Form
    end: int


def separated(text: str) -> str:
    """`{128,256,512}` are three numbers: commas inside brackets become semicolons."""
    return _CLOSED.sub(lambda match: match[0].replace(",", ";"), text)


def series_at(text: str, at: int) -> Series | None:
    """The longest series that begins at a place of a text in lower case (but for K, M, …), or its first number."""
    first = _number(text, at)
    if first is None:
        return None
    for form, between in _BETWEEN:
        numbers, joints = _follow(text, first, between, 2 if form is Form.RANGE else MOST)
        if len(numbers) > 1 and _is(form, numbers, joints, text, at):
            ends = form is Form.LIST and _ENDS.search(text, max(0, at - 10), at)
            alike = numbers if form is Form.PRODUCT else list(_shared(numbers))
            return Series(tuple(alike), Form.RANGE if ends else form, _closed(text, at, numbers[-1].end))
    return Series((first,), Form.COUNT, first.end)


def _number(text: str, at: int) -> Numeral | None:
    if text[at : at + 1].isdecimal():
        return numeral(text, at)
    found = worded(text.lower(), at) if len(text) == len(text.lower()) and START.match(text.lower(), at) else None
    return Numeral(found[0], found[1]) if found else None


def _follow(text: str, first: Numeral, between: re.Pattern[str], most: int) -> tuple[list[Numeral], list[str]]:
    numbers, joints = [first], []
    while len(numbers) < most and not _LAST.search("".join(joints)):
        joint = between.match(text, numbers[-1].end)
        if joint is None:
            break
        following = _number(text, joint.end())
        if following is None:
            break
        numbers.append(following)
        joints.append(joint[0].strip())
    return numbers, joints


def _is(form: Form, numbers: list[Numeral], joints: list[str], text: str, at: int) -> bool:
    """Whether numbers belong together: two with a bare comma between do only in brackets, or as all of the text; "8 and
    2K" are not of one kind, for what shares a suffix ascends.
    """
    if form is Form.LIST and any(one.value > numbers[-1].value for one in _shared(numbers)) and _alone(numbers):
        return False
    if form is not Form.LIST or len(numbers) > 2 or joints != [","]:
        return True
    end = numbers[-1].end
    return _closed(text, at, end) > end


def _closed(text: str, at: int, end: int) -> int:
    """Behind the bracket that closes after `end`, if its partner stands before `at`; else `end`."""
    before = text[max(0, at - 3) : at].rstrip()[-1:]
    after = re.compile(r"\s?(\\?[}\])])").match(text, end)
    return after.end() if after and before and after[1][-1] == _CLOSES.get(before) else end


def _shared(numbers: list[Numeral]) -> Iterator[Numeral]:
    """`1–8K` is 1K to 8K: smaller numbers without a suffix take that of the last."""
    last = numbers[-1]
    for number in numbers:
        share = _alone(numbers) and number is not last and number.value < 1000
        yield replace(suffixed(replace(number, end=0), last.suffix), end=number.end) if share else number


def _alone(numbers: list[Numeral]) -> bool:
    """Has the last number alone a suffix?"""
    return bool(numbers[-1].suffix) and not any(number.suffix for number in numbers[:-1])
