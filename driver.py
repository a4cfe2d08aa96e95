"""One job from its model to its figures, in the order it happens: build → lower → verify → expand → measure → judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from .choosing import kept
from .diagnostics import Diagnostic, Refused
from .dividing import check_divisible, in_micro_batches, least_division, one_at_a_time
from .frontends.build import build
from .frontends.model import Cluster, Phase
from .ir.deployment import Deployment
from .ir.local import FULL_NAMES
from .ir.module import annotate, sizes_of
from .ir.plan import Plan
from .job import HUB, PATHS, Drawn, Job, Request
from .passes.expand import working_pools
from .passes.judge import fits, judge, overloads
from .passes.loads import Links, loads
from .passes.measure import measure
from .passes.paths import chosen_of, nodes_of, paths
from .passes.verify import Field, Floats, verify, verify_handover
from .pipeline import emitted, lower, pictured, text_of

MOST_NODES = 300_000
"""Largest graph whose collectives are drawn as transfers."""
Watch = Callable[[Job, str, ModuleOp], None]
"""Called with the module after every pass of a job."""


def compile_job(job: Job, request: Request, watch: Watch | None = None) -> Job:
    """Make one deployment; what is wrong with it ends in `job.diagnostics`, never in an exception."""
    if job.alternatives:
        return kept([compile_job(one, request, watch) for one in job.alternatives])
    if job.plan is None:
        return job
    try:
        check_divisible(job)
        logical = logical_of(job, job.plan)
        job.logical = text_of(logical)
        job.module = lower(logical.clone(), lambda name, m: watch(job, name, m) if watch else None)
        job.figures = measure(job.module, job.cluster.kinds, request.fused_attention)
        least = least_division(job, request)
        if least and fits(least[1]):
            return compile_job(in_micro_batches(job, *least), request, watch)
        chosen = chosen_of(request.algorithm)
        nodes = job.cluster.gpus_per_node
        job.drawn = Drawn(tuple(_facts(job, request.unroll)), request.per_expert, HUB, chosen, nodes, request.unroll)
        hubs = emitted(job.module, job.model.name, job.drawn)
        job.figures["links"] = loads(hubs, _links(job.cluster), chosen)
        graph = _in_paths(job, hubs) if request.collectives == PATHS else hubs
        numbers = Floats if request.numeric else Field
        job.verdict = verify(job.module, logical, graph, sizes_of(job.module), numbers)
        for plan, before in ((before.plan, before) for before in job.after if before.plan):
            prefill = emitted(lower(logical_of(before, plan)), job.model.name, Drawn())
            verify_handover(job.verdict, prefill, graph)
        job.graph = pictured(graph, job.module, job.drawn, job.verdict)
        job.assumed += tuple(one_at_a_time(job))
        said = judge(job.figures, f"{job.model.name} {job.name}", request.max_imbalance)
        heavy = overloads(job.figures, least[1] if least else None, f"{job.model.name} {job.name}", job.cluster.stated)
        job.diagnostics += [*job.verdict.diagnostics, *heavy, *said]
    except Refused as refused:
        job.diagnostics += [replace(d, where=f"{job.name}: {d.where}") for d in refused.diagnostics]
    return job


def logical_of(job: Job, plan: Plan) -> ModuleOp:
    """The undivided program of a job, with plan and sizes; one that leaves its caches where the plan keeps them."""
    logical = build(job.model, job.phase, leaves=bool(plan.keeps), chunks=plan.token_chunks)
    annotate(logical, plan=plan, sizes=replace(sizes_of(logical), bound=tuple(job.bound.items())))
    return logical


def _in_paths(job: Job, hubs: Deployment) -> Deployment:
    """The graph with every transfer by itself; as it was, with a warning, where that would be too many."""
    count = nodes_of(hubs, job.drawn.gpus_per_node, job.drawn.algorithms)
    if count > MOST_NODES:
        problem = f"drawn as transfers, the graph would have about {count:,} nodes"
        job.diagnostics.append(
            Diagnostic("paths", problem, job.name, f"at most {MOST_NODES:,}", hint="its collectives are drawn as one "
                       "node per group; `links` in the report has the loads all the same", severity="warning")
        )  # fmt: skip
        return hubs
    job.drawn = replace(job.drawn, collectives=PATHS)
    return paths(hubs, job.drawn.gpus_per_node, job.drawn.algorithms)


def _links(cluster: Cluster) -> Links:
    return Links(cluster.gpus_per_node, cluster.link_inside, cluster.link_across)


def _facts(job: Job, unrolled: bool) -> Iterator[str]:
    """The lines under the title of a picture."""
    if job.plan and job.plan.unpaid:
        axes = ", ".join(dict.fromkeys(f"{rule.axis} at {', '.join(rule.at)}" for rule in job.plan.unpaid))
        yield f"AS WRITTEN, NOT THE MODEL'S (DEP3 fails): what is owed over {axes} is never paid"
    cluster, model = job.cluster, job.model
    gpus = cluster.gpus or 1
    nodes = -(-gpus // cluster.gpus_per_node)
    named = cluster.gpu if cluster.several else f"{gpus} × {cluster.gpu}"
    yield f"{named} ({nodes} node{'s' * (nodes > 1)} × {min(gpus, cluster.gpus_per_node)})"
    batch, seq, cached = (job.bound.get(name) or str(text) for name, text in FULL_NAMES.items())
    runs = f"{job.micro_batches} micro-batches × " if job.micro_batches > 1 else ""
    tokens = f"{seq} tokens" if job.phase is Phase.PREFILL else f"{seq} new of {cached} tokens (decode)"
    if job.token_chunks > 1:
        tokens = f"{job.token_chunks} chunks of {tokens}" + " (drawn: the last)" * (not unrolled)
    moe = model.moe
    experts = f" · {moe.experts} experts, top-{moe.top_k}" if moe else ""
    layers = f"{len(model.layers)} layers · hidden {model.hidden}"
    yield f"batch {runs}{batch} × {tokens} · {layers}{experts} · {model.dtype}"
    if job.plan:
        idle = [pool.name for pool in job.plan.pools if job.module and pool.name not in working_pools(job.module)]
        yield (
            f"{job.role}: {_mesh_text(job.plan)}"
            + f" · idle here: {', '.join(idle)}" * bool(idle)
            + (f" · {job.plan.about}" if job.plan.about else "")
        )


def _mesh_text(plan: Plan) -> str:
    """`dp=2 × tp=4`; of pools `attention dp=8 + experts ep=8`; with folds the meshes as the user named their axes."""
    if plan.folds:
        each = [[f"{axis}={prod(map(plan.size, own))}" for axis, own in mesh] for mesh in plan.folds]
        return ", folded with ".join(" × ".join(axes) for axes in each)
    sizes = {axis.name: f"{axis.name}={axis.size}" for axis in plan.axes}
    pools = [f"{pool.name} {' × '.join(map(sizes.__getitem__, pool.axes))}".strip() for pool in plan.pools]
    return " + ".join(pools) or " × ".join(sizes.values())


def load_text(path: Path) -> str:
    """A text file's content. Refused if it cannot be read."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(Diagnostic("file", f"cannot be read: {error}", str(path))) from error
