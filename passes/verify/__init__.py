"""What proves a module and its deployment graph right, sharing no code with the passes that made them.

| layer | file | says |
| --- | --- | --- |
| well-formed | `wellformed` | it is IR: every operator satisfies its rule, every value is defined and used |
| dimensions | `dimensions` | local and global sizes agree for all sizes, on the preconditions listed |
| layouts | `layouts`, `micro_batches` | every operator gets its operands as it needs them; every sum is paid, once |
| coverage | `coverage` | it is the logical program: every layer, operator, weight and shard exactly once |
| graph laws | `graph` | the per-GPU graph is acyclic, connected, communicates where it must, and cannot deadlock |
| stated dimensions | `stated`, `labels`, `sending`, `time` | what nodes state follows from their rules; parts add up |
| graph coverage | `presence` | the graph computes every operator of the model once and holds every part |
| meaning | `meaning` | at small size, every value on every GPU is the undivided model's; a test, not a proof |
| token chunks | `chunks` | a prompt in chunks is the prompt at once, over caches that grow in place |
| handover | `handover` | of a step whose prefill is a program of its own: caches are found as that one leaves them |

A layer runs where those before it found nothing that would make its own findings meaningless.
"""

from __future__ import annotations

from collections.abc import Callable

from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment
from ...ir.dims import Sizes
from . import (
    chunks,
    coverage,
    dimensions,
    graph,
    handover,
    labels,
    layouts,
    meaning,
    micro_batches,
    presence,
    sending,
    stated,
    time,
    wellformed,
)
from .arrays import sound
from .dimensions import Precondition
from .meaning import Field, Floats, Memory
from .meaning.numbers import Numbers
from .parts import parts
from .verdict import Layer, Verdict

__all__ = ["Field", "Floats", "Layer", "Memory", "Precondition", "Verdict", "verify", "verify_graph", "verify_handover",
           "verify_module"]  # fmt: skip


def verify(
    module: ModuleOp, logical: ModuleOp, deployment: Deployment, sizes: Sizes, numbers: Callable[[int], Numbers] = Field
) -> Verdict:
    """All layers: of the lowered module, then of the graph emitted for it. `sizes` are the lowered module's."""
    verdict = verify_module(module, logical)
    emitted = verify_graph(deployment, logical, sizes, numbers)
    return Verdict([*verdict.layers, *emitted.layers], verdict.preconditions, emitted.bounds)


def verify_handover(verdict: Verdict, prefill: Deployment, decode: Deployment) -> None:
    """One more layer, of a step whose caches another program leaves: of both graphs."""
    shows = "every cache is found on the GPU and in the part that the prefill leaves"
    layer = verdict.run("handover", shows, lambda: handover.check(prefill, decode))
    layer.facts += handover.facts(prefill, decode)


def verify_module(module: ModuleOp, logical: ModuleOp | None = None) -> Verdict:
    """The layers on a module of any stage; coverage against the logical module where that is given."""
    verdict = Verdict()
    verdict.run(
        "well-formed", "every operator satisfies its rule, every value is used", lambda: wellformed.check(module)
    )
    if any(diagnostic.code == "ill-formed" for diagnostic in verdict.diagnostics):
        return verdict
    facts: list[str] = []

    def proven() -> list[Diagnostic]:
        found, proof = dimensions.check(module)
        verdict.preconditions += proof.preconditions
        facts.extend(proof.proven)
        return found

    adds = "the parts of every dimension add up to its global size, for all sizes"
    verdict.run("dimensions", adds, proven).facts = facts
    paid = "every operand is laid out as needed, every sum owed is paid once"
    verdict.run("layouts", paid, lambda: [*layouts.check(module), *micro_batches.check(module)])
    whole = "the logical program, operator by operator" if logical else "every layer and weight shard exactly once"
    verdict.run("coverage", whole, lambda: coverage.check(module, logical))
    return verdict


def verify_graph(
    deployment: Deployment,
    model: ModuleOp | None = None,
    sizes: Sizes | None = None,
    numbers: Callable[[int], Numbers] = Field,
    memory: Memory | None = None,
) -> Verdict:
    """The layers on the emitted graph; coverage and meaning against the undivided model where that is given.

    `memory`: what of other graphs was found right, which is not run again where it is the same.
    """
    verdict = Verdict()
    shows = f"{deployment.nodes} nodes, acyclic, connected, nothing dangling, no deadlock"
    verdict.run("graph laws", shows, lambda: _laws(deployment))
    if any(diagnostic.code == "ill-formed" for diagnostic in verdict.diagnostics):
        return verdict
    if sizes is not None:
        follows = "every result follows from its operands, parts add up, in every node"
        verdict.run("stated dimensions", follows, lambda: _stated(deployment, sizes))
    if model is not None:
        once = "every operator of the model once, every part held equally often"
        verdict.run("graph coverage", once, lambda: presence.check(deployment, model))
    if model is not None and sizes is not None and verdict.holds:
        _meaning(verdict, deployment, model, sizes, numbers, memory)
    if model is not None and sizes is not None and verdict.holds and deployment.token_chunks > 1:
        shows = f"{deployment.token_chunks} runs over growing caches are one over the whole prompt, at small size"
        verdict.run("token chunks", shows, lambda: [*chunks.check(deployment, model, sizes, numbers)])
    return verdict


def _laws(deployment: Deployment) -> list[Diagnostic]:
    """On one of each class of alike parts; where one breaks a law on all, so that real GPUs are named."""
    if found := sound(deployment):
        return found
    for part in parts(deployment):
        if found := graph.laws(part.deployment):
            return found if part.deployment is deployment else graph.laws(deployment)
    return []


def _stated(deployment: Deployment, sizes: Sizes) -> list[Diagnostic]:
    checks = (labels.check, sending.check, time.check)
    return [*stated.check(deployment, sizes), *(found for check in checks for found in check(deployment))]


def _meaning(
    verdict: Verdict,
    deployment: Deployment,
    model: ModuleOp,
    sizes: Sizes,
    numbers: Callable[[int], Numbers],
    memory: Memory | None,
) -> None:
    outcome = meaning.Outcome()
    same = "every value on every GPU is the undivided model's, at small size"
    layer = verdict.run("meaning", same, lambda: meaning.check(deployment, model, sizes, numbers, outcome, memory))
    layer.facts += outcome.facts()
    verdict.bounds.append(outcome.bound(numbers(0)))
