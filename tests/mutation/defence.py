"""The verifier under test, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import ModuleOp

from dagc.diagnostics import Diagnostic
from dagc.ir.deployment import Deployment
from dagc.passes.verify import Verdict, unrolled, verify_graph, verify_handover, verify_module

from .cases import Case


def verdict_on(case: Case, mutant: ModuleOp | Deployment) -> Verdict:
    """What the verifier says of a lowered module, or of an emitted graph alone."""
    if isinstance(mutant, Deployment) and case.apart:
        verdict = Verdict()
        verdict.run("micro-batches", "every run is the program", lambda: unrolled.check(mutant, case.program))
        return verdict
    if isinstance(mutant, Deployment):
        verdict = verify_graph(mutant, case.logical, case.lowered_sizes, memory=case.memory)
        if case.leaves and verdict.holds:
            verify_handover(verdict, mutant, case.step.deployment)
        return verdict
    return verify_module(mutant, case.logical)


def caught_by(case: Case, mutant: ModuleOp | Deployment) -> str:
    """The first layer that refuses the mutant, or nothing."""
    return verdict_on(case, mutant).caught_by or ""


def findings(case: Case, mutant: ModuleOp | Deployment) -> Sequence[Diagnostic]:
    return verdict_on(case, mutant).diagnostics


def layers(case: Case) -> list[str]:
    """The names of all layers, of modules and then of graphs."""
    return [layer.name for subject in (case.lowered, case.deployment) for layer in verdict_on(case, subject).layers]
