"""A cluster written in a YAML description → Cluster.

{gpu: H100, gpus: 16, gpus_per_node: 8, memory: 80 GB, links: {inside: 450 GB/s, across: 50 GB/s}}
{kinds: [{gpu: H100, gpus: 8}, {gpu: A100, gpus: 8, memory: 40 GB}]}       GPU ids in this order
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from ..diagnostics import Diagnostic, nearest
from .gpus import DEFAULT_GPU, Quantity, find_gpu, gpus
from .model import Cluster
from .parsed import Parsed, shown
from .schema import MAX_SIZE, Name, Size, Strict, checked
from .strategy_values import OneOrMore

GPUS_PER_NODE = 8


class LinksText(Strict):
    """Bytes per second and GPU, one direction: inside a node, and across nodes."""

    inside: Quantity | None = None
    """Between the GPUs of a node (NVLink)."""
    across: Quantity | None = None
    """Between nodes (InfiniBand)."""


class PartText(Strict):
    """What a GPU is."""

    gpu: Annotated[Name, Field(examples=["H100", "A100"])] | None = None
    """A type of GPU that dagc knows, or any name where memory and links are given."""
    memory: Quantity | None = None
    """Bytes of a GPU."""
    cache: Quantity | None = None
    """Bytes of a GPU's on-chip memory."""
    flops: Quantity | None = None
    """Dense BF16 floating-point operations per second of a GPU."""


class KindText(PartText):
    """GPUs alike, some of several kinds."""

    gpus: Size | None = None
    """How many there are."""


def _gpus(value: Any) -> tuple[int, ...]:
    """One number of GPUs, or a list of them, each once."""
    values: list[Any] = value if isinstance(value, list) and value else [value]
    if all(isinstance(n, int) and not isinstance(n, bool) and 0 < n <= MAX_SIZE for n in values):
        return tuple(dict.fromkeys(values))
    raise ValueError("a positive number, or a list of them")


class ClusterText(PartText):
    """GPUs all alike, or of several `kinds`."""

    gpus: Annotated[Any, PlainValidator(_gpus, json_schema_input_type=OneOrMore[Size])] = ()
    """How many there are; of a list, every number is an experiment."""
    kinds: list[KindText] = []
    """GPUs that are not all alike, in the order of their ids."""
    gpus_per_node: Size | None = None
    """GPUs that share the links inside a node."""
    links: LinksText = LinksText()
    """Bandwidths."""


Described = tuple[Cluster | None, tuple[int, ...], tuple[str, ...], list[Diagnostic]]


def described_cluster(parsed: Parsed) -> Described:
    """The cluster (of the first of several numbers of GPUs), these numbers, what had to be assumed about it, and what
    is wrong with its description.
    """
    text, problems = checked(ClusterText, parsed)
    if text is None:
        return None, (), (), problems
    problems = list(_problems(text, parsed))
    if problems:
        return None, (), (), problems
    if not text.kinds:
        cluster, assumed = _cluster(text)
        return cluster, text.gpus, assumed, []
    each = [_cluster(text.model_copy(update={**dict(kind), "gpus": (kind.gpus,)})) for kind in text.kinds]
    said = tuple(dict.fromkeys(a for _, said in each for a in said))
    return _joined([cluster for cluster, _ in each]), (), said, []


def _problems(text: ClusterText, parsed: Parsed) -> Iterator[Diagnostic]:
    for i, kind in enumerate(text.kinds or [text]):
        keys = ("kinds", i) if text.kinds else ()
        if isinstance(kind, KindText) and kind.gpus is None:
            yield Diagnostic("missing-key", "key gpus is missing: how many there are", parsed.where(*keys))
        if find_gpu(kind.gpu or DEFAULT_GPU) is None and not (kind.memory and text.links.inside and text.links.across):
            yield _unknown_gpu(kind, parsed.where(*keys, "gpu"))
    for key in KindText.model_fields if text.kinds else ():
        if getattr(text, key) not in (None, ()):
            yield Diagnostic(
                "duplicate", f"{key} is stated beside kinds", parsed.where(key), hint="state it of each kind"
            )


def _joined(clusters: list[Cluster]) -> Cluster:
    """One cluster of several kinds of GPUs; what all of them have is what the least one has."""
    kinds = tuple(kind for cluster in clusters for kind in cluster.kinds)
    return replace(
        clusters[0],
        gpu=" + ".join(f"{kind.count} × {kind.name}" for kind in kinds),
        gpus=sum(kind.count for kind in kinds),
        gpus_per_node=min(cluster.gpus_per_node for cluster in clusters),
        memory=min(kind.memory for kind in kinds),
        cache=min(kind.cache for kind in kinds),
        flops=min(kind.flops for kind in kinds),
        link_inside=min(cluster.link_inside for cluster in clusters),
        link_across=min(cluster.link_across for cluster in clusters),
        several=kinds,
    )


def default_cluster() -> tuple[Cluster, tuple[str, ...]]:
    """The cluster of a description that names none, and the assumptions that it makes."""
    return _cluster(ClusterText())


def _unknown_gpu(text: PartText, where: str) -> Diagnostic:
    hint = f"{nearest(text.gpu or '', gpus())}; or give memory, links.inside and links.across"
    return Diagnostic("unknown-gpu", f"no GPU type {shown(text.gpu)} is known", where, hint=hint)


def _cluster(text: ClusterText) -> tuple[Cluster, tuple[str, ...]]:
    """The cluster, its gaps filled from the table of GPUs; each filled gap is an assumption."""
    name, gpu = find_gpu(text.gpu or DEFAULT_GPU) or (text.gpu or "", None)
    assumed = [] if text.gpu else [f"gpu = {name}"]

    def value(key: str, stated: float | None, default: float, unit: str) -> float:
        if stated is None:
            assumed.append(f"{key} = {default / 1e9:g} {unit} ({name})" if unit else f"{key} = {default:g}")
        return default if stated is None else stated

    per_node = gpu.gpus_per_node if gpu else GPUS_PER_NODE
    cluster = Cluster(
        gpu=name,
        gpus=next(iter(text.gpus), None),
        gpus_per_node=int(value("gpus_per_node", text.gpus_per_node, per_node, "")),
        memory=int(value("memory", text.memory, gpu.memory if gpu else 0, "GB")),
        link_inside=value("links.inside", text.links.inside, gpu.inside if gpu else 0, "GB/s"),
        link_across=value("links.across", text.links.across, gpu.across if gpu else 0, "GB/s"),
        cache=int(text.cache or (gpu.cache if gpu else 0) or 0),
        flops=text.flops or (gpu.flops if gpu else 0),
        stated=bool(text.gpu or text.memory),
    )
    return cluster, tuple(assumed)
