"""What each GPU holds, computes and sends, and how far the fullest is above the mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .deployed import Deployed, exact, filled, short
from .markdown import escaped, table

HEAD = (
    "GPUs",
    "parameters",
    "weights",
    "KV cache",
    "activations",
    "peak of capacity",
    "FLOPs",
    "FLOPs of a layer",
    "sends",
)
LOADS = (("parameters", ""), ("flops", "FLOP"), ("peak_bytes", "B"), ("bytes_sent", "B"))


def lines(deployed: Deployed) -> Iterator[str]:
    """A row for every class of GPUs that are alike; then largest, mean and their ratio of each load."""
    classes = deployed.figures["classes"]
    yield from table(HEAD, map(_row, classes), right=range(1, len(HEAD)))
    yield from table(("load of a GPU", "largest", "mean", "largest/mean"), _balance(deployed.figures), right=(1, 2, 3))
    if slots := deployed.figures.get("slots"):
        yield (
            f"{slots['slots']} slots of {slots['experts']} experts, {slots['slots_per_gpu']} on a GPU; rows, if all "
            f"experts are chosen alike, largest/mean: {slots['uniform_rows_balance']}."
        )
        yield ""


def _row(part: Mapping[str, Any]) -> list[str]:
    capacity, full = part["capacity_bytes"], filled(part)
    share = f" ({full:.0%})" if full is not None else ""
    fits = " **does not fit**" if part["fits"] is False else ""
    peak = f"{short(part['peak_bytes'], 'B')} of {short(capacity, 'B')}{share}"
    layers = "<br>".join(f"{escaped(name)}: {exact(each['total'])}" for name, each in part["flops_per_layer"].items())
    memory = [short(part[key], "B") for key in ("weight_bytes", "kv_cache_bytes", "activation_peak_bytes")]
    sent = short(part["bytes_sent"], "B")
    cells = [exact(part["parameters"]), *memory, peak, exact(part["flops"])]
    return [
        f"{part['gpus']} ({part['count']:,})",
        *map(escaped, cells[:4]),
        escaped(peak) + fits,
        escaped(cells[5]),
        layers,
        sent,
    ]


def _balance(figures: Mapping[str, Any]) -> Iterator[list[str]]:
    computing = [part for part in figures["classes"] if part["flops"] != 0] or figures["classes"]
    for load, unit in LOADS:
        values = [(part[load], part["count"]) for part in computing]
        ratio = figures["balance"].get(load)
        if all(isinstance(value, int) for value, _ in values):
            mean = sum(value * count for value, count in values) / sum(count for _, count in values)
            above = f"{ratio:.3f}" if ratio is not None else "–"
            name = load.replace("_", " ").replace("flops", "FLOPs")
            yield [name, short(max(v for v, _ in values), unit), short(round(mean), unit), above]
