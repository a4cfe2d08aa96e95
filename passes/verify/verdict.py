"""What the layers of defence say of a deployment: which ran, what each shows or found, under which conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

from ...diagnostics import Diagnostic
from .dimensions import Precondition


@dataclass
class Layer:
    """One layer: what it shows when it finds nothing. `seconds` is what it took."""

    name: str
    shows: str
    diagnostics: list[Diagnostic] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        return not self.diagnostics


@dataclass
class Verdict:
    """All layers that ran; what was shown, on which preconditions, with which error bounds."""

    layers: list[Layer] = field(default_factory=list)
    preconditions: list[Precondition] = field(default_factory=list)
    bounds: list[str] = field(default_factory=list)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        return [diagnostic for layer in self.layers for diagnostic in layer.diagnostics]

    @property
    def holds(self) -> bool:
        return all(layer.holds for layer in self.layers)

    @property
    def caught_by(self) -> str | None:
        """The first layer that found something."""
        return next((layer.name for layer in self.layers if not layer.holds), None)

    @property
    def proofs(self) -> list[str]:
        """What was shown, a line each."""
        return [line for layer in self.layers if layer.holds for line in (f"{layer.name}: {layer.shows}", *layer.facts)]

    def run(self, name: str, shows: str, check: Callable[[], list[Diagnostic]]) -> Layer:
        """Run one layer and keep what it says."""
        start = perf_counter()
        found = check()
        layer = Layer(name, shows, found, seconds=perf_counter() - start)
        self.layers.append(layer)
        return layer
