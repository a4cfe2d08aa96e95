"""Typed look-up of the keys of one config.json: what was read, from which line, and what had to be assumed.

keys.get("num_hidden_layers")   → 32, read; or None and a diagnostic if it is missing or has a wrong type
keys.get("mlp_bias")            → False, and `assumed` says so, if the file does not state it
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from ..diagnostics import Diagnostic
from .architectures import Architecture, Table
from .parsed import Parsed, shown
from .rope_scaling import Scaling
from .schema import MAX_LAYERS, MAX_SIZE, Flag, LayerList, Layers, Size, checked

KINDS: dict[str, Any] = {
    "size": Size,
    "layers": Layers,
    "count": Annotated[int, Field(ge=0, le=MAX_SIZE)],
    "flag": Flag,
    "text": str,
    "texts": Annotated[list[str], Field(max_length=MAX_LAYERS)],
    "maybe": Annotated[int | None, Field(gt=0, le=MAX_SIZE)],
    "layer_list": LayerList,
    "number": Annotated[float, Field(gt=0, lt=MAX_SIZE)],
    "scaling": Scaling,
}


class ConfigKeys:
    """The keys of a configuration of one architecture. Problems and assumptions collect as keys are asked for."""

    def __init__(self, parsed: Parsed, name: str, architecture: Architecture, table: Table) -> None:
        self.parsed, self.name, self.architecture, self.table = parsed, name, architecture, table
        self.problems: list[Diagnostic] = []
        self.assumed: list[str] = []
        self.read: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """The value of a key, checked; its default, noted as assumed; None (and a problem) where there is neither."""
        if key not in self.read:
            self.read[key] = self._checked(key) if self.states(key) else self._default(key)
        return self.read[key]

    def fact(self, source: str | bool | list[str] | None) -> Any:
        """A fact of the architecture: a constant, or the value of the first of its keys that is present."""
        if isinstance(source, list):
            return self.get(next((key for key in source if self.states(key)), source[0]))
        return self.get(source) if isinstance(source, str) else source

    def optional(self, key: str, default: int | None, why: str) -> Any:
        """The value of a key whose default depends on others; `why` says how."""
        if self.states(key) or key in self.architecture.defaults:
            return self.get(key)
        if default is not None and key not in self.read:
            self.assumed.append(f"{key} = {default} ({why})")
        self.read[key] = default
        return default

    def states(self, key: str) -> bool:
        """Does the file say something of this key? (`null` says something only where it is a value of its own.)"""
        data = self.parsed.data
        return key in data and (data[key] is not None or self.table.keys[key].kind == "maybe")

    def unread(self) -> list[str]:
        """Keys that the table knows and the file states, but that this model has no use for; checked all the same."""
        unread = [key for key in self.parsed.data if key in self.table.keys and key not in self.read]
        for key in filter(self.states, unread):
            self._checked(key)
        return unread

    def refuse(self, code: str, key: str, problem: str, expected: str = "", hint: str = "") -> None:
        actual = shown(self.parsed.data.get(key))
        self.problems.append(Diagnostic(code, f"{key}: {problem}", self.parsed.where(key), expected, actual, hint))

    def _checked(self, key: str) -> Any:
        value, problems = checked(KINDS[self.table.keys[key].kind], self.parsed.under(key))
        self.problems += [replace(problem, problem=f"{key} has a wrong value") for problem in problems]
        return value

    def _default(self, key: str) -> Any:
        spec = self.table.keys[key]
        default = self.architecture.defaults.get(key, spec.default)
        if default is None and spec.kind != "maybe":
            problem = f"key {key} is missing ({self.name} needs it)"
            self.problems.append(Diagnostic("missing-key", problem, self.parsed.name))
        else:
            self.assumed.append(f"{key} = {json.dumps(default)} (the default of {self.name})")
        return default
