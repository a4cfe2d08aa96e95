"""The whole compiler in the order it happens: description → modules → passes → proofs → figures → files.

plan        one Deployment to make per model × strategy, sizes settled, what was assumed listed
compile     build → lower → verify → expand → measure, each deployment by itself
write       everything into one folder, whole or not at all
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from .diagnostics import Diagnostic, Refused
from .frontends.build import build
from .frontends.model import Cluster, Experiment, Model
from .frontends.source import experiment_of
from .frontends.strategy import resolve
from .ir.deployment import Deployment
from .ir.module import annotate, sizes_of
from .ir.plan import Plan
from .passes.apart import apart
from .passes.expand import expand
from .passes.fold import fold
from .passes.measure import measure
from .passes.rules import data_parallel_size
from .passes.verify import Verdict, verify_graph, verify_module
from .pipeline import lower

SEQUENCES_PER_REPLICA = 8
DEFAULT_SEQ_LEN = 1024
SYMBOLIC = "symbolic"


@dataclass(frozen=True)
class Request:
    """What the user asked for, as flags gave it; None where a flag was not given."""

    source: str | None = None
    strategies: tuple[str, ...] = ()
    baseline: str | None = None
    mesh: str | None = None
    stages: str | None = None
    gpus: int | None = None
    batch_size: int | str | None = None
    seq_len: int | str | None = None
    dtype: str | None = None
    fused_attention: bool = True
    max_imbalance: float | None = None
    per_expert: bool = False


@dataclass
class Job:
    """One deployment to make, and what came of it."""

    model: Model
    plan: Plan | None
    strategy: str
    role: str
    cluster: Cluster
    sizes: dict[str, int | None] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    diagnostics: list[Diagnostic] = field(default_factory=list)
    module: ModuleOp | None = None
    graph: Deployment | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    verdict: Verdict | None = None

    @property
    def status(self) -> str:
        return "refused" if any(d.severity == "error" for d in self.diagnostics) else "valid"


Watch = Callable[[Job, str, ModuleOp], None]


def plan(request: Request) -> list[Job]:
    """Every deployment the request asks for. Refused when the description is wrong or no strategy can be planned."""
    experiment = experiment_of(request.source)
    jobs = [job for model in experiment.models for job in _jobs(request, experiment, model)]
    if all(job.plan is None for job in jobs if job.role == "proposed"):
        raise Refused(*{d: None for job in jobs for d in job.diagnostics})
    return jobs


def compile_job(job: Job, request: Request, watch: Watch | None = None) -> Job:
    """Make one deployment; what is wrong with it ends in `job.diagnostics`, never in an exception."""
    if job.plan is None:
        return job
    try:
        logical = build(job.model)
        annotate(logical, plan=job.plan, sizes=replace(sizes_of(logical), bound=tuple(_bound(job.sizes))))
        module = logical.clone()
        job.module = lower(module, lambda name, m: watch(job, name, m) if watch else None)
        grouped = expand(job.module, job.model.name, tuple(_facts(job)))
        job.graph = apart(grouped) if request.per_expert else grouped
        job.verdict = _verified(job.module, logical, job.graph)
        job.figures = measure(job.module, job.cluster.memory, request.fused_attention)
        job.diagnostics += [*job.verdict.diagnostics, *_concerns(job, request.max_imbalance)]
    except Refused as refused:
        job.diagnostics += [replace(d, where=f"{job.strategy}: {d.where}") for d in refused.diagnostics]
    return job


def _verified(module: ModuleOp, logical: ModuleOp, graph: Deployment) -> Verdict:
    """All layers of defence: of the module against the logical one, and of the graph, alike parts of it once."""
    verdict = verify_module(module, logical)
    part, copies = fold(graph)
    emitted = verify_graph(part)
    verdict.diagnostics += emitted.diagnostics
    verdict.proofs += [f"{proof} × {copies} parts, compared" if copies > 1 else proof for proof in emitted.proofs]
    return verdict


def _jobs(request: Request, experiment: Experiment, model: Model) -> Iterator[Job]:
    """The baseline and the proposals of one model, planned on one cluster with one set of sizes."""
    if request.dtype:
        model = replace(model, dtype=request.dtype)
    texts = request.strategies or experiment.strategies
    if not texts:
        problem = Diagnostic(
            "unknown-strategy", "no strategy was named", hint="try --strategy tp=8, or `dagc strategies`"
        )
        raise Refused(problem, usage=True)
    assumed = [*experiment.assumed, *model.assumed]
    gpus = request.gpus or experiment.cluster.gpus
    jobs = [_planned(request, experiment, model, text, "proposed", gpus, assumed) for text in dict.fromkeys(texts)]
    sized = next((job.plan.gpus for job in jobs if job.plan), gpus or 1)
    baseline = request.baseline or experiment.baseline
    stages = None
    if baseline is None:
        baseline, stages = _default_baseline(model, sized, experiment.cluster.gpus_per_node)
        split = f", stages {stages}" if stages else ""
        assumed.append(f"baseline = {baseline}{split} (tensor parallel inside a node, pipeline parallel across)")
    if baseline != "none":
        jobs.insert(0, _planned(request, experiment, model, baseline, "baseline", sized, assumed, stages))
    sizes = _sizes(request, experiment, jobs, assumed)
    for job in jobs:
        job.sizes, job.assumed = sizes, tuple(dict.fromkeys(assumed))
        yield job


def _default_baseline(model: Model, gpus: int, per_node: int) -> tuple[str, str | None]:
    """Tensor parallel inside a node as far as the heads divide, pipeline parallel across; stages uneven if need be."""
    tp = max(n for n in range(1, min(gpus, per_node) + 1) if gpus % n == 0 and model.attention.heads % n == 0)
    pp = gpus // tp
    text = ",".join(f"{axis}={size}" for axis, size in (("tp", tp), ("pp", pp)) if size > 1) or "tp=1"
    return text, "uneven" if len(model.layers) % pp else None


def _planned(
    request: Request,
    experiment: Experiment,
    model: Model,
    text: str,
    role: str,
    gpus: int | None,
    assumed: list[str],
    stages: str | None = None,
) -> Job:
    """Resolve one strategy; a strategy that cannot be planned is a refused job, the others go on."""
    proposed = role == "proposed"
    cluster = replace(experiment.cluster, gpus=gpus)
    try:
        plan = resolve(
            text,
            gpus=gpus,
            mesh=request.mesh if proposed else None,
            stages=request.stages if proposed else stages,
            inline=experiment.inline,
        )
    except Refused as refused:
        return Job(model, None, text, role, cluster, diagnostics=list(refused.diagnostics))
    if gpus is None:
        assumed.append(f"gpus = {plan.gpus} (what the mesh of {text} needs)")
    return Job(model, plan, plan.name, role, replace(cluster, gpus=plan.gpus))


def _sizes(request: Request, experiment: Experiment, jobs: list[Job], assumed: list[str]) -> dict[str, int | None]:
    """Batch and sequence: as given, or 8 sequences per data-parallel replica of the widest deployment, of 1,024."""
    batch = request.batch_size or experiment.batch_size
    seq = request.seq_len or experiment.seq_len
    if batch is None:
        widest = max((data_parallel_size(job.plan) for job in jobs if job.plan), default=1)
        batch = SEQUENCES_PER_REPLICA * widest
        assumed.append(f"batch_size = {batch} (8 × the data-parallel size {widest}; the same for every deployment)")
    if seq is None:
        seq = DEFAULT_SEQ_LEN
        assumed.append(f"seq_len = {seq}")
    return {"B": None if batch == SYMBOLIC else int(batch), "S": None if seq == SYMBOLIC else int(seq)}


def _bound(sizes: dict[str, int | None]) -> Iterator[tuple[str, int | None]]:
    yield from sizes.items()


def _facts(job: Job) -> Iterator[str]:
    """The lines under the title of a picture."""
    cluster, model = job.cluster, job.model
    gpus = cluster.gpus or 1
    nodes = -(-gpus // cluster.gpus_per_node)
    yield f"{gpus} × {cluster.gpu} ({nodes} node{'s' * (nodes > 1)} × {min(gpus, cluster.gpus_per_node)})"
    batch, seq = (job.sizes[name] or text for name, text in (("B", "batch_size"), ("S", "seq_len")))
    moe = model.moe
    experts = f" · {moe.experts} experts, top-{moe.top_k}" if moe else ""
    yield f"batch {batch} × {seq} tokens · {len(model.layers)} layers · hidden {model.hidden}{experts} · {model.dtype}"
    if job.plan:
        mesh = " × ".join(f"{axis.name}={axis.size}" for axis in job.plan.axes)
        yield f"{job.role}: {mesh}" + (f" · {job.plan.about}" if job.plan.about else "")


def _concerns(job: Job, max_imbalance: float | None) -> Iterator[Diagnostic]:
    """What the figures say against a deployment: it does not fit, or its load is unbalanced (DEP2, DEP5)."""
    for part in job.figures["classes"]:
        if part["fits"] is False:
            yield Diagnostic(
                "DEP5",
                f"GPUs {part['gpus']} need {_gb(part['peak_bytes'])} at their peak",
                f"{job.model.name} {job.strategy}",
                expected=f"at most {_gb(part['capacity_bytes'])} ({job.cluster.gpu})",
                actual=f"weights {_gb(part['weight_bytes'])} + KV cache {_gb(part['kv_cache_bytes'])}"
                f" + activations {_gb(part['activation_peak_bytes'])}",
                hint="use more GPUs, a smaller batch, or cut more dimensions",
                severity="warning",
            )
    limit = max_imbalance or 1.10
    for load, ratio in job.figures["balance"].items():
        if ratio is not None and ratio > limit:
            yield _unbalanced(job, load, ratio, limit, "warning" if max_imbalance is None else "error")


def _unbalanced(job: Job, load: str, ratio: float, limit: float, severity: str) -> Diagnostic:
    classes = job.figures["classes"]
    heaviest, lightest = (pick(classes, key=lambda part: part[load]) for pick in (max, min))
    shares = ", ".join(f"GPUs {part['gpus']}: {part[load]:,}" for part in (heaviest, lightest))
    return Diagnostic(
        "DEP2",
        f"{load.replace('_', ' ')} is unbalanced: GPUs {heaviest['gpus']} carry {ratio:.2f} × the mean",
        f"{job.model.name} {job.strategy}",
        expected=f"at most {limit:.2f}",
        actual=f"{ratio:.2f} (largest and smallest: {shares})",
        hint="cut the layers so that the stages with the embedding or the head hold fewer (--stages)",
        severity=severity,
    )


def _gb(value: int) -> str:
    return f"{value / 1e9:.1f} GB"


def load_text(path: Path) -> str:
    """A text file's content. Refused if it cannot be read."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(Diagnostic("file", f"cannot be read: {error}", str(path))) from error
