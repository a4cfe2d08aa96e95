"""Strategies as the keys of a strategy file, whatever way they are named: what a repair can change.

tp=12          {mesh: {tp: 12}, rules: [{at: "*", cut: {tp: [heads, ffn, vocab]}}]}
tp=8,pp=2      {mesh: {tp: 8, pp: 2}, rules: […], stages: {axis: pp, layers: even}}
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from ...strategy_choice import choose
from ...strategy_file import STRATEGIES
from ...yaml_reader import read_yaml
from ..facts import Method

Body = dict[str, Any]


def body_of(method: Method) -> Body:
    """The body of a method; of one that is named by a text, that of the strategies which the text names, multiplied."""
    if method.body is not None:
        return deepcopy(dict(method.body))
    choice = choose(method.strategy, None, {}, None)
    made: Body = {"mesh": {}, "rules": []}
    for component in choice.components:
        own = read_yaml(STRATEGIES / f"{component.strategy.name}.yaml").data
        made["rules"] += [rule for used in own.get("uses", []) for rule in _rules(used)] + own.get("rules", [])
        made |= {key: value for key, value in own.items() if key not in ("about", "needs", "mesh", "rules", "uses")}
        made["mesh"] |= {axis: size or "gpus" for axis, size in component.axes if axis not in component.strategy.folded}
    return _sized(made, {axis: size for c in choice.components for axis, size in c.axes})


def _rules(name: str) -> list[Any]:
    return list(read_yaml(STRATEGIES / f"{name}.yaml").data["rules"])


def _sized(body: Body, sizes: Mapping[str, int | None]) -> Body:
    """With the sizes of pools and folds, too; a body with pools has no mesh."""
    for meshes in [body.get("folds", {}), *({"": pool.get("mesh", {})} for pool in body.get("pools", {}).values())]:
        for mesh in meshes.values():
            mesh.update({axis: sizes.get(axis) or "gpus" for axis in mesh})
    if "pools" in body:
        del body["mesh"]
    return body


def meshes_of(body: Body) -> list[dict[str, Any]]:
    """The mesh, or those of all pools."""
    if "pools" in body:
        return [pool["mesh"] for pool in body["pools"].values()]
    return [body.get("mesh", {})]


def sizes_of(method: Method) -> dict[str, int] | None:
    """Axes and sizes in the order that a method names them; nothing where one is left open."""
    if method.body is None and "=" in method.strategy:
        pairs = [entry.partition("=") for entry in method.strategy.split(",")]
        sizes: dict[str, Any] = {axis: int(size) for axis, _, size in pairs if size.isdigit()}
        return sizes if len(sizes) == len(pairs) else None
    sizes = {axis: size for mesh in meshes_of(body_of(method)) for axis, size in mesh.items()}
    return sizes if all(isinstance(size, int) for size in sizes.values()) else None


def with_sizes(method: Method, sizes: Mapping[str, int], extra: Mapping[str, int]) -> Method:
    """The method with other sizes of its axes, and with further axes: copies (dp) or stages (pp) of it."""
    if method.body is None:
        whole = {**extra, **sizes}
        text = ",".join(f"{axis}={size}" for axis, size in whole.items() if size > 1) or "tp=1"
        return replace(method, name=text if method.name == method.strategy else method.name, strategy=text)
    body = body_of(method)
    for mesh in meshes_of(body):
        mesh.update({axis: sizes[axis] for axis in mesh})
    for axis, size in extra.items():
        body["mesh"] = {axis: size, **body["mesh"]}
        if axis == "pp":
            body["stages"] = {"axis": "pp", "layers": "uneven"}
        else:
            body["rules"] = [{"at": "*", "cut": {axis: "batch_size"}}, *body.get("rules", [])]
    return replace(method, body=body)


def staged(method: Method, layers: str) -> Method:
    """The method with its layers cut in another way."""
    body = body_of(method)
    name = method.name if method.body is not None else f"{_plain(method.strategy)}-{layers}"
    stages = {"axis": body["stages"]["axis"], "layers": layers}
    return replace(method, name=name, strategy=name, body={**body, "stages": stages})


def _plain(text: str) -> str:
    """A product as a name: tp8-pp2."""
    return text.replace("=", "").replace(",", "-")


def uneven(method: Method, axes: set[str]) -> Method:
    """The method with parts of these axes as equal as can be, where they cannot be equal."""
    body, changed = body_of(method), method.name
    if method.body is None:
        changed = f"{_plain(method.strategy)}-uneven"
    for rule in [*body.get("rules", []), *(r for way in body.get("alternatives", {}).values() for r in way["rules"])]:
        cuts = rule.get("cut", {})
        for axis in axes & set(cuts):
            cuts[axis] = _unevenly(cuts[axis])
    return replace(method, name=changed, strategy=changed, body=body)


def _unevenly(cut: Any) -> Any:
    if isinstance(cut, dict):
        return {name: "uneven" if order == "contiguous" else order for name, order in cut.items()}
    names = cut if isinstance(cut, list) else [cut]
    return cut if cut is None else dict.fromkeys(names, "uneven")
