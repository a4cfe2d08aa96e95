"""fitting: stages that costs decide become counts of layers, once sizes are known.

    stages over pp: fit, capacity 900 MB, pp = 16     →     stages over pp: 2, 2, …, 2

The model is lowered as a single stage, its layers are weighed (`passes/footprint.py`), and the cut is found among them
(`passes/partition.py`). Refused, with the arithmetic, where no cut fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, prod

from xdsl.dialects.builtin import ModuleOp

from .backends.labels import human
from .diagnostics import Diagnostic, Refused
from .frontends.model import Cluster
from .frontends.strategy_file import builtin_strategy
from .ir.gpus import least
from .ir.mesh import Mesh
from .ir.module import annotate, sizes_of
from .ir.plan import Axis, Fit, Plan, Rule, Stages
from .passes.footprint import DEFAULT, Footprint, footprint
from .passes.partition import Load, balanced, fastest, fewest
from .pipeline import lower

WIDEST = 1024
"""Most parts of a layer that a hint proposes."""


def fitted(plan: Plan, logical: ModuleOp, cluster: Cluster, fused: bool = True) -> tuple[Plan, tuple[str, ...]]:
    """The plan with every stage's layers counted, and what is to be said of that. `logical` has its sizes bound."""
    if plan.stages is None or not isinstance(plan.stages.layers, Fit):
        return plan, ()
    if any(value is None for _, value in sizes_of(logical).bound):
        hint = "give --batch-size and --seq-len as numbers"
        raise Refused(
            Diagnostic("stages", "stages that costs decide need every size as a number", plan.stages.where, hint=hint)
        )
    return _Fitting(plan, plan.stages, plan.stages.layers, logical, cluster, fused).run()


def is_open(plan: Plan) -> bool:
    """Does the number of its stages, and so of its GPUs, follow from costs?"""
    return plan.stages is not None and isinstance(plan.stages.layers, Fit) and plan.stages.layers.opened


