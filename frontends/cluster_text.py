"""A cluster written in a YAML description → Cluster.

{gpu: H100, gpus: 16, gpus_per_node: 8, memory: 80 GB, links: {inside: 450 GB/s, across: 50 GB/s}}
"""

from __future__ import annotations

from ..diagnostics import Diagnostic, nearest
from .gpus import DEFAULT_GPU, Gpu, Quantity, find_gpu, gpus
from .model import Cluster
from .parsed import Parsed, shown
from .schema import Name, Size, Strict, checked

GPUS_PER_NODE = 8


class LinksText(Strict):
    """Bytes per second and GPU, one direction: inside a node, and across nodes."""

    inside: Quantity | None = None
    across: Quantity | None = None


class ClusterText(Strict):
    gpu: Name | None = None
    gpus: Size | None = None
    gpus_per_node: Size | None = None
    memory: Quantity | None = None
    cache: Quantity | None = None
    flops: Quantity | None = None
    links: LinksText = LinksText()


def described_cluster(parsed: Parsed) -> tuple[Cluster | None, tuple[str, ...], list[Diagnostic]]:
    """The cluster, what had to be assumed about it, and what is wrong with its description."""
    text, problems = checked(ClusterText, parsed)
    if text is None:
        return None, (), problems
    known = find_gpu(text.gpu or DEFAULT_GPU)
    if known is None and not (text.memory and text.links.inside and text.links.across):
        return None, (), [_unknown_gpu(text, parsed)]
    cluster, assumed = _cluster(text, known)
    return cluster, assumed, []


def default_cluster() -> tuple[Cluster, tuple[str, ...]]:
    """The cluster of a description that names none, and the assumptions that it makes."""
    return _cluster(ClusterText(), find_gpu(DEFAULT_GPU))


def _unknown_gpu(text: ClusterText, parsed: Parsed) -> Diagnostic:
    hint = f"{nearest(text.gpu or '', gpus())}; or give memory, links.inside and links.across"
    return Diagnostic("unknown-gpu", f"no GPU type {shown(text.gpu)} is known", parsed.where("gpu"), hint=hint)


def _cluster(text: ClusterText, known: tuple[str, Gpu] | None) -> tuple[Cluster, tuple[str, ...]]:
    """The cluster, its gaps filled from the table of GPUs; each filled gap is an assumption."""
    name, gpu = known or (text.gpu or "", None)
    assumed = [] if text.gpu else [f"gpu = {name}"]

    def value(key: str, stated: float | None, default: float, unit: str) -> float:
        if stated is None:
            assumed.append(f"{key} = {default / 1e9:g} {unit} ({name})" if unit else f"{key} = {default:g}")
        return default if stated is None else stated

    per_node = gpu.gpus_per_node if gpu else GPUS_PER_NODE
    cluster = Cluster(
        gpu=name,
        gpus=text.gpus,
        gpus_per_node=int(value("gpus_per_node", text.gpus_per_node, per_node, "")),
        memory=int(value("memory", text.memory, gpu.memory if gpu else 0, "GB")),
        link_inside=value("links.inside", text.links.inside, gpu.inside if gpu else 0, "GB/s"),
        link_across=value("links.across", text.links.across, gpu.across if gpu else 0, "GB/s"),
        cache=int(text.cache or (gpu.cache if gpu else 0) or 0),
        flops=text.flops or (gpu.flops if gpu else 0),
        stated=bool(text.gpu or text.memory),
    )
    return cluster, tuple(assumed)
