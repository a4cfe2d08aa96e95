"""One node's attributes → `Node`: the facts of its label, held against what its attributes state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from ...ir.drawing import Cluster, Devices, Fact, Form, Kind, Node
from .contents import Attributes
from .devices import mentioned
from .fields import Stated, stated
from .labels import is_table, label_lines
from .places import Place, place_of
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
_KINDS = {kind.value: kind for kind in Kind}
_DRAWN = {Form.COMM: Kind.COMM, Form.COMPUTE: Kind.COMPUTE, Form.ROUTE: Kind.ROUTE}
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_BINARY = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}


def node_of(name: str, attributes: Attributes, line: int, declared: bool, clusters: tuple[Cluster, ...]) -> Node:
    """The node of this name; `clusters` are those around it, innermost first."""
    shape = attributes.get("shape", "")
    label = attributes.get("label", "")
    lines = label_lines(label, shape.lower().endswith("record")) or label_lines(name.replace("\\", "/"))
    said, drawn = stated(lines)
    place = place_of(attributes, said, drawn)
    sense = _sense(said.title or name, attributes.get("op", ""))
    shown = form(shape, attributes.get("sides", ""), attributes.get("skew", ""), is_table(label))
    facts = {fact: _fact(attributes, fact, said) for fact in _TENSORS}
    around = place.devices is None and next((each.devices for each in clusters if each.devices), None)
    return Node(
        id=name,
        line=line,
        declared=declared,
        title=said.title or name,
        shape=shape,
        form=shown,
        kinds=sense.kinds,
        kind=_kind(attributes, sense, shown, bool(shape)),
        families=sense.families,
        devices=around or place.devices,
        placed=place.said,
        **facts,
        merges=_merges(said, facts),
        collective=_names_collective(attributes, sense),
        bytes=said.bytes or attributes.get("bytes", ""),
        repeat=attributes.get("repeat_id") or _repeat(said, clusters),
        path=attributes.get("path", ""),
        part=said.part,
        experts=said.experts,
        is_expert=sense.is_expert,
        elided=sense.elided,
        unsaid=tuple(key for key in ("inputs", "outputs") if facts[key] is not None and key not in said.tensors),
        clashes=tuple(_clashes(attributes, said, place, sense)),
        clusters=clusters,
    )


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


def _clashes(attributes: Attributes, said: Stated, place: Place, sense: Meaning) -> Iterator[tuple[str, str, str]]:
    """(code, attribute, label) where both state a fact and differ."""
    for name, code in (("inputs", "NODE2"), ("outputs", "NODE2"), ("weights", "NODE2"), ("state", "NODE2")):
        text, label = next((attributes[key] for key in _TENSORS[name] if key in attributes), ""), said.tensors.get(name)
        told = tensors(text) if text else None
        if isinstance(told, tuple) and isinstance(label, tuple) and [t.key for t in told] != [t.key for t in label]:
            yield code, text, ", ".join(map(str, label))
    if place.clash:
        yield "NODE3", *place.clash
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


def cluster_place(title: str, name: str) -> Devices | None:
    """The GPUs that a cluster's title names, else those its own name does: `cluster_gpu_3`."""
    for text in (title, re.sub(r"[_\W]+", " ", name)):
        found, _ = mentioned(text)
        if isinstance(found, Devices):
            return found
    return None
