"""Numbers in words.

>>> worded("one hundred and twenty-eight sequences", 0), worded("a dozen", 0), worded("one of them", 0)
((128, 28), (12, 7), (1, 3))
>>> share("an eighth of each matrix", 0), share("two thirds", 0), share("eighth", 0)
((0.125, 9), (0.6666666666666666, 10), None)
"""

from __future__ import annotations

import re

_ONES = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
UNITS = {word: value for value, word in enumerate([*_ONES.split(), "eighteen", "nineteen"], 1)}
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
TENS = {word: 10 * value for value, word in enumerate(_TENS.split(), 2)}
SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ORDINALS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
             "eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12, "sixteenth": 16, "thirty-second": 32,
             "sixty-fourth": 64, "hundredth": 100}  # fmt: skip

START = re.compile(
    r"(?<![\w-])(?:" + "|".join([*UNITS, *TENS, "(?:a|an)(?=[ -](?:" + "|".join(SCALES) + "))"]) + r")\b"
)
"""Where a number in words may begin (lower case)."""
_WORD = re.compile(r"[a-z]+")
_JOIN = re.compile(r"\s+and\s+|\s+|-")
_SHARE = re.compile(
    r"(?P<n>an?|" + "|".join([*UNITS]) + r")[\s-]+(?P<d>" + "|".join(_ORDINALS) + r")(?P<s>s?)\b|half\b"
)


def worded(text: str, at: int) -> tuple[int, int] | None:
    """(number, end) of the number that is written in words (lower case) at a place, or None."""
    total, part, end, before = 0, 0, at, ""
    while match := _WORD.match(text, at):
        word = match[0]
        if not _fits(word, before, part):
            break
        if word in SCALES:
            part = max(part, 1) * SCALES[word]
            total, part = (total, part) if SCALES[word] == 100 else (total + part, 0)
        else:
            part += 0 if word in ("a", "an") else UNITS.get(word, TENS.get(word, 0))
        before, end = word, match.end()
        join = _JOIN.match(text, end)
        if join is None or (join[0].strip() == "and" and word not in ("hundred", "thousand")):
            break
        at = join.end()
    return (total + part, end) if end > 0 and before and before not in ("a", "an") else None


def _fits(word: str, before: str, part: int) -> bool:
    """Whether a word goes on the number that ends with the word before."""
    if word in ("a", "an"):
        return not before
    if word in SCALES:
        return bool(before)
    if word in TENS:
        return before == "" or before in SCALES
    return word in UNITS and (before == "" or before in SCALES or (before in TENS and UNITS[word] < 10))


def share(text: str, at: int) -> tuple[float, int] | None:
    """(fraction, end): "one eighth", "three quarters", "half"; "an eighth" only before "of"."""
    match = _SHARE.match(text, at)
    if match is None:
        return None
    if match["d"] is None:
        return 0.5, match.end()
    if match["n"] in ("a", "an") and not re.match(r"\s+(?:of|as)\b", text[match.end() : match.end() + 10]):
        return None
    return UNITS.get(match["n"], 1) / _ORDINALS[match["d"]], match.end()
