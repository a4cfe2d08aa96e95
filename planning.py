"""Which deployments a request asks for: every model × (baseline, proposals), on one cluster, with one set of sizes.

What the description does not say is settled here and listed as assumed: the baseline, the GPUs, batch and sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from .choosing import folded
from .diagnostics import Diagnostic, Refused
from .fitting import fitted, is_open
from .frontends.build import build
from .frontends.model import Experiment, Model, Phase
from .frontends.padding import padded
from .frontends.phases import in_phase, is_apart
from .frontends.regimes import SYMBOLS, regimes, under
from .frontends.source import experiments_of
from .frontends.stages_text import interleaved
from .frontends.strategy import alternatives, has_stages, resolve
from .ir.module import annotate, sizes_of
from .ir.plan import Fit, Plan
from .ir.slots import Slots
from .job import Job, Request
from .passes.rules import data_parallel_size

SEQUENCES_PER_REPLICA = 8
DEFAULT_SEQ_LEN = 1024
SYMBOLIC = "symbolic"


def plan(request: Request) -> list[Job]:
    """Every deployment asked for, in every setting, the baseline of each model first.

    A strategy that cannot be planned is a refused job and the others go on. Refused when the description is wrong, no
    strategy is named, or none of those proposed can be planned.
    """
    return planned(experiments_of(request.source), request)


def planned(experiments: tuple[Experiment, ...], request: Request) -> list[Job]:
    """Every deployment of experiments that were read already."""
    distinct = _distinct(experiments, request)
    if not (request.strategies or all(each.strategies or _is_named(each.baseline) for each in distinct)):
        hint = "try --strategy tp=8, or `dagc strategies`"
        raise Refused(Diagnostic("unknown-strategy", "no strategy was named", hint=hint), usage=True)
    jobs = [job for each in distinct for model in each.models for job in _Planner(request, each, model).jobs()]
    wanted = [job for job in jobs if job.role == "proposed"] or jobs
    if all(job.plan is None for job in wanted):
        raise Refused(*dict.fromkeys(d for job in jobs for d in job.diagnostics))
    return jobs


def _is_named(baseline: str | None) -> bool:
    """A baseline that is named may be drawn alone, where of a proposal nothing is known."""
    return baseline not in (None, "none")


def _distinct(experiments: tuple[Experiment, ...], request: Request) -> list[Experiment]:
    """Experiments that differ in something else than what the request says."""
    made: dict[object, Experiment] = {}
    for each in experiments:
        left = {key: value for key, value in each.setting.items() if not getattr(request, key)}
        alone = id(each) if not each.setting else (each.models, each.strategies, tuple(left.items()))
        made.setdefault(alone, replace(each, setting=left))
    return list(made.values())


def _phases(request: Request, experiment: Experiment, jobs: list[Job]) -> list[Phase]:
    """The phases asked for; without that both where a strategy has them apart, else prefill. Refused where the size of
    a cache is given that none of them reads.
    """
    usual = tuple(Phase) if any(job.plan and is_apart(job.plan) for job in jobs) else (Phase.PREFILL,)
    asked = request.phases or experiment.phases or usual
    phases = [phase for phase in Phase if phase in asked]
    kv_len = request.kv_len or experiment.kv_len
    if kv_len and Phase.DECODE not in phases:
        problem, hint = "a prefill reads no cache", "add --phase decode (in a description sizes: {phase: decode})"
        raise Refused(Diagnostic("unknown-key", problem, "kv_len", actual=str(kv_len), hint=hint))
    return phases


class _Planner:
    """Plans the deployments of one model and notes what it assumes."""

    def __init__(self, request: Request, experiment: Experiment, model: Model) -> None:
        self.request, self.experiment = request, experiment
        padding = request.make_vocab_size_divisible_by
        model = padded(model, padding) if padding else model
        self.model = replace(model, dtype=request.dtype) if request.dtype else model
        self.assumed = [*experiment.assumed, *model.assumed]
        self.gpus = request.gpus or experiment.cluster.gpus
        if experiment.cluster.several and self.gpus != experiment.cluster.gpus:
            expected, hint = str(experiment.cluster.gpus), "give no --gpus, or change the kinds"
            problem = f"the cluster is {experiment.cluster.gpu}"
            raise Refused(Diagnostic("mesh", problem, "--gpus", expected, str(self.gpus), hint))
        self.phases: list[Phase] = []
        self.sizes: dict[Phase, dict[str, int | None]] = {}
        self.batch: int | str | None = None

    def jobs(self) -> Iterator[Job]:
        texts = list(dict.fromkeys(self.request.strategies or self.experiment.strategies))
        jobs = [job for text in texts for job in self._proposals(text, len(texts))]
        self.phases = _phases(self.request, self.experiment, jobs)
        if any(is_open(job.plan) for job in jobs if job.plan):  # how many GPUs there are follows from the sizes
            batch = self._batch([job.plan for job in jobs if job.plan])
            jobs = [self._fitted(job, batch) for job in jobs]
        self.gpus = next((job.plan.gpus for job in jobs if job.plan), self.gpus or 1)
        jobs = [*self._baseline(), *jobs]
        batch = self._batch([job.plan for job in jobs if job.plan])
        jobs = [self._fitted(job, batch) for job in jobs]
        for phase in self.phases:
            self.sizes[phase] = self._sizes(batch, phase)
            said = [tuple(dict.fromkeys((*self.assumed, *job.assumed))) for job in jobs]
            made = [self._in(phase, replace(job, assumed=a)) for job, a in zip(jobs, said, strict=True)]
            yield from folded([one for job in made for one in self._regimes(job)])

    def _in(self, phase: Phase, job: Job) -> Job:
        """The job in a phase, by what its plan says of it; a step after the prefill that was asked for, if that is a
        program of its own.
        """
        plan, said = job.plan and in_phase(job.plan, phase), [*job.diagnostics]
        setting = ",".join(f"{key}={value}" for key, value in self.experiment.setting.items())
        made = replace(job, setting=setting, phase=phase, sizes=self.sizes[phase], plan=plan, diagnostics=said)
        if job.plan is None or not is_apart(job.plan) or phase is Phase.PREFILL or Phase.PREFILL not in self.sizes:
            return made
        return replace(made, after=tuple(self._regimes(self._in(Phase.PREFILL, job))))

    def _regimes(self, job: Job) -> Iterator[Job]:
        """A job for the regime that the sizes are in; for each where they are unbound, or where all are asked for."""
        try:
            found = regimes(job.plan) if job.plan else ()
        except Refused as refused:
            yield replace(job, plan=None, diagnostics=list(refused.diagnostics))
            return
        for regime in found:
            symbol = SYMBOLS[regime.name]
            size = job.sizes.get(symbol, job.sizes["S"])
            if size is None or regime.has(size) or self.request.all_regimes:
                assert job.plan is not None
                plan, sizes = under(job.plan, regime), job.sizes
                if size is not None and not regime.has(size):
                    sizes = {**sizes, symbol: None}
                said = [*job.diagnostics]
                named = f"{job.asked}[{regime}]"
                yield replace(job, plan=plan, strategy=plan.name, sizes=sizes, asked=named, diagnostics=said)
        if not found:
            yield job

    def _jobs(self, text: str, role: str, mesh: str | None, make: Callable[[str], Plan]) -> Iterator[Job]:
        """What a text names, or each alternative that it lists."""
        for way in self._ways(text, mesh):
            yield replace(self._job(text, role, lambda way=way: make(way)), asked=text, alternative=way)

    def _ways(self, text: str, mesh: str | None) -> tuple[str, ...]:
        try:
            return alternatives(text, mesh, self.experiment.inline)
        except Refused:  # whoever resolves it says why
            return ("",)

    def _job(self, text: str, role: str, make: Callable[[], Plan]) -> Job:
        cluster = replace(self.experiment.cluster, gpus=self.gpus)
        try:
            made = make()
        except Refused as refused:
            return Job(self.model, text, role, cluster, diagnostics=list(refused.diagnostics))
        return Job(self.model, made.name, role, replace(cluster, gpus=made.gpus), made)

    def _fitted(self, job: Job, batch: dict[str, int | str]) -> Job:
        """The job with its stages counted, where costs decide them: those of the first phase."""
        if job.plan is None or job.plan.stages is None or not isinstance(job.plan.stages.layers, Fit):
            return job
        plan, job = job.plan, replace(job, sizes=self._sizes(batch, self.phases[0]))
        logical = build(self.model, self.phases[0], chunks=plan.token_chunks)
        annotate(logical, sizes=replace(sizes_of(logical), bound=tuple(job.bound.items())))
        try:
            made, said = fitted(plan, logical, job.cluster, self.request.fused_attention)
        except Refused as refused:
            return replace(job, plan=None, diagnostics=list(refused.diagnostics))
        return replace(job, plan=made, cluster=replace(job.cluster, gpus=made.gpus), assumed=said)

    def _proposals(self, text: str, others: int) -> Iterator[Job]:
        return self._jobs(text, "proposed", self.request.mesh, lambda way: self._proposal(text, others, way))

    def _proposal(self, text: str, others: int, alternative: str) -> Plan:
        """A named strategy with the request's mesh; `--stages` binds where there are stages."""
        stages = self.request.stages
        if others > 1 and not has_stages(text, self.request.mesh, self.experiment.inline):
            stages = None
        made = self._redundant(self._interleaved(self._resolved(text, self.request.mesh, stages, alternative)))
        if self.gpus is None and not is_open(made):
            self.assumed.append(f"gpus = {made.gpus} (what the mesh of {text} needs)")
        return made

    def _interleaved(self, made: Plan) -> Plan:
        """The plan with its stages in chunks, where the request says how long these are."""
        stages, each = made.stages, self.request.layers_per_chunk
        if stages is None or each is None:
            return made
        return replace(made, stages=interleaved(stages, made.size(stages.axis), len(self.model.layers), each))

    def _redundant(self, made: Plan) -> Plan:
        """The plan with as many slots more than experts as the request says, hot experts of the strategy first."""
        count = self.request.redundant_experts
        if count is None:
            return made
        hot = made.slots.replicas if made.slots else ()
        return replace(made, slots=Slots(None, count, hot, where=f"--num-redundant-experts {count}") if count else None)

    def _resolved(self, text: str, mesh: str | None, stages: str | None, alternative: str) -> Plan:
        """What a text stands for on these GPUs, the batch in as many parts as the request says."""
        return resolve(
            text,
            gpus=self.gpus,
            mesh=mesh,
            stages=stages,
            micro_batches=self.request.micro_batches,
            token_chunks=self.request.token_chunks,
            inline=self.experiment.inline,
            alternative=alternative,
            as_written=self.request.as_written,
        )

    def _baseline(self) -> Iterator[Job]:
        text, stages = self.request.baseline or self.experiment.baseline, None
        if text is None:
            text, stages = self._usual_baseline()
            cut = f", stages {stages}" if stages else ""
            self.assumed.append(f"baseline = {text}{cut} (tensor parallel inside a node, pipeline parallel across)")
        if text != "none":
            yield from self._jobs(text, "baseline", None, lambda way: self._resolved(text, None, stages, way))

    def _usual_baseline(self) -> tuple[str, str | None]:
        """Tensor parallel inside a node as far as the heads divide, pipeline parallel across; uneven if need be."""
        gpus, heads = self.gpus or 1, self.model.attention.heads
        most = min(gpus, self.experiment.cluster.gpus_per_node)
        tp = max(size for size in range(1, most + 1) if gpus % size == 0 and heads % size == 0)
        pp = gpus // tp
        text = ",".join(f"{axis}={size}" for axis, size in (("tp", tp), ("pp", pp)) if size > 1) or "tp=1"
        return text, "uneven" if len(self.model.layers) % pp else None

    def _batch(self, plans: list[Plan]) -> dict[str, int | str]:
        """As given, or 8 sequences per data-parallel replica of the widest plan; the same whenever asked again."""
        self.batch = self.batch or self.request.batch_size or self.experiment.batch_size
        if self.batch is None:
            widest = max(map(data_parallel_size, plans), default=1)
            self.batch = SEQUENCES_PER_REPLICA * widest
            said = f"batch_size = {self.batch} (8 × the data-parallel size {widest}, for every deployment)"
            self.assumed.append(said)
        return {"B": self.batch}

    def _sizes(self, batch: dict[str, int | str], phase: Phase) -> dict[str, int | None]:
        """What the symbols stand for; nothing for those that stay unbound."""
        return {name: None if size == SYMBOLIC else int(size) for name, size in (batch | self._length(phase)).items()}

    def _length(self, phase: Phase) -> dict[str, int | str]:
        """Tokens of a prompt; or the new ones of a step, and those in the cache."""
        seq = self.request.seq_len or self.experiment.seq_len
        if phase is Phase.PREFILL:
            return {"S": seq or self._assume("seq_len", DEFAULT_SEQ_LEN)}
        new = None if Phase.PREFILL in self.phases else seq
        new = new or self._assume("seq_len", 1, " in decode (new tokens of a sequence)")
        prompt = seq if Phase.PREFILL in self.phases else None
        cached = self.request.kv_len or self.experiment.kv_len
        cached = cached or self._assume(
            "kv_len", prompt or DEFAULT_SEQ_LEN, " (tokens in the cache, new ones included)"
        )
        if isinstance(new, int) and isinstance(cached, int) and cached < new:
            problem = f"a cache of {cached} tokens does not hold the {new} new ones"
            raise Refused(Diagnostic("wrong-type", problem, "kv_len", f"at least {new}", str(cached)))
        return {"S": new, "K": cached}

    def _assume(self, name: str, size: int | str, why: str = "") -> int | str:
        self.assumed.append(f"{name} = {size}{why}")
        return size
