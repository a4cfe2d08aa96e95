"""What `dagc verify PATH` checks: an output folder, a module, or every deployment of a description.

graphs/            an output folder (it has a manifest): everything is made anew from its files and compared
ep.mlir            a module of any stage; of a lowered one also the graph that it emits
experiment.yaml    a description, a config.json or a model's name: its deployments are compiled, nothing is written
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .backends.folder import MANIFEST
from .diagnostics import Diagnostic
from .driver import compile_job, load_text
from .ir.dialect import parse_module
from .ir.module import sizes_of
from .job import Request
from .passes.expand import expand
from .passes.verify import Field, Floats, Verdict, verify_graph, verify_module
from .passes.verify.meaning.numbers import Numbers
from .passes.verify.stages import Stage, stage_of
from .planning import plan
from .recheck import Checked, recheck

MODULE = ".mlir"


def check(request: Request) -> list[Checked]:
    """What `request.source` names, checked; one entry a deployment. Refused where it cannot be read or planned."""
    path, numbers = Path(request.source or ""), Floats if request.numeric else Field
    if request.source and (path / MANIFEST).is_file():
        return recheck(path, numbers)
    if path.suffix == MODULE:
        return [Checked(str(path), _module(path, numbers))]
    jobs = [compile_job(job, request) for job in plan(request)]
    return [
        Checked(f"{job.model.name}/{job.name}", job.verdict or Verdict(), _beside(job.diagnostics, job.verdict))
        for job in jobs
    ]


def _beside(diagnostics: list[Diagnostic], verdict: Verdict | None) -> list[Diagnostic]:
    """Diagnostics of a job that are not its verdict's."""
    known = set(verdict.diagnostics) if verdict else set()
    return [diagnostic for diagnostic in diagnostics if diagnostic not in known]


def _module(path: Path, numbers: Callable[[int], Numbers]) -> Verdict:
    """All layers that a module by itself allows: its own operators, moves looked through, are the model."""
    module = parse_module(load_text(path), str(path))
    verdict = verify_module(module)
    if not verdict.holds or stage_of(module) is not Stage.LOWERED:
        return verdict
    emitted = verify_graph(expand(module, path.stem), module, sizes_of(module), numbers)
    return Verdict([*verdict.layers, *emitted.layers], verdict.preconditions, emitted.bounds)
