"""A label's lines → its title and what it states by name: `Input: […]`, `OUTPUT DIMENSION: […]`, `GPU: 3`, …"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ...ir.drawing import Devices, Fact, Product, Unreadable
from .devices import devices, mentioned
from .tensors import split_tensors

_DIMENSIONS = r"(?:[\s_]*(?:dim(?:ension)?s?|shapes?|tensors?|sizes?|activations?|data|states?))*"
_KEYS = {
    "whole_inputs": rf"(?:global|full|whole|logical)[\s_]+inputs?{_DIMENSIONS}",
    "whole_outputs": rf"(?:global|full|whole|logical)[\s_]+outputs?{_DIMENSIONS}",
    "inputs": rf"(?:(?:local[\s_]+)?inputs?(?:[\s_]*\d)?|ins?){_DIMENSIONS}",
    "outputs": rf"(?:(?:local[\s_]+)?outputs?(?:[\s_]*\d)?|outs?){_DIMENSIONS}",
    "weights": rf"(?:weights?|params?|parameters?){_DIMENSIONS}",
    "state": rf"(?:kv[\s_]*)?(?:states?|cached?){_DIMENSIONS}",
    "senders": r"from|source|src|sender",
    "receivers": r"to|destination|dest|dst|receiver|target",
    "members": r"members?|groups?|participants?|among|between|peers",
    "bytes": r"(?:total[\s_]+)?(?:bytes|volume|traffic|payload|data(?:[\s_]+(?:size|volume))?|size"
    r"|message(?:[\s_]+size)?|comm(?:unication)?[\s_]+(?:size|volume|bytes)|sends|transfers)(?:[\s_]+per[\s_]+\w+)?",
    "devices": r"(?:gpu|device|rank|placement|location|cuda)s?(?:[\s_]*(?:ids?|index|mapping|list|#))?",
    "repeat": r"repeat(?:s|ed|ition|itions)?|count|times",
}
_TENSORS = ("whole_inputs", "whole_outputs", "inputs", "outputs", "weights", "state")
_KEY = re.compile(
    rf"(?:(?<=^)|(?<=[\n,;¦|)\]→⇒>]))[ \t•*\-]*(?:{'|'.join(f'(?P<{name}>{words})' for name, words in _KEYS.items())})"
    r"(?:[ ]*\((?:local|per gpu|each|global|per device|\w+)\))?[ ]*(?:[:=¦→]|-(?= )|(?=[\[(]\s*[^\W\d]?))[ ¦]*",
    re.I | re.MULTILINE,
)
_ARROW = re.compile(r"^(?:[^\W\d][\w ]*[:=]\s*)?([\[(].*[\])])\s*(?:→|->|=>|⇒)\s*([\[(].*[\])])$")
_BARE = re.compile(
    r"(?:[^\W\d][\w ]*[:=] *)?[\[(](?:[^\[\]()]*\d *[,=x×:][^\[\]()]*|[^\[\]()]*[,=x×:] *\d[^\[\]()]*)[\])]"
    r"|(?:[^\W\d][\w ]*[=:] *\d+(?:, *|$)){2,}"
)
"""Dimensions of which a label does not say whether they go in or come out."""
_SAME = re.compile(r"same\b(?: *(?:as|shape|dims?|dimensions?|the|inputs?))*", re.I)
_MERGES = re.compile(r"^([^\W\d]\w*)\s*(?:=\s*\d+\s*)?=\s*([^=]*[·*×/][^=]*)$")
_BROKEN = re.compile(r"(?<=[=·×])\s*\n|\n\s*(?=[=·/]|×(?!\s*\d+\s*(?:\n|$)))")
_BYTES = re.compile(r"(\d[\d.,]*)\s*((?:[kmgtp]i?)?b(?:ytes?)?)\b", re.I)
_REPEAT = re.compile(
    r"(?:^|[\s(\[])[×x]\s?(\d+)\b|\brepeat(?:s|ed)?\s*[:=]?\s*(\d+)|\b(\d+)\s?(?:times|[×x](?=$|\s|\)))", re.I
)
_STEPS = re.compile(r"\b(?:in|over|for)\s+([1-9]\d{0,8})\s+(?:ring\s+)?steps\b", re.I)
"""How often it runs, on another part at each step: a ring."""
_PART = re.compile(
    r"\b(?:shard|part|slice|chunk|split|partition|piece|tp|rank|block)\s*#?(\d+)\s*(?:/|of)\s*(\d+)", re.I
)
_EXPERTS = re.compile(
    r"\bexperts?[\s_#:.\-]*(?P<list>\d+(?:-\d+)?(?:,\s+\d+(?:-\d+)?)+)[ ]*(?:\([^)]*\))?[ ]*$|"
    r"\bexperts?[\s_#:.\-]*(\d+)(?:\s*(?:-|–|to|\.\.\.?|…)\s*(\d+))?(?:\s*(?:…|\.\.\.?|-|–|to)\s*experts?[\s_#:]*(?:\d+\s*(?:-|–)\s*)?(\d+))?",
    re.I | re.MULTILINE,
)


@dataclass(frozen=True, eq=False)
class Stated:
    """What a label, less its GPUs, says. Labels that say the same share one."""

    title: str
    tensors: Mapping[str, Fact]
    merges: Mapping[str, str]
    devices: Devices | Unreadable | None
    senders: Devices | Unreadable | None
    receivers: Devices | Unreadable | None
    members: Devices | Unreadable | None
    bytes: str
    repeat: str
    part: tuple[int, int] | None
    experts: frozenset[int]
    bare: Fact = None
    """What goes in or comes out, where the label does not say which."""
    steps: int = 1


def stated(lines: tuple[str, ...]) -> tuple[Stated, Devices | Unreadable | None]:
    """What a label says, and the GPUs it names. Lines that only name GPUs differ between nodes, so they are read apart:
    the others are alike for many nodes and read once."""
    mine = next((line for line in lines if _is_place(line)), None)
    if mine is None:
        found = _stated(lines)
        return found, found.devices
    end = lines.index(mine) + 1
    while end < len(lines) and _continues(lines[end - 1], lines[end]) and not _KEY.search(lines[end]):
        end += 1
    start = lines.index(mine)
    place = " ".join(lines[start:end])
    return _stated(lines[:start] + lines[end:]), devices(_place_value(place))


_PLACE = re.compile(rf"(?:{_KEYS['devices']})\s*:\s*(.+)", re.I)


@lru_cache(65536)
def _is_place(line: str) -> bool:
    match = _PLACE.fullmatch(line)
    return bool(match) and not _KEY.search(match.group(1)) and isinstance(devices(match.group(1)), Devices)


def _continues(line: str, following: str) -> bool:
    """A line broken in a list of GPUs, or in the `… 24 more` at its end."""
    return following == "more" or line.endswith((",", ";", "→", ":", "GPU", "GPUs", "…"))


def _place_value(line: str) -> str:
    match = _PLACE.fullmatch(line)
    return match.group(1) if match else line


@lru_cache(65536)
def _stated(lines: tuple[str, ...]) -> Stated:
    text = "\n".join(lines)
    keys = list(_KEY.finditer(text))
    values: dict[str, str] = {}
    tensors: dict[str, Fact] = {}
    left = [text[: keys[0].start()] if keys else text]
    ends = [*(key.start() for key in keys[1:]), len(text)]
    before = ""
    for key, end in zip(keys, ends, strict=False):
        name, value = key.lastgroup or "", text[key.end() : end]
        if name in _TENSORS:
            fact, rest = split_tensors(value)
            tensors[name] = _both(tensors.get(name), fact)
        else:
            first, _, rest = value.partition("\n")
            more = name == "devices" and before == name and text[key.start() - 1] in ", "
            values[name] = f"{values[name]} {first}" if more else values.get(name, first)
        left.append(rest)
        before = name
    outs = tensors.get("outputs")
    if isinstance(outs, Unreadable) and _SAME.fullmatch(outs.text.strip()) and "inputs" in tensors:
        tensors["outputs"] = tensors["inputs"]
    return _told(text, "\n".join(left), tensors, values)


def _both(before: Fact, fact: Fact) -> Fact:
    """A key given twice states more tensors: `Input 1: […]`, `Input 2: […]`."""
    return before + fact if isinstance(before, tuple) and isinstance(fact, tuple) else fact


def _told(text: str, left: str, tensors: dict[str, Fact], values: dict[str, str]) -> Stated:
    places = {name: devices(values[name]) for name in ("devices", "senders", "receivers", "members") if name in values}
    kept, merges, bare = list[str](), dict[str, str](), None
    for line in filter(None, (line.strip(" ,;|¦") for line in _BROKEN.sub(" ", left).split("\n"))):
        arrow, merged = _ARROW.match(line), _MERGES.match(line)
        if arrow and "inputs" not in tensors:
            tensors["inputs"], tensors["outputs"] = split_tensors(arrow.group(1))[0], split_tensors(arrow.group(2))[0]
        elif merged and Product.parse(merged.group(2)):
            merges[merged.group(1)] = merged.group(2)
        elif _BARE.fullmatch(line):
            bare = bare or split_tensors(line.removeprefix("Shape:"))[0]
            for name in ("inputs", "outputs"):
                tensors.setdefault(name, Unreadable(line))
        else:
            kept.append(line)
    title, place = _title(kept, "devices" in places)
    part, experts, steps = _PART.search(text), _EXPERTS.search(text), _STEPS.search(text)
    return Stated(
        title,
        tensors,
        merges,
        places.get("devices") or place,
        places.get("senders"),
        places.get("receivers"),
        places.get("members"),
        _bytes(values.get("bytes", ""), kept),
        _repeat(values, kept),
        (int(part.group(1)), int(part.group(2))) if part else None,
        _range(experts) if experts else frozenset(),
        bare,
        int(steps.group(1)) if steps else 1,
    )


def _title(lines: list[str], placed: bool) -> tuple[str, Devices | Unreadable | None]:
    """The first line that says more than GPUs, and the GPUs that a phrase in some line names."""
    found: Devices | Unreadable | None = None
    title = ""
    for line in lines:
        place, rest = mentioned(line) if found is None and not placed else (None, line)
        found = found or place
        title = title or rest
    return title, found


def _bytes(value: str, lines: list[str]) -> str:
    """`126 MB`, or a bare number behind its key."""
    for text in (value, *lines):
        if match := _BYTES.search(text):
            return match.group()
    number = re.match(r"\d[\d.,_]*(e\d+)?\s*$", value)
    return f"{number.group().strip()} B" if number else ""


def _repeat(values: dict[str, str], lines: list[str]) -> str:
    if "repeat" in values and (number := re.search(r"\d+", values["repeat"])):
        return number.group()
    return repeat_of("\n".join(lines))


@lru_cache(65536)
def repeat_of(text: str) -> str:
    """`16` of `× 16`, `(x16)`, `repeated 16 times`; empty when nothing is said."""
    match = _REPEAT.search(text)
    return next(filter(None, match.groups())) if match else ""


def _range(match: re.Match[str]) -> frozenset[int]:
    """`experts 4-7`, `expert 0 … expert 7`, `experts 6-7, 0-1`, `experts 6-7, 0 (copy 2/2 of 0)`."""
    if match["list"]:
        runs = (run.strip().partition("-") for run in match["list"].split(","))
        return frozenset[int]().union(*(_run(first, last or first) for first, _, last in runs))
    first, middle, last = match.groups()[1:]
    return _run(first, last or middle or first)


def _run(first: str, last: str) -> frozenset[int]:
    start, end = int(first[:9]), int(last[:9])
    return frozenset(range(start, min(end, start + 65536) + 1)) or frozenset({start})
