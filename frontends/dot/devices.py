"""GPUs, however a text names them → `Devices`.

3    GPU 3    gpu_3    cuda:3    rank 3    device=3    0-7    [0,1,2]    0, 1, …, 7    all GPUs (0-15)    host
GPU 3 → GPU 11    0,1 → 2-9    0 ↔ 1    [0-7], [8-15]    2 groups of 8: 0-7; 8-15
"""

from __future__ import annotations

import re
from functools import lru_cache

from ...ir.drawing import Devices, Unreadable

_UNIT = r"(?:gpu|device|rank|cuda|npu|accelerator|worker|dev)s?"
_TO = r"(?:-|–|—|~|to|through|\.\.\.?|…)"
_ARROW = r"(?:→|(?<!<)->|=>|⇒)"
_IDS = rf"\d+(?:\s*(?:{_TO}|,\s*(?:…|\.\.\.)\s*,|,|and|&|/)\s*(?:{_UNIT})?[\s_:#]*\d+(?!\s*(?:[a-zA-Z]|\.\d)))*"
PHRASE = re.compile(
    rf"(?<![A-Za-z])(?:"
    rf"all\s+(?:of\s+)?(?:the\s+)?(?:\d+\s+)?{_UNIT}(?:\s*[(:\[]\s*(?P<all>{_IDS})\s*[)\]]?)?"
    rf"|{_UNIT}\s*(?:ids?|idx|index|no\.?|number)?\s*[:=_#∈\-]?\s*[\[({{]?\s*(?P<ids>{_IDS})\s*[\])}}]?"
    rf"|{_UNIT}(?:\s*[:=]\s*(?P<word>host|cpu|all)|\s+(?P<beside>host|cpu))\b"
    rf")(?![a-zA-Z])",
    re.I,
)
_SIDE = rf"(?:{_UNIT})?[\s:_#]*[\[({{]?\s*({_IDS})\s*[\])}}]?"
_FLOW = re.compile(rf"{_SIDE}\s*{_ARROW}\s*{_SIDE}", re.I)
_EXCHANGE = re.compile(rf"{_SIDE}\s*(?:↔|⇄|⇔|<-+>|<=+>)\s*{_SIDE}", re.I)
_PAIR = re.compile(rf"(?:{_UNIT})?\s*[:_#]?\s*(\d+)\s*{_ARROW}\s*(?:{_UNIT})?\s*[:_#]?\s*(\d+)", re.I)
_RUN = re.compile(rf"(\d+)(?:\s*{_TO}\s*(?:{_UNIT})?[\s_:#]*(\d+))?", re.I)
_EVERY = re.compile(rf"(?:all|every|each)\b(?:\s+(?:of\s+)?(?:the\s+)?(?:\d+\s+)?{_UNIT})?", re.I)
_NOISE = re.compile(r"\(\s*each\s*\)|(?<=\S)\s+each\b|\bper\b", re.I)
_BESIDE = re.compile(
    r"\(?\b(?:tp|pp|dp|ep|sp|cp|nodes?|stage|rack|pod)\s*[=:#]?\s*\d+(?:-\d+)?\b\)?"
    r"|\b(?:G?[ABHLTV]\d{2,3}[A-Z]?|MI\d{3}\w?|RTX\s?\d+)\b(?:-\d+GB)?",
    re.I,
)
"""What may stand beside GPUs and has numbers of its own: degrees, nodes, and the names of products."""
_FOREIGN = re.compile(
    rf"(?<![a-z])(?!(?:{_UNIT}|to|through|and|ids?|all|members?)(?![a-z]))[a-z]+[\s_:#=-]*\d|\d\s*:\s*\d", re.I
)
"""A number of something else."""
_DOTS = re.compile(r"\s*,\s*(?:…|\.\.\.)\s*,\s*(?=\D{0,8}\d)")
_SETS = re.compile(r"[\[({][^\[\](){}]*[\])}]")
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
    text = _DOTS.sub("…", _CUT.sub("", text))
    if flow := _flow(text, vague):
        return flow
    if match := _EVERY.match(text):
        return Devices(ids_of(text[match.end() :]), all=True, vague=vague)
    return _listed(text, vague)


def _flow(text: str, vague: bool) -> Devices | None:
    """Who sends and who receives: one list to another, pairs, or each to the other."""
    pairs = [(frozenset({int(one)}), frozenset({int(other)})) for one, other in _PAIR.findall(text)]
    if len(pairs) < 2:
        pairs = [(ids_of(one), ids_of(other)) for one, other in _FLOW.findall(text)]
    if not pairs:
        ids = ids_of(text) if _EXCHANGE.search(text) else frozenset[int]()
        return Devices(ids, senders=ids, receivers=ids, vague=vague) if len(ids) > 1 else None
    senders, receivers = (frozenset[int]().union(*ends) for ends in zip(*pairs, strict=True))
    return Devices(senders | receivers, senders=senders, receivers=receivers, vague=vague)


def _listed(text: str, vague: bool) -> Devices | Unreadable:
    """`2 groups of 8: 0-7; 8-15`, `[0-7], [8-15]`, `GPUs 0-7`, `0,1`."""
    head = re.match(r"\d+\s+(groups?|pairs?)\b[^:]*:", text)
    body = _BESIDE.sub(" ", text[head.end() :] if head else text)
    if _FOREIGN.search(body):
        return Unreadable(text)
    sets = [ids_of(part) for part in _SETS.findall(body)]
    if sum(len(each) > 1 for each in sets) < 2:
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
    for first, last in _RUN.findall(_DOTS.sub("…", text)):
        low, high = int(first[:12]), int((last or first)[:12])
        found.update(range(low, min(high, low + _LONGEST) + 1) if high >= low else (low, high))
    return frozenset(found)


@lru_cache(65536)
def mentioned(text: str) -> tuple[Devices | Unreadable | None, str]:
    """The GPUs that a phrase in a text names, and the text without it."""
    match = PHRASE.search(text)
    if match is None:
        return None, text
    flow = _FLOW.search(text, match.start()) or _EXCHANGE.search(text, match.start())
    if flow and flow.start() <= match.end():
        found, end = devices(flow.group()), flow.end()
    elif match.group("ids"):
        found, end = devices(match.group("ids")), match.end()
    elif word := match.group("word") or match.group("beside"):
        found, end = devices(word), match.end()
    else:
        found, end = devices(f"all ({match.group('all')})" if match.group("all") else "all"), match.end()
    left = re.sub(r"\b(on|at)\s*$|[@(\[{]\s*$", "", text[: match.start()].rstrip()), text[end:].lstrip(" )]}:-–¦|,;")
    return found, " ".join(part.strip(" -–¦|,;:") for part in left if part.strip(" -–¦|,;:"))
