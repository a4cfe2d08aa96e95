"""One node's attributes → `Node`: the facts of its label, held against what its attributes state."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ...ir.drawing import Cluster, Devices, Fact, Form, Kind, Node, Unreadable
from .contents import Attributes
from .devices import mentioned
from .fields import Stated, stated
from .labels import is_table, label_lines
from .places import place_of
from .shapes import form
from .tensors import tensors
from .vocabulary import Meaning, meaning

_TENSORS = {
    "inputs": ("input", "inputs"),
    "outputs": ("output", "outputs"),
    "weights": ("weight", "weights"),
    "state": ("state",),
    "whole_inputs": ("global_input",),
    "whole_outputs": ("global_output",),
}
_TOLD = (
    *(name for names in _TENSORS.values() for name in names),
    "shape", "sides", "skew", "kind", "op", "collective", "bytes", "repeat_id", "path", "steps",
)  # fmt: skip
"""Attributes that say what a node is, not where."""
_KINDS = {kind.value: kind for kind in Kind}
_DRAWN = {Form.COMM: Kind.COMM, Form.COMPUTE: Kind.COMPUTE, Form.ROUTE: Kind.ROUTE}
_ENDS = {Kind.INPUT: "outputs", Kind.OUTPUT: "inputs"}
"""Where the only dimensions of a total input or output belong, when it does not say."""
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_BINARY = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}


@dataclass(frozen=True, eq=False)
class _What:
    """What a node is and states; many nodes, each on a GPU of its own, share one."""

    title: str
    form: Form
    sense: Meaning
    kind: Kind | None
    facts: Mapping[str, Fact]
    merges: Mapping[str, str]
    collective: bool
    bytes: str
    steps: int
    unsaid: tuple[str, ...]
    clashes: tuple[tuple[str, str, str], ...]


def node_of(name: str, attributes: Attributes, line: int, declared: bool, clusters: tuple[Cluster, ...]) -> Node:
    """The node of this name; `clusters` are those around it, innermost first."""
    shape, label = attributes.get("shape", ""), attributes.get("label", "")
    lines = label_lines(label, shape.lower().endswith("record")) or label_lines(name.replace("\\", "/"))
    if "xlabel" in attributes:
        lines += label_lines(attributes["xlabel"])
    said, drawn = stated(lines)
    place = place_of(attributes, said, drawn)
    what = _what(said, said.title or name, is_table(label), tuple(attributes.get(key) for key in _TOLD))
    around = None if place.devices else next((each for each in clusters if each.devices), None)
    return Node(
        id=name,
        line=line,
        declared=declared,
        title=what.title,
        shape=shape,
        form=what.form,
        kinds=what.sense.kinds,
        kind=what.kind,
        families=what.sense.families,
        devices=around.devices if around else place.devices,
        placed=place.said or (around is not None and around.shown),
        **what.facts,
        merges=what.merges,
        collective=what.collective,
        bytes=what.bytes,
        repeat=attributes.get("repeat_id") or _repeat(said, clusters),
        path=attributes.get("path", ""),
        part=said.part,
        experts=said.experts,
        is_expert=what.sense.is_expert,
        elided=what.sense.elided,
        steps=what.steps,
        unsaid=what.unsaid,
        clashes=(*what.clashes, ("NODE3", *place.clash)) if place.clash else what.clashes,
        clusters=clusters,
        alike=what,
    )


@lru_cache(65536)
def _what(said: Stated, title: str, table: bool, told: tuple[str | None, ...]) -> _What:
    attributes = {key: text for key, text in zip(_TOLD, told, strict=True) if text is not None}
    sense = _sense(title, attributes.get("op", ""))
    shape = attributes.get("shape", "")
    shown = form(shape, attributes.get("sides", ""), attributes.get("skew", ""), table)
    kind = _kind(attributes, sense, shown, bool(shape))
    facts = {fact: _fact(attributes, fact, said) for fact in _TENSORS}
    if said.bare and (end := _ENDS.get(kind) if kind else None):
        facts = {side: _at_end(fact, said.bare if side == end else None) for side, fact in facts.items()}
    return _What(
        title,
        shown,
        sense,
        kind,
        facts,
        _merges(said, facts),
        _names_collective(attributes, sense),
        said.bytes or attributes.get("bytes", ""),
        _steps(attributes, said),
        tuple(key for key in ("inputs", "outputs") if facts[key] is not None and key not in said.tensors),
        tuple(_clashes(attributes, said, sense)),
    )


def _at_end(fact: Fact, bare: Fact) -> Fact:
    return bare if isinstance(fact, Unreadable) else fact


@lru_cache(65536)
def _sense(title: str, op: str) -> Meaning:
    found = meaning(title)
    return meaning(op) if op and not found.kinds else found


def _fact(attributes: Attributes, name: str, said: Stated) -> Fact:
    text = next((attributes[key] for key in _TENSORS[name] if key in attributes), None)
    told = tensors(text) if text is not None else None
    return told if isinstance(told, tuple) else said.tensors.get(name, told)


def _kind(attributes: Attributes, sense: Meaning, shown: Form, stated_shape: bool) -> Kind | None:
    """What its attribute states, else its title, else its shape where someone chose one."""
    if attributes.get("collective"):
        return Kind.COMM
    if told := _KINDS.get(attributes.get("kind", "").lower()):
        return told
    drawn = _DRAWN.get(shown)
    if not sense.kinds:
        return drawn if stated_shape else None
    return drawn if drawn in sense.kinds else min(sense.kinds)


def _steps(attributes: Attributes, said: Stated) -> int:
    told = attributes.get("steps", "")
    return int(told) if told.isascii() and told.isdigit() and 0 < len(told) < 10 and int(told) else said.steps


def _merges(said: Stated, facts: dict[str, Fact]) -> dict[str, str]:
    found = dict(said.merges)
    for fact in (facts["inputs"], facts["outputs"]):
        for tensor in fact if isinstance(fact, tuple) else ():
            found.update(tensor.merges)
    return found


def _names_collective(attributes: Attributes, sense: Meaning) -> bool:
    told = meaning(attributes.get("collective", ""))
    return any(Kind.COMM in each.kinds and each.families != ("communication",) for each in (told, sense))


def _repeat(said: Stated, clusters: tuple[Cluster, ...]) -> str:
    around = next((each for each in clusters if each.repeat), None)
    return around.id if around else said.repeat and f"× {said.repeat}"


def _clashes(attributes: Attributes, said: Stated, sense: Meaning) -> Iterator[tuple[str, str, str]]:
    """(code, attribute, label) where both state a fact and differ; places are not among them."""
    for name, code in (("inputs", "NODE2"), ("outputs", "NODE2"), ("weights", "NODE2"), ("state", "NODE2")):
        text, label = next((attributes[key] for key in _TENSORS[name] if key in attributes), ""), said.tensors.get(name)
        told = tensors(text) if text else None
        if isinstance(told, tuple) and isinstance(label, tuple) and [t.key for t in told] != [t.key for t in label]:
            yield code, text, ", ".join(map(str, label))
    kind = _KINDS.get(attributes.get("kind", "").lower())
    if kind and sense.kinds and kind not in sense.kinds and kind in _DRAWN.values():
        yield "NODE1", kind.value, said.title
    if "collective" in attributes and sense.kinds == frozenset({Kind.COMM}):
        told = meaning(attributes["collective"])
        if told.families and sense.families and told.families != sense.families:
            yield "NODE5", attributes["collective"], said.title
    yield from _bytes_clash(attributes.get("bytes", ""), said.bytes)


def _bytes_clash(told: str, said: str) -> Iterator[tuple[str, str, str]]:
    """Bytes as an attribute counts them and a label rounds them."""
    match = re.fullmatch(r"([\d.]+)\s*([kmgtp]?)(i?)b(?:ytes?)?", said.replace(",", ""), re.I)
    if told.isdecimal() and match and match.group(1).count(".") < 2:
        unit = match.group(2).lower()
        near = [float(match.group(1)) * scale[unit] for scale in (_UNITS, _BINARY)]
        if all(abs(int(told) - each) > 0.01 * each for each in near):
            yield "NODE5", f"{told} bytes", said


def cluster_place(title: str, name: str) -> tuple[Devices | None, bool]:
    """The GPUs that a cluster's title names, else its own name: `cluster_gpu_3`; whether the title does."""
    for text in (title, re.sub(r"[_\W]+", " ", name)):
        found, _ = mentioned(text)
        if isinstance(found, Devices):
            return found, text is title
    return None, False
