"""A method before it is written down: its mechanism with values for all that its strategy asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..facts import Method, Source
from .known import OPEN
from .mechanisms import Mechanism
from .parameters import Parameter
from .templates import filled, missing


@dataclass(frozen=True)
class Draft:
    """`template` is a strategy's text or body with {names}, `values` are facts, parameters and options by name."""

    name: str
    mechanism: Mechanism
    template: str | dict[str, Any]
    values: Mapping[str, object]
    parameters: tuple[Parameter, ...]
    sources: tuple[Source, ...]
    role: str = "proposed"
    picked: Mapping[str, str] = field(default_factory=dict)
    """The options taken of its points, by point."""

    @property
    def lacking(self) -> list[str]:
        """What nothing gives."""
        return missing(self.template, self.values)

    def method(self) -> Method:
        """The method. KeyError where something is lacking."""
        made = filled(self.template, self.values)
        if isinstance(made, str):
            made = made.replace(f"={OPEN}", "")
            return Method(made, self.role, made, self.sources[:4], mechanism=self.mechanism.name)
        return Method(self.name, self.role, self.name, self.sources[:4], made, self.mechanism.name)

    def keeping(self, alternatives: list[str]) -> Draft:
        """With only some of the alternatives that its body lists."""
        assert isinstance(self.template, dict)
        listed = {name: way for name, way in self.template["alternatives"].items() if name in alternatives}
        return replace(self, template={**self.template, "alternatives": listed})
