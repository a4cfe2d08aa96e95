"""What a graph says, whatever the manner it is written in: the facts that every file of `data/lint/manners` states."""

from __future__ import annotations

from dagc.ir.drawing import Devices, Drawing, Fact, Node

HIDDEN = "[batch_size=8, hidden=4096, seq_len=1024]"
HEADS = "[batch_size=8, d_k=128, heads=32, seq_len=1024]"
EXPECTED = {
    "total input": ("host", "input", "", HIDDEN, ""),
    "q projection": ("3", "compute", HIDDEN, HEADS, ""),
    "all reduce": ("2 3", "comm", HEADS, HEADS, "67.1 MB"),
    "total output": ("host", "output", HEADS, "", ""),
}
ORDER = [("total input", "q projection"), ("q projection", "all reduce"), ("all reduce", "total output")]


def facts(drawing: Drawing) -> dict[str, tuple[str, ...]]:
    """By title: GPUs, kind, inputs, outputs, bytes."""
    return {
        title(node): (_place(node), str(node.kind), _tensors(node.inputs), _tensors(node.outputs), node.bytes)
        for node in drawing.nodes
    }


def order(drawing: Drawing) -> list[tuple[str, str]]:
    """Edges, by titles."""
    return [(title(edge.source), title(edge.target)) for edge in drawing.edges]


def title(node: Node) -> str:
    """
    A title without case, dashes and underscores.
    """
    words = node.title.lower().replace("_", " ").replace("-", " ")
    return words.replace("allreduce", "all reduce")


def _place(node: Node) -> str:
    place = node.devices
    assert isinstance(place, Devices), place
    return "host" if place.host else " ".join(map(str, sorted(place.ids)))


def _tensors(fact: Fact) -> str:
    assert fact is None or isinstance(fact, tuple), fact
    named = (sorted(f"{name}={size}" for name, size in tensor.dims.items()) for tensor in fact or ())
    return ", ".join(f"[{', '.join(dims)}]" for dims in named)
