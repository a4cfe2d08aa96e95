"""In how many micro-batches a batch goes through, and in how many chunks a prompt: as many as asked for, or of
micro-batches the fewest that fit the memory (DEP5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .diagnostics import Diagnostic, Refused
from .frontends.model import Phase
from .job import Job, Request
from .passes.divide import divided
from .passes.judge import fits


def check_divisible(job: Job) -> None:
    """Refused where batch or prompt do not go through in so many equal parts, with the numbers that work; or where a
    prompt cannot go through in chunks at all.
    """
    reasons = [reason for reason, holds in _whole(job).items() if holds]
    if job.token_chunks > 1 and reasons:
        hint = "use --token-chunks 1"
        raise Refused(*(Diagnostic("token-chunks", reason, "", hint=hint) for reason in reasons))
    _check_parts(job.batch, job.micro_batches, "a batch of {} sequences", "micro-batches")
    _check_parts(job.sizes.get("S"), job.token_chunks, "a prompt of {} tokens", "token-chunks")


def _whole(job: Job) -> dict[str, bool]:
    """Why a prompt cannot go through in chunks of its tokens."""
    return {
        "a decode step takes its new tokens at once, a prompt alone goes through in token chunks": (
            job.phase is Phase.DECODE
        ),
        "attention that looks ahead (it is not causal) needs the whole prompt, not token chunks": (
            not job.model.attention.causal
        ),
        "caches that are filled in token chunks are not left to another program": bool(job.plan and job.plan.keeps),
    }


def _check_parts(size: int | None, runs: int, what: str, flag: str) -> None:
    if size and size % runs:
        works = [count for count in range(1, min(size, 4096) + 1) if size % count == 0]
        problem = f"{what.format(size)} does not go through in {runs} equal {flag.replace('token-', '')}"
        expected = f"a divisor of {size} ({', '.join(map(str, works[:24]))}{', …' * (len(works) > 24)})"
        hint = f"use --{flag} {max(count for count in works if count <= runs)}"
        raise Refused(Diagnostic(flag, problem, "", expected, str(runs), hint))


def least_division(job: Job, request: Request) -> tuple[int, dict[str, Any]] | None:
    """Where a deployment does not fit, and no one said in how many micro-batches: the fewest that do, or the most."""
    if job.module is None or not (job.plan and job.plan.divisible) or fits(job.figures):
        return None
    return divided(job.module, job.cluster.kinds, request.fused_attention)


def in_micro_batches(job: Job, runs: int, figures: dict[str, Any]) -> Job:
    """The job as it fits, and why: the memory of the GPUs that need most."""
    assert job.plan is not None
    before, after = (max(part["peak_bytes"] for part in each["classes"]) for each in (job.figures, figures))
    why = f"{before / 1e9:.1f} GB a GPU, so it needs {after / 1e9:.1f} of {job.cluster.memory / 1e9:.1f} GB"
    said = f"{job.name}: micro_batches = {runs} (the fewest that fit: at once the batch needs {why})"
    return replace(job, plan=replace(job.plan, micro_batches=runs, divisible=False), assumed=(*job.assumed, said))


def one_at_a_time(job: Job) -> Iterator[str]:
    """What a pipeline does with a batch that is not divided."""
    plan = job.plan
    if plan and plan.stages and plan.runs == 1 and (stages := plan.size(plan.stages.axis)) > 1:
        yield f"{job.name}: micro_batches = 1 (one forward pass: of {stages} stages one works at a time)"
