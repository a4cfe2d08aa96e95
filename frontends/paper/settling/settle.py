"""Facts and methods → one value for every key, what was remarked on the way, and the description that is lowered.

    conclusion: 4-layer model; setup: 16 layers      layers: 16, and a contradiction is remarked, with both lines
    32 heads, hidden size 4096                       d_k: 128, derived
    no vocabulary                                    none, declared
    Llama-3.1-70B in FP8                             the catalogue's llama-3.1-70b with dtype f8

`scoping` says whose facts they are, `deciding` which counts, `filling` adds what is left out, `describing` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

from ...gpus import DEFAULT_GPU, find_gpu
from ..document import Document
from ..facts import Fact, How, Method, Reading, Remark, Verdict
from .deciding import Decisions, degrees_of
from .describing import CLUSTER_KEYS, cluster_of, methods_as, sizes_of
from .filling import NOWHERE, Chosen, declare, derive, lacking
from .modelling import model_of
from .scoping import models, platforms
from .workloads import sizes


def settle(
    document: Document,
    facts: Sequence[Fact],
    methods: Sequence[Method] = (),
    knowledge: Sequence[Fact] = (),
    remarks: Sequence[Remark] = (),
) -> Reading:
    """The whole reading; `remarks` are those made before (of methods)."""
    every = [*facts, *knowledge]
    decisions = Decisions(degrees_of(methods), list(remarks))
    cluster = _cluster(decisions, every)
    workload = sizes(decisions, every)
    given = _given(decisions, cluster)
    found = [model_of(decisions, scope, given) for scope in models(document, every)]
    if not found:
        decisions.remarks.append(_no_model())
    parts: dict[str, Any] = {"models": found, "cluster": cluster_of(cluster), **methods_as(methods)}
    description = {key: part for key, part in {**parts, "sizes": sizes_of(workload)}.items() if part}
    told = tuple(dict.fromkeys((*decisions.counted, *every)))
    return Reading(document, told, tuple(methods), _once(decisions.remarks), description)


def _no_model() -> Remark:
    text = "no model is described: layers, hidden size, heads and feed-forward width, or the name of a published model"
    return Remark(Verdict.MISSING, "model", text)


def _once(remarks: Iterable[Remark]) -> tuple[Remark, ...]:
    """Each once; of an assumption about one thing the first."""
    kept: dict[object, Remark] = {}
    for remark in remarks:
        kept.setdefault((remark.about,) if remark.verdict is Verdict.ASSUMED else remark, remark)
    return tuple(kept.values())


def _cluster(decisions: Decisions, facts: Sequence[Fact]) -> Chosen:
    """The main cluster; a number of GPUs that is nowhere stated follows from the degrees of the methods."""
    own, others = platforms(facts)
    chosen = decisions.decided(own)
    decisions.remarks += derive(chosen, CLUSTER_KEYS, "")
    if "gpus" not in chosen and decisions.degrees:
        decisions.remarks.append(_of_degrees(chosen, decisions.degrees))
        decisions.remarks += derive(chosen, CLUSTER_KEYS, "")
    decisions.remarks += [_other(name, said) for name, said in others.items()]
    decisions.remarks += _unknown_gpu(chosen)
    decisions.remarks += declare(chosen, "cluster") + lacking(chosen, CLUSTER_KEYS)
    decisions.counted += chosen.values()
    return chosen


def _unknown_gpu(chosen: Chosen) -> list[Remark]:
    """What is taken for a type of GPU that the table of GPUs does not have."""
    gpu = chosen.get("gpu")
    if gpu is None or find_gpu(str(gpu.value)):
        return []
    text = f"{gpu.value} is not in dagc's table of GPUs: what the paper does not give is taken as of an {DEFAULT_GPU}"
    return [Remark(Verdict.ASSUMED, "gpu", text, (gpu.source,), instead=("the description's memory and links",))]


def _of_degrees(chosen: Chosen, degrees: Sequence[Mapping[str, int]]) -> Remark:
    most = max(degrees, key=lambda sizes: prod(sizes.values()))
    value = prod(most.values())
    why = f"gpus = {' × '.join(most)} = {' × '.join(map(str, most.values()))} = {value}"
    chosen["gpus"] = Fact("gpus", value, NOWHERE, how=How.DERIVED, why=why)
    return Remark(Verdict.DERIVED, "gpus", f"gpus = {value}", (), why)


def _given(decisions: Decisions, cluster: Chosen) -> Mapping[str, int]:
    """Values of the methods and of the cluster that a model's defaults rest on."""
    degrees = {axis: size for axes in decisions.degrees for axis, size in axes.items()}
    return {**degrees, **{key: fact.value for key, fact in cluster.items() if isinstance(fact.value, int)}}


def _other(name: str, facts: Sequence[Fact]) -> Remark:
    said = ", ".join(f"{fact.key} {fact.value}" for fact in facts)
    text = f"another platform, not the one that is drawn: {said}"
    return Remark(Verdict.IGNORED, name, text, tuple(dict.fromkeys(fact.source for fact in facts)))
