"""What proves a module and its deployment graph right, sharing no code with the passes that made them.

| layer | file | says |
| --- | --- | --- |
| 1 | `wellformed` | it is IR: every operator satisfies its rule, every value is defined and used |
| 2 | `dimensions` | local and global sizes agree for all sizes, on the preconditions listed |
| 3 | `layouts` | every operator gets its operands as it needs them; every sum owed is paid, once |
| 4 | `coverage` | it is the logical program: every layer, operator, weight and shard exactly once |
| 5 | `graph` | the per-GPU graph is acyclic, connected, and moves data between GPUs by communication only |
"""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment
from . import coverage, dimensions, graph, layouts, wellformed
from .dimensions import Precondition

__all__ = ["Precondition", "Verdict", "verify_graph", "verify_module"]


@dataclass
class Verdict:
    """All findings; and what was proven, on which preconditions."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    proofs: list[str] = field(default_factory=list)
    preconditions: list[Precondition] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.diagnostics

    def add(self, found: list[Diagnostic], proven: str) -> None:
        """The outcome of one layer: its findings, or what it proves."""
        self.diagnostics += found
        if not found:
            self.proofs.append(proven)


def verify_module(module: ModuleOp, logical: ModuleOp | None = None) -> Verdict:
    """Layers 1 to 4 on a module of any stage, the fourth against the logical module where that is given."""
    verdict = Verdict()
    verdict.add(wellformed.check(module), "well-formed: every operator satisfies its rule, every value is used")
    if any(diagnostic.code == "ill-formed" for diagnostic in verdict.diagnostics):
        return verdict
    found, proof = dimensions.check(module)
    verdict.add(found, "dimensions: the parts of every dimension add up to its global size, for all sizes")
    verdict.proofs += proof.proven
    verdict.preconditions += proof.preconditions
    verdict.add(layouts.check(module), "layouts: every operand is laid out as needed, every sum owed is paid once")
    whole = "the logical program, operator by operator" if logical else "every layer and weight shard exactly once"
    verdict.add(coverage.check(module, logical), f"coverage: {whole}")
    return verdict


def verify_graph(deployment: Deployment) -> Verdict:
    """Layer 5 on the emitted graph."""
    verdict = Verdict()
    verdict.add(graph.check(deployment), f"graph laws: {deployment.nodes} nodes, acyclic, connected, nothing dangling")
    return verdict