@dataclass(frozen=True)
class _Fitting:
    plan: Plan
    stages: Stages
    fit: Fit
    logical: ModuleOp
    cluster: Cluster
    fused: bool

    def run(self) -> tuple[Plan, tuple[str, ...]]:
        counts = self._by_flops() if self.fit.by == "flops" else self._by_bytes()
        axes = tuple(replace(a, size=len(counts)) if a.name == self.stages.axis else a for a in self.plan.axes)
        made = replace(self.plan, axes=axes, stages=replace(self.stages, layers=tuple(counts)))
        return made, tuple(self._said(counts))

    @property
    def _count(self) -> int:
        return self.plan.size(self.stages.axis)

    @property
    def _of(self) -> tuple[str, ...]:
        return self.fit.of or DEFAULT

    @cached_property
    def _layers(self) -> Footprint:
        return self._weighed(tuple(axis for axis in self.plan.axes if axis.name != self.stages.axis))

    @cached_property
    def _load(self) -> Load:
        return self._layers.load(self._of)

    def _weighed(self, axes: tuple[Axis, ...], rules: tuple[Rule, ...] = ()) -> Footprint:
        """What the layers take of a GPU of a single stage with these axes."""
        module = self.logical.clone()
        annotate(module, plan=replace(self.plan, axes=axes, rules=(*self.plan.rules, *rules), stages=None))
        return footprint(lower(module), self.fused)

    @cached_property
    def _capacities(self) -> list[int]:
        """Bytes of a GPU of each stage."""
        if isinstance(self.fit.capacity, int):
            return [self.fit.capacity] * self._count
        return [int(size) for size in self._of_stages(self.fit.capacity)]

    @property
    def _capacity(self) -> int:
        """Bytes of a GPU of the largest stage."""
        return max(self._capacities)

    def _of_stages(self, what: str) -> list[float]:
        """What the least GPU of each stage has."""
        mesh = Mesh.of(tuple((axis.name, axis.size) for axis in self.plan.axes), self.stages.axis)
        found = [least(self.cluster.kinds, mesh.ids(pool), what) for pool in mesh.pools]
        if not min(found):
            problem, hint = f"the {what} of {self.cluster.gpu} is not known", f"state it in the cluster: {what}: …"
            raise Refused(Diagnostic("capacity", problem, self.stages.where, hint=hint))
        return found

    def _by_bytes(self) -> list[int]:
        few = self._fewest
        if few is None:
            raise Refused(self._layer_too_large())
        if self.fit.how == "fewest":
            if len(few) != self._count and not self.fit.opened:
                raise Refused(self._idle(len(few)))
            return few
        found = balanced(self._load, self._capacities * (len(few) if self.fit.opened else 1))
        if found is None:
            raise Refused(self._not_so_many(len(few)))
        return found

    @property
    def _fewest(self) -> list[int] | None:
        """Stages of the largest GPUs, filled one after another."""
        return fewest(self._load, self._capacity)

    def _by_flops(self) -> list[int]:
        speeds = self._of_stages("flops") if self.cluster.several else [1.0] * self._count
        found = fastest(self._layers.work, speeds, self._load, self._capacities)
        if found is None:
            few = self._fewest
            raise Refused(self._layer_too_large() if few is None else self._not_so_many(len(few)))
        return found

    def _said(self, counts: list[int]) -> Iterator[str]:
        few = len(self._fewest or ())
        how = "the fewest that fit" if len(counts) == few else f"{few} would fit"
        if self.fit.by == "flops":
            how = "cut by FLOPs"
        layers, fullest = ", ".join(map(str, counts)), f"the fullest takes {self._fullest(counts)}: {self._sum()}"
        yield f"{self.plan.name}: stages = {layers} layers ({how}; {fullest})"

    def _fullest(self, counts: list[int]) -> str:
        """What the stage that is fullest takes, of what it has."""
        has = self._capacities * (len(counts) // len(self._capacities))
        taken, of = max(zip(self._load.stages(counts), has, strict=True), key=lambda pair: pair[0] / pair[1])
        return f"{human(taken)} of {human(of)}"

    def _sum(self) -> str:
        return " + ".join(part.replace("_", " ") for part in self._of)

    def _layer_too_large(self) -> Diagnostic:
        alone = [int(self._load.starting(layer)[0]) for layer in range(len(self._load))]
        layer = max(range(len(alone)), key=alone.__getitem__)
        parts = self._layers.parts
        arithmetic = " + ".join(f"{part.replace('_', ' ')} {human(int(parts[part][layer]))}" for part in self._of)
        return Diagnostic(
            "capacity",
            f"{_called(layer, alone)} alone takes {human(alone[layer])} of a GPU: no cut into stages fits",
            self.stages.where or self.plan.name,
            expected=f"at most {human(self._capacity)} ({self._named()})",
            actual=f"{arithmetic} = {human(alone[layer])}",
            hint=f"{self._cut_further()}a capacity of {human(alone[layer])}, a smaller batch, or more --micro-batches",
        )

    def _named(self) -> str:
        return f"the {self.fit.capacity} of {self.cluster.gpu}" if isinstance(self.fit.capacity, str) else "capacity"

    def _cut_further(self) -> str:
        """The smallest degree of tensor parallelism inside a stage at which every layer fits."""
        inside = {axis.name: axis.size for axis in self.plan.axes if axis.name != self.stages.axis}
        rules = () if "tp" in inside else builtin_strategy("tp").rules
        degree = inside.get("tp", 1)
        while (degree := degree * 2) <= WIDEST:
            axes = {**inside, "tp": degree}
            try:
                load = self._weighed(tuple(Axis(name, size) for name, size in axes.items()), rules).load(self._of)
            except Refused:
                continue
            if few := fewest(load, self._capacity):
                largest, gpus = human(max(load.stages(few))), prod((len(few), *axes.values()))
                mesh = ",".join(f"{name}={size}" for name, size in {self.stages.axis: len(few), **axes}.items())
                return f"cut layers too: with {mesh} the largest stage takes {largest} (on {gpus} GPUs); or "
        return ""

    def _idle(self, least: int) -> Diagnostic:
        axis, inside = self.stages.axis, self.plan.gpus // self._count
        return Diagnostic(
            "OUT6",
            f"{least} stages hold the layers, but {axis} = {self._count}: {self.plan.gpus - least * inside} GPUs idle",
            self.stages.where or self.plan.name,
            expected=f"{axis} = {least}",
            actual=str(self._count),
            hint=f"use --gpus {least * inside}, or how: balanced, which uses all",
        )

    def _not_so_many(self, few: int) -> Diagnostic:
        unlimited = fastest(self._load, self._capacities, self._load, [inf] * self._count)
        if unlimited is None:
            problem = f"{self._count} stages of {len(self._load)} layers leave GPUs idle"
            hint = f"use at most {len(self._load)} stages"
            return Diagnostic("OUT6", problem, self.stages.where or self.plan.name, hint=hint)
        return Diagnostic(
            "capacity",
            f"{self._count} stages cannot hold the layers",
            self.stages.where or self.plan.name,
            expected=f"at most {human(self._capacity)} a GPU ({self._named()})",
            actual=f"{self._fullest(unlimited)} in the best cut ({', '.join(map(str, unlimited))} layers)",
            hint=f"use at least {few} stages: --mesh {self.stages.axis}={few}" if few > self._count else "",
        )


def _called(layer: int, alone: list[int]) -> str:
    """A layer as a message names it; the ends may be larger for what is counted to them."""
    ends = {0: " with what comes before it", len(alone) - 1: " with what comes after it"}
    return f"layer {layer}" + (ends.get(layer, "") if alone[layer] > min(alone) else "")
