"""Of a strategy's alternatives the one that sends the fewest bytes per GPU, for this model and these sizes.

    two-level    gather q and k    2.1 GB    kept
                 reduce scores   137.4 GB    sends more

All are compiled and proven; what cannot be is reported with its reason, and only where none can the job is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from .job import Alternative, Job

FEWEST = "sends the fewest bytes per GPU, for this model and these sizes"
MORE = "sends more"
EQUAL = "sends as much; the first listed is kept"
UNBOUND = "sizes are unbound, so that bytes cannot be compared: the first listed is kept"


def folded(jobs: Sequence[Job]) -> list[Job]:
    """One job for all alternatives of a strategy, in place of one for each."""
    groups = (
        list(group) for _, group in groupby(jobs, key=lambda job: (job.model.name, job.role, job.phase, job.asked))
    )
    return [group[0] if len(group) == 1 else _together(group) for group in groups]


def _together(jobs: list[Job]) -> Job:
    planned = next((job for job in jobs if job.plan), None)
    if planned is None:
        return replace(jobs[0], diagnostics=[d for job in jobs for d in job.diagnostics])
    return replace(planned, alternatives=tuple(jobs))


def kept(made: Sequence[Job]) -> Job:
    """The best of compiled alternatives, as the job of the strategy; refused with all reasons where none is valid."""
    able = [job for job in made if job.status == "valid"]
    if not able:
        found = list(dict.fromkeys(d for job in made for d in job.diagnostics))
        return replace(made[0], alternative="", alternatives=(), diagnostics=found, considered=_said(made, None))
    best = able[fewest([bytes_sent(job.figures) for job in able])]
    return replace(best, alternative="", alternatives=(), considered=_said(made, best))


def fewest(sent: Sequence[int | str | None]) -> int:
    """Which is the first of the fewest bytes; the first of all where some are not known as numbers."""
    counted = [size for size in sent if isinstance(size, int)]
    return counted.index(min(counted)) if len(counted) == len(sent) else 0


def bytes_sent(figures: Mapping[str, Any]) -> int | str | None:
    """What the GPU that sends most sends; a text where sizes are unbound, nothing where it was not measured."""
    if not figures:
        return None
    unbound = [m["bytes_sent_per_gpu"] for m in figures["collectives"] if isinstance(m["bytes_sent_per_gpu"], str)]
    return " + ".join(unbound) if unbound else max(part["bytes_sent"] for part in figures["classes"])


def _said(made: Sequence[Job], best: Job | None) -> tuple[Alternative, ...]:
    return tuple(Alternative(job.alternative, bytes_sent(job.figures), job is best, _why(job, best)) for job in made)


def _why(job: Job, best: Job | None) -> str:
    if job.status != "valid":
        return "; ".join(dict.fromkeys(f"[{d.code}] {d.problem}" for d in job.diagnostics if d.severity == "error"))
    assert best is not None
    mine, its = bytes_sent(job.figures), bytes_sent(best.figures)
    if isinstance(mine, str) or isinstance(its, str):
        return UNBOUND
    if job is best:
        return FEWEST
    return EQUAL if mine == its else MORE
