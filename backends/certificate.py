"""What was shown of a deployment, under which conditions, and of which files: the `certificate` of its report.

    {"valid": true, "layers": [{"name": "layouts", "shows": …}, …], "preconditions": […], "bounds": […],
     "of": {"graph": {"facts": […], "per_expert": false}, "sha256": {"ep.dot": "9f…", "ep.mlir": "c0…"}}}

`dagc verify DIR` makes the files anew from the logical module and holds them against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol


class Layer(Protocol):
    """One layer of defence that ran."""

    @property
    def name(self) -> str: ...
    @property
    def shows(self) -> str: ...
    @property
    def holds(self) -> bool: ...
    @property
    def facts(self) -> Sequence[str]: ...


def certificate(
    layers: Sequence[Layer],
    preconditions: Sequence[Mapping[str, Any]],
    bounds: Sequence[str],
    graph: Mapping[str, Any],
    files: Mapping[str, str | bytes],
) -> dict[str, Any]:
    """The certificate of one deployment; `files` are those it speaks of, by name, `graph` how to draw it anew."""
    return {
        "valid": all(layer.holds for layer in layers),
        "layers": [
            {"name": layer.name, "holds": layer.holds, "shows": layer.shows, "facts": list(layer.facts)}
            for layer in layers
        ],
        "preconditions": list(preconditions),
        "bounds": list(bounds),
        "of": {"graph": dict(graph), "sha256": {name: digest(data) for name, data in files.items()}},
    }


def digest(data: str | bytes) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    return sha256(data if isinstance(data, bytes) else data.encode()).hexdigest()
