"""dagc: compiles a model, a cluster and a parallel strategy into the proved, drawn deployment DAG.

import dagc
jobs = dagc.lower("mixtral-8x22b", strategies=("ep=8",), baseline="tp=8", out="dagc-out")
jobs[1].figures["per_layer"]        {"0-55": {"all-to-all": 2, "routing counts: all-to-all": 1}}
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .job import Job

__version__ = "0.1.0"
__all__ = ["__version__", "lower"]


def lower(source: str | None = None, *, out: str | Path | None = None, svg: bool = True, **request: Any) -> list[Job]:
    """Compile every deployment of a source, the baseline first, and write them to `out` if it is given.

    `request` takes the fields of `dagc.job.Request`. Raises `dagc.diagnostics.Refused` when nothing can be planned;
    a single deployment that is refused says so in its `status` and `diagnostics`.
    """
    from . import driver, emit
    from .job import Request
    from .planning import plan

    wanted = Request(source, **request)
    jobs = [driver.compile_job(job, wanted) for job in plan(wanted)]
    if out is not None:
        emit.write(jobs, Path(out), emit.Options(svg=svg))
    return jobs
