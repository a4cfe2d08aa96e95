"""Hides what looks like a number and is a name: H100, GPT-3, Section 4, [12], 2023.

>>> hidden("16 H100-80GB of [12] run Llama-3.1-8B, TP8, in Section 4").replace("\\0", "#")
'16 H###-80GB of #### run Llama#######, TP8, in Section #'
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

HIDDEN = "\0"
_TOKEN = re.compile(r"(?<![\w.\\-])(?P<word>[A-Za-z](?:[A-Za-z_]|-(?=[A-Za-z])){0,80})(?P<rest>-?\d[\w]*(?:[.-]\w+)*)")
_MEMORY = re.compile(r"-\d+(?:\.\d+)?\s?[KMGT]i?B\b")


def hidden(text: str) -> str:
    """The text, as long as before, with the digits of names replaced by HIDDEN."""
    for pattern in _written():
        text = pattern.sub(lambda match: HIDDEN * len(match[0]), text)
    return _TOKEN.sub(_token, _after_words().sub(lambda match: match[1] + HIDDEN * len(match[2]), text))


def _token(match: re.Match[str]) -> str:
    """A word that ends in digits, or is followed by `-` and digits; the memory of a card (`A100-80GB`) stays."""
    word, rest = match["word"], match["rest"]
    if word.replace("-", "").lower() in _table()["counted"]:
        return match[0]
    memory = _MEMORY.search(rest)
    cut = memory.start() if memory and memory.end() == len(rest) else len(rest)
    return word + HIDDEN * cut + rest[cut:]


@cache
def _table() -> dict[str, list[str]]:
    return yaml.safe_load((Path(__file__).parent / "names.yaml").read_text(encoding="utf-8"))


@cache
def _written() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(form, re.IGNORECASE) for form in _table()["written"])


@cache
def _after_words() -> re.Pattern[str]:
    number = r"\d+(?:\.\d+)*(?-i:[a-h])?"
    words = "|".join(map(re.escape, _table()["before"]))
    several = rf"{number}(?:\s*(?:,|and|or|–|-|to|&|,\s*and)\s*{number}\b(?!\s*[\w-]))*"
    one = r"(?<![\w-])(?<!every\s)(?<!each\s)(?<!per\s)"
    return re.compile(
        rf"({one}(?:(?:{words})\.?[\s~(]*|§+\s*|#))({several})(?![\w.,%]*\d|[KMBT%×]|\s?[=×]|\s?[KMGT]i?[Bb])",
        re.IGNORECASE,
    )
