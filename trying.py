"""Would a deployment be possible? It is planned and lowered, without being verified or drawn.

    {cluster: {gpus: 12}, strategies: ["tp=12"], …}     [indivisible] axis tp does not divide heads = 32
    {cluster: {gpus: 12}, strategies: ["tp=4,pp=3"], …}     possible, balance 1.00

What reads papers asks this of plans that are impossible as written, and of those that could stand for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .diagnostics import Refused
from .driver import logical_of
from .frontends.description import described
from .frontends.paper.methods.repairing import Trial
from .frontends.parsed import Parsed
from .job import Job, Request
from .passes.measure import measure
from .pipeline import lower
from .planning import planned


def tried(description: Mapping[str, object], request: Request | None = None) -> Trial:
    """What is wrong with the deployments of a description in plain data; where nothing is, how balanced they are."""
    try:
        experiments = described(Parsed("paper", dict(description)), Path())
        outcomes = [_outcome(job) for job in planned(experiments, request or Request(baseline="none", as_written=True))]
    except Refused as refused:
        return Trial(refused.diagnostics)
    problems = tuple(dict.fromkeys(d for one in outcomes for d in one.problems))
    return Trial(problems, max((one.imbalance for one in outcomes), default=1.0))


def _outcome(job: Job) -> Trial:
    """Of one deployment; of one that lists alternatives, the first that is possible."""
    if job.alternatives:
        each = [_outcome(one) for one in job.alternatives]
        return next((one for one in each if not one.problems), each[0])
    if job.plan is None:
        return Trial(tuple(job.diagnostics))
    try:
        figures = measure(lower(logical_of(job, job.plan)), job.cluster.kinds)
    except Refused as refused:
        return Trial(refused.diagnostics)
    ratios = [ratio for ratio in figures["balance"].values() if ratio is not None]
    return Trial((), max(ratios, default=1.0))
