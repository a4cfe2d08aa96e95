"""Numbers of a sentence ↔ what they are numbers of.

"32 heads of dimension 128"  →  heads 32 (a unit stands behind it), d_k 128 (a name stands before it)

A number is taken once: by a whole wording, else by the word that is nearest. Words around it can tell that it is a
number of something else ("eight consecutive layers", "16 layers per stage"), which is no fact, or that it may be, which
is a weak one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from ..quantities.quantity import Number
from .figures import Figure, figures
from .vocabulary import LARGEST, Entry, pattern, vocabulary, whole, wording

WINDOW = 110
"""Characters on each side of a number that are looked at."""
_LISTED = re.compile(r"\s*(?:[,;/)|.]|$)")
"""Behind a number that is an entry of a list: "layers 32 / heads 32"."""
MOST = 60
"""Numbers of a sentence; one of more says nothing that can be told."""
_PARENTHESES = re.compile(r"\([^()]*\)")


@dataclass(frozen=True)
class Link:
    """A key and its values; `start` to `end` are the words that say it. `weak`: perhaps of something else."""

    key: str
    values: tuple[int, ...]
    start: int
    end: int
    weak: bool = False
    distance: int = 0
    figure: Figure | None = None
    """The number of a whole wording."""


def links(text: str, meanings: Mapping[str, Number] | None = None) -> list[Link]:
    """All numbers of a sentence that are a fact, in order; `meanings` are those that the paper gives its units."""
    numbers = figures(text, meanings)
    if not 0 < len(numbers) <= MOST:
        return []
    numbers = [*_parted(text, numbers)]
    found = list(_forms(text, numbers))
    taken = [link.figure for link in found if link.figure]
    for figure in numbers:
        if not any(other.start < figure.end and figure.start < other.end for other in taken):
            found += _nearest(text, figure)
    return sorted(found, key=lambda link: link.start)


def key_of(text: str) -> str:
    """The key that a whole text names, or none: `key_of("dimension of one head") == "d_k"`."""
    text = re.sub(r"^(?:the|an?|total)\s+|\s*\([^()]*\)$", "", text.strip(), flags=re.IGNORECASE)
    entries = vocabulary().keys.items()
    named = next((key for key, entry in entries if entry.names and whole(*entry.names).fullmatch(text)), "")
    return named or next((key for key, entry in entries if entry.units and whole(*entry.units).fullmatch(text)), "")


def _forms(text: str, found: Sequence[Figure]) -> Iterator[Link]:
    """Whole wordings with a number in them; of several with the same number the first of the table."""
    taken: list[Figure] = []
    for key, entry in vocabulary().keys.items():
        for match in (match for form in entry.forms for match in pattern(form).finditer(text)):
            figure = _figure_of(found, entry.kinds, match)
            if figure is None or any(other.start < figure.end and figure.start < other.end for other in taken):
                continue
            link = Link(key, figure.values, match.start(), max(match.end(), figure.end), figure=figure)
            if judged := _judged(text, link, entry, match.start()):
                taken.append(figure)
                yield judged


def _parted(text: str, numbers: Sequence[Figure]) -> Iterator[Figure]:
    """ "head size 128 and 8 KV heads": a list whose first number has a name of its own and whose last another unit."""
    for figure in numbers:
        named = {link.key for link, *_ in _by_name(text, figure)} if len(figure.parts) == 2 else set()
        counted = {link.key for link, *_ in _by_unit(text, figure) if link.distance < 3}
        if named and counted and not named & counted:
            yield from (Figure(*span, (value,)) for span, value in zip(figure.parts, figure.values, strict=True))
        else:
            yield figure


def _figure_of(found: Sequence[Figure], kinds: Sequence[str], match: re.Match[str]) -> Figure | None:
    """The number of a form: its first where the form lists several words of it, its last where words follow only."""
    inside = [figure for figure in found if figure.start < match.end("n") and match.start("n") < figure.end]
    nearest = reversed(inside) if match.start("n") == match.start() else iter(inside)
    figure = next((figure for figure in nearest if figure.unit in kinds), None)
    if figure and match.span("n") in figure.parts:
        return Figure(*match.span("n"), (figure.values[figure.parts.index(match.span("n"))],))
    return figure


def _nearest(text: str, figure: Figure) -> Iterator[Link]:
    """The key whose words are nearest to a number: a unit behind it first, else the longest name before it.

    A number with a hyphen behind it ("two-matrix") describes what follows, so no name before it has it.
    """
    if len(figure.factors) == 2:
        yield from _product(text, figure)
        return
    named = () if re.match(r"-[A-Za-z]", text[figure.end :]) else _by_name(text, figure)
    candidates = [*_by_unit(text, figure), *named]
    candidates.sort(key=lambda found: (found[0].distance, found[0].start - found[0].end))
    for link, entry, noun in candidates:
        if (judged := _judged(text, link, entry, noun)) is not None:
            yield judged
            return
        if link.distance == 0 and noun > figure.start:
            return


def _product(text: str, figure: Figure) -> Iterator[Link]:
    """What both factors are, and the GPUs that are their product."""
    found = {link.key: link for link, *_ in (*_by_unit(text, figure), *_by_name(text, figure))}
    for key, parts in vocabulary().products.items():
        if link := found.get(key):
            yield from (replace(link, key=part, values=(one,)) for part, one in zip(parts, figure.factors, strict=True))
            if key not in parts:
                yield link
            return


def _by_unit(text: str, figure: Figure) -> Iterator[tuple[Link, Entry, int]]:
    right = text[figure.end : figure.end + WINDOW]
    for key, entry in _of_unit(text, figure.unit):
        if match := _unit_form(key).match(right):
            distance = 2 * len(re.split(r"[\s-]+", match["between"].strip())) if match["between"].strip() else 0
            noun, end = (figure.end + at for at in match.span("noun"))
            yield Link(key, figure.values, figure.start, end, distance=distance), entry, noun


def _by_name(text: str, figure: Figure) -> Iterator[tuple[Link, Entry, int]]:
    begin = max(0, figure.start - WINDOW)
    left = text[begin : figure.start]
    for key, entry in _of_unit(text, figure.unit):
        match = _name_form(key).search(left)
        if match and (not match["listed"] or _LISTED.match(text, figure.end)):
            start = begin + match.start()
            yield Link(key, figure.values, start, figure.end, distance=1), entry, start


@lru_cache(maxsize=4)
def _of_unit(text: str, unit: str) -> list[tuple[str, Entry]]:
    """Keys with numbers of a unit that have a word in the text."""
    return [
        (key, entry)
        for key, entry in vocabulary().keys.items()
        if unit in entry.kinds and pattern(*entry.units, *entry.names).search(text)
    ]


@cache
def _unit_form(key: str) -> re.Pattern[str]:
    """`<number> <at most three describing words> <unit>`"""
    stop = "|".join(map(re.escape, vocabulary().stop))
    units = "|".join(map(wording, vocabulary().keys[key].units)) or r"(?!)"
    between = rf"(?P<between>(?:(?!(?:{stop})\b)[A-Za-z][\w./'-]*\s+){{0,3}}?)"
    return re.compile(rf"(?:\s?[x×]\s)?[\s-]*{between}(?P<noun>{units})(?!\w)", re.IGNORECASE)


@cache
def _name_form(key: str) -> re.Pattern[str]:
    """`<name> <symbol> <joints> <number>`; of words that also stand behind numbers, only with a colon, "=" or "is"."""
    entry = vocabulary().keys[key]
    names = "|".join(map(wording, entry.names)) or r"(?!)"
    units = "|".join(map(wording, entry.units)) or r"(?!)"
    words = "|".join(map(wording, vocabulary().joints))
    letter = r"\$?[A-Za-z]'?(?:_\{?\w{1,6}\}?)?(?:\^\w)?\$?"
    symbol = rf"(?:\s*,?\s*\(?{letter}\)?(?=\s*(?:=|of\b|is\b|to\b|\(|$))|\s*\([^()]{{0,30}}\))?"
    loose = rf"{symbol}(?:\s*(?:[:=≈~(|,]|\b(?:{words})\b))*\s*"
    strict = rf"(?:\s+{letter}(?=\s*=)|\s*\([^()]{{0,30}}\))?\s*(?:[:=|]|\b(?:is|are|was|were)\b)\s*(?:(?:{words})\s+)*"
    told = rf"(?P<name>(?:{names}){loose})|(?P<unit>(?:{units}){strict})"
    listed = rf"(?P<listed>(?:(?<=[,;/(|]\s)|(?<![\s\S]))(?:{units})\s+)"
    return re.compile(rf"(?<![\w-])(?:{told}|{listed})$", re.IGNORECASE)


def _judged(text: str, link: Link, entry: Entry, noun: int) -> Link | None:
    """The link, weak or under another key as its surroundings tell; None if it is no fact."""
    lefts = [text[max(0, at - WINDOW) : at] for at in {link.start, noun}]
    bare = [_PARENTHESES.sub("", left) for left in lefts]
    right = text[link.end : link.end + WINDOW]
    for other in entry.becomes:
        fits = (other.most is None or max(link.values) <= other.most) and not pattern(*other.not_right).search(right)
        if fits and any(pattern(other.left).search(left) for left in bare):
            return replace(link, key=other.key)
    clause = re.split(r"[,;:]", text[: link.start])[-1] + re.split(r"[,;:]", text[link.start :])[0]
    refused = (
        min(link.values) < entry.least
        or (entry.about == "model" and max(link.values) > LARGEST)
        or any(pattern(*entry.never_left).search(left) for left in lefts)
        or pattern(*entry.never_right).search(right)
        or pattern(*entry.never).search(clause)
        or (entry.near and not pattern(*entry.near).search(text))
    )
    if refused:
        return None
    weak = any(pattern(*entry.weak_left).search(left) for left in lefts) or pattern(*entry.weak_right).search(right)
    return replace(link, weak=bool(weak))
