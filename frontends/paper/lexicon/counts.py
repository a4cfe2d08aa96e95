"""Counts as papers write them: digits, words, fractions.

>>> count("thirty-two"), count("1,024"), count("an eighth"), count("4k")
(32, 1024, 8, 4096)
"""

from __future__ import annotations

import re

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_ROUND = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TENS = {word: 10 * (i + 2) for i, word in enumerate(_ROUND)}
_SMALL = {word: i for i, word in enumerate(_ONES)} | {"a dozen": 12, "a single": 1, "single": 1}
_LARGE = {"hundred": 100, "thousand": 1000}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_PARTS |= {"twelfth": 12, "sixteenth": 16, "thirty-second": 32, "sixty-fourth": 64}
_POWERS = {"": 1, "k": 1024, "K": 1024}

_WORD = "|".join(sorted((*_SMALL, *_TENS, *_LARGE), key=len, reverse=True))
_SPELLED = rf"(?:{_WORD})(?:[\s-](?:and\s)?(?:{_WORD}))*(?![A-Za-z])"
_OF_NAME = r"(?<!\b(?-i:[ABHLTV]))(?<!\b(?-i:MI|GH|GB))"
NUMBER = rf"(?:{_OF_NAME}(?:(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\s?[kK]\b)?)|\b{_SPELLED})"
"""A whole number, as a pattern; none of a name (A100, MI300)."""
FRACTION = rf"(?:(?:an?|one|1)[\s-](?:{'|'.join(sorted(_PARTS, key=len, reverse=True))})|1/\d+|half)"
"""One of equal parts, as a pattern."""


def count(text: str) -> int:
    """What is written; of a fraction, of how many parts it is one. ValueError for anything else."""
    words = text.strip().lower()
    if match := re.fullmatch(r"(\d[\d,]*)\s?(k?)", words):
        return int(match[1].replace(",", "")) * _POWERS[match[2]]
    if match := re.fullmatch(r"(?:(?:an?|one|1)[\s-]|1/)?([a-z-]+|\d+)", words):
        part = match[1]
        if part.isdigit() or part in _PARTS:
            return int(part) if part.isdigit() else _PARTS[part]
    return _spelled(words)


def _spelled(words: str) -> int:
    """Whole numbers in words: those below a hundred add up, hundreds and thousands multiply."""
    total, current = 0, 0
    for word in re.split(r"[\s-]+(?:and\s+)?", str(_SMALL.get(words, words))):
        if word in _LARGE:
            current = max(current, 1) * _LARGE[word]
            total, current = (total + current, 0) if word == "thousand" else (total, current)
        elif word.isdigit():
            current += int(word)
        elif word in _SMALL or word in _TENS:
            current += _SMALL.get(word, 0) or _TENS.get(word, 0)
        else:
            raise ValueError(f"{words!r} is no count")
    return total + current
