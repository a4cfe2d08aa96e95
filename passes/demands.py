"""Which demands a plan breaks, and by which of its rules: before anything is lowered, from what each axis cuts where.

plan tp=8    demand never tp at experts      →    tp = 8 cuts ffn at layers.moe.experts.up_proj (strategies/tp.yaml:4)
plan ep=16   demand never tp at experts      →    nothing
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from math import prod

import numpy as np

from ..ir.demand import Demand, Kind
from ..ir.plan import Plan
from .rules import Rules, pool_of

HEADS = ("heads", "kv_heads", "d_k", "q_rank", "kv_rank", "d_nope", "d_rope", "d_v")
PARALLEL: dict[str, tuple[str, ...]] = {
    "tp": (*HEADS, "ffn", "hidden", "vocab"),
    "sp": ("seq_len", "kv_len"),
    "ep": ("experts",),
    "dp": ("batch_size",),
}
"""By kind of parallelism the dimensions that its axis cuts. Stages of a pipeline cut none."""

PLACES: dict[str, dict[str, tuple[str, ...]]] = {
    "attention": {
        "layers.attention.q_proj": ("batch_size", "seq_len", "hidden", "heads", "d_k"),
        "layers.attention.k_proj": ("batch_size", "seq_len", "hidden", "kv_heads", "heads", "d_k"),
        "layers.attention.core.scores": ("batch_size", "seq_len", "kv_len", *HEADS),
        "layers.attention.core.context": ("batch_size", "seq_len", "kv_len", *HEADS),
        "layers.attention.o_proj": ("batch_size", "seq_len", "hidden", "heads", "d_k"),
    },
    "cache": {"layers.attention.core.k_cache": ("batch_size", "kv_len", *HEADS)},
    "norms": {
        "layers.attention_norm": ("batch_size", "seq_len", "hidden"),
        "layers.ffn_norm": ("batch_size", "seq_len", "hidden"),
    },
    "experts": {
        "layers.moe.experts.up_proj": ("experts", "hidden", "ffn"),
        "layers.moe.experts.down_proj": ("experts", "hidden", "ffn"),
    },
    "shared experts": {"layers.moe.shared_expert.up_proj": ("batch_size", "seq_len", "hidden", "ffn")},
    "gate": {"layers.moe.gate": ("batch_size", "seq_len", "hidden", "experts")},
    "ffn": {
        "layers.ffn.up_proj": ("batch_size", "seq_len", "hidden", "ffn"),
        "layers.ffn.down_proj": ("batch_size", "seq_len", "hidden", "ffn"),
    },
    "vocabulary": {"embed": ("batch_size", "seq_len", "vocab"), "head": ("batch_size", "seq_len", "vocab")},
}
"""By part of a model some of its operators, each with the dimensions that a rule may cut there."""
WEIGHTLESS = ("batch_size", "seq_len")
"""What cuts only these leaves a part of a model whole on every GPU: each does it for tokens of its own."""


@dataclass(frozen=True)
class Setting:
    """What a demand is judged in: the parts that the model has, its layers, experts, and the GPUs of a node."""

    places: tuple[str, ...]
    layers: int
    experts: int = 0
    gpus_per_node: int = 8
    phase: str = "prefill"


@dataclass(frozen=True)
class Breach:
    """What breaks a demand, and where the strategy says it."""

    text: str
    where: str = ""


@dataclass(frozen=True)
class Cut:
    """An axis that cuts a dimension at the path of an operator."""

    axis: str
    size: int
    dim: str
    path: str
    where: str

    def __str__(self) -> str:
        return f"{self.axis} = {self.size} cuts {self.dim} at {self.path}"


def applies(demand: Demand, setting: Setting) -> bool:
    """Does the demand say something of such a deployment?"""
    about = not demand.at or demand.at in setting.places
    experts = setting.experts > 0 or (demand.kind is not Kind.EXPERTS and demand.parallel != "ep")
    return about and experts and demand.phase in ("", setting.phase)


def breaches(demand: Demand, plan: Plan, setting: Setting) -> list[Breach]:
    """What of the plan breaks the demand; nothing where it does not apply, or is not about plans."""
    judge = _JUDGES.get(demand.kind)
    return list(judge(demand, plan, setting)) if judge and applies(demand, setting) else []


def degree(parallel: str, plan: Plan, setting: Setting, at: str = "") -> int:
    """Into how many parts a kind of parallelism cuts the model; where it is most if that differs."""
    if parallel == "pp":
        return plan.size(plan.stages.axis) if plan.stages else 1
    by_path: dict[str, dict[str, int]] = {}
    for cut in _cuts(parallel, plan, setting, at):
        by_path.setdefault(cut.path, {})[cut.axis] = cut.size
    return max((prod(axes.values()) for axes in by_path.values()), default=1)


def _cuts(parallel: str, plan: Plan, setting: Setting, at: str) -> Iterator[Cut]:
    """Everything that a kind of parallelism cuts, in one part of the model or in all."""
    rules = Rules(plan.rules, tuple(axis.name for axis in plan.axes))
    wanted = PARALLEL.get(parallel) or tuple(chain(*PARALLEL.values()))
    places = {path: dims for place in ([at] if at else setting.places) for path, dims in PLACES[place].items()}
    seen: set[Cut] = set()
    for layer in dict.fromkeys((0, setting.layers // 2, setting.layers - 1)):
        for path, dims in places.items():
            pool = pool_of(plan.places, path, layer)
            axes = next((each.axes for each in plan.pools if each.name == pool), rules.axes)
            for axis, rule in rules.at(path, layer, axes):
                dim = next((dim for dim in rule.cuts if dim in dims), "")
                cut = Cut(axis, plan.size(axis), dim, path, rule.where)
                if dim in wanted and cut.size > 1 and cut not in seen:
                    seen.add(cut)
                    yield cut


def _never(demand: Demand, plan: Plan, setting: Setting) -> Iterator[Breach]:
    if demand.parallel == "pp":
        if plan.stages and degree("pp", plan, setting) > 1:
            yield Breach(f"{plan.stages.axis} = {plan.size(plan.stages.axis)} stages", plan.stages.where)
        return
    whole = WEIGHTLESS if demand.parallel == "any" else ()
    for cut in _cuts(demand.parallel, plan, setting, demand.at):
        if cut.dim not in whole:
            yield Breach(str(cut), cut.where)


def _always(demand: Demand, plan: Plan, setting: Setting) -> Iterator[Breach]:
    if plan.gpus > 1 and degree(demand.parallel, plan, setting, demand.at) == 1:
        yield Breach(f"nothing cuts {demand.at or 'the model'} in this way: its degree is 1", plan.where)


def _node(demand: Demand, plan: Plan, setting: Setting) -> Iterator[Breach]:
    for axis, cut in _axes(demand, plan, setting).items():
        if not _is_inside(axis, plan, setting.gpus_per_node):
            yield Breach(f"{cut}, over GPUs of several nodes of {setting.gpus_per_node}", cut.where)


def _axes(demand: Demand, plan: Plan, setting: Setting) -> dict[str, Cut]:
    """The axes of a kind of parallelism, each with something that it cuts."""
    if demand.parallel != "pp":
        return {cut.axis: cut for cut in _cuts(demand.parallel, plan, setting, demand.at)}
    stages = plan.stages
    return {stages.axis: Cut(stages.axis, plan.size(stages.axis), "layers", "layers", stages.where)} if stages else {}


def _is_inside(axis: str, plan: Plan, per_node: int) -> bool:
    """Are all GPUs that differ only along the axis on one node? GPU ids count pools in order, axes row-major."""
    first = 0
    for axes in [pool.axes for pool in plan.pools] or [tuple(each.name for each in plan.axes)]:
        sizes = [plan.size(each) for each in axes]
        nodes = (first + np.arange(prod(sizes)).reshape(sizes)) // per_node
        first += prod(sizes)
        if axis in axes and (np.ptp(nodes, axis=axes.index(axis)) > 0).any():
            return False
    return True


def _degree(demand: Demand, plan: Plan, setting: Setting) -> Iterator[Breach]:
    """Of what is not cut at all no degree is too small."""
    found = degree(demand.parallel, plan, setting, demand.at)
    yield from _bounded(found, demand, f"the degree of {demand.parallel}", plan) if found > 1 else ()


def _experts(demand: Demand, plan: Plan, setting: Setting) -> Iterator[Breach]:
    parts = degree("ep", plan, setting, "experts")
    yield from _bounded(-(-setting.experts // parts), demand, f"{setting.experts} / {parts} experts on a GPU", plan)


def _bounded(found: int, demand: Demand, what: str, plan: Plan) -> Iterator[Breach]:
    if demand.least is not None and found < demand.least:
        yield Breach(f"{what} = {found}, not {demand.least} or more", plan.where)
    if demand.most is not None and found > demand.most:
        yield Breach(f"{what} = {found}, not {demand.most} or less", plan.where)


_JUDGES: dict[Kind, Callable[[Demand, Plan, Setting], Iterator[Breach]]] = {
    Kind.NEVER: _never,
    Kind.ALWAYS: _always,
    Kind.NODE: _node,
    Kind.DEGREE: _degree,
    Kind.EXPERTS: _experts,
}
