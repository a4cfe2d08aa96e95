"""GPUs, however a text names them → `Devices`.

3    GPU 3    gpu_3    cuda:3    rank 3    device=3    0-7    [0,1,2]    all GPUs (0-15)    GPU 3 → GPU 11    host
"""

from __future__ import annotations

import re
from functools import lru_cache

from ...ir.drawing import Devices, Unreadable

_UNIT = r"(?:gpu|device|rank|cuda|npu|accelerator|worker|dev)s?"
_IDS = rf"\d+(?:\s*(?:-|–|—|~|to|through|\.\.\.?|…|,|and|&|/)\s*(?:{_UNIT})?[\s_:#]*\d+(?!\s*(?:[a-zA-Z]|\.\d)))*"
PHRASE = re.compile(
    rf"(?<![A-Za-z])(?:"
    rf"all\s+(?:of\s+)?(?:the\s+)?(?:\d+\s+)?{_UNIT}(?:\s*[(:\[]\s*(?P<all>{_IDS})\s*[)\]]?)?"
    rf"|{_UNIT}\s*(?:ids?|idx|index|no\.?|number)?\s*[:=_#\-]?\s*[\[({{]?\s*(?P<ids>{_IDS})\s*[\])}}]?"
    rf"|{_UNIT}\s*[:=]\s*(?P<word>host|cpu|all)\b"
    rf")(?![a-zA-Z])",
    re.I,
)
_PAIR = re.compile(rf"(?:{_UNIT})?\s*[:_#]?\s*(\d+)\s*(?:→|->|=>|⇒)\s*(?:{_UNIT})?\s*[:_#]?\s*(\d+)", re.I)
_RUN = re.compile(rf"(\d+)(?:\s*(?:-|–|—|~|to|through|\.\.\.?|…)\s*(?:{_UNIT})?[\s_:#]*(\d+))?", re.I)
_NOISE = re.compile(r"\(\s*each\s*\)|\beach\b|\bper\b", re.I)
_CUT = re.compile(r"(…|\.\.\.)\s*,?\s*\(?\d+ more|\betc\b|…\s*$|\.\.\.\s*$")
_LONGEST = 1 << 21


@lru_cache(65536)
def devices(text: str) -> Devices | Unreadable | None:
    """The GPUs that the value of `GPU:` names; None for an empty one."""
    text = _NOISE.sub("", text).strip(" .,;¦|")
    if not text:
        return None
    word = text.lower().strip("[]() ")
    if word in ("host", "cpu", "host cpu", "cpu/host", "host (cpu)"):
        return Devices(host=True)
    if re.fullmatch(rf"\d+\s+{_UNIT}", text, re.I):
        return Devices(vague=True)
    vague = bool(_CUT.search(text))
    text = _CUT.sub("", text)
    if pairs := _PAIR.findall(text):
        senders, receivers = (frozenset(map(int, ends)) for ends in zip(*pairs, strict=True))
        return Devices(senders | receivers, senders=senders, receivers=receivers, vague=vague)
    if match := re.match(r"all\b", text, re.I):
        return Devices(
            ids_of(text[match.end() :]) if re.search(r"[(:\[]", text) else frozenset(), all=True, vague=vague
        )
    return _listed(text, vague)


def _listed(text: str, vague: bool) -> Devices | Unreadable:
    """`2 groups of 8: 0-7; 8-15`, `GPUs 0-7`, `0,1`."""
    head = re.match(r"\d+\s+(groups?|pairs?)\b[^:]*:", text)
    body = text[head.end() :] if head else text
    sets = [ids_of(part) for part in body.split(";")]
    if not any(sets):
        return Unreadable(text)
    groups = tuple(each for each in sets if each) if len(sets) > 1 else ()
    return Devices(frozenset[int]().union(*sets), groups=groups, vague=vague)


@lru_cache(65536)
def ids_of(text: str) -> frozenset[int]:
    """
    >>> sorted(ids_of("0-2, 8"))
    [0, 1, 2, 8]
    """
    found = set[int]()
    for first, last in _RUN.findall(text):
        low, high = int(first[:12]), int((last or first)[:12])
        found.update(range(low, min(high, low + _LONGEST) + 1) if high >= low else (low, high))
    return frozenset(found)


@lru_cache(65536)
def mentioned(text: str) -> tuple[Devices | Unreadable | None, str]:
    """The GPUs that a phrase in a text names, and the text without it."""
    match = PHRASE.search(text)
    if match is None:
        return None, text
    pair = _PAIR.search(text, match.start())
    if pair and pair.start() <= match.end():
        found, end = devices(pair.group()), pair.end()
    elif match.group("ids"):
        found, end = devices(match.group("ids")), match.end()
    elif match.group("word"):
        found, end = devices(match.group("word")), match.end()
    else:
        found, end = devices(f"all ({match.group('all')})" if match.group("all") else "all"), match.end()
    left = re.sub(r"\b(on|at)\s*$|[@(\[{]\s*$", "", text[: match.start()].rstrip()), text[end:].lstrip(" )]}:-–¦|,;")
    return found, " ".join(part.strip(" -–¦|,;:") for part in left if part.strip(" -–¦|,;:"))
