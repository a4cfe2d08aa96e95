"""Tables for people, on the terminal. The only file that knows rich."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def console() -> Console:
    """A console on stderr: it is colourless where NO_COLOR is set or stderr is no terminal."""
    return Console(stderr=True)


def figures_table(title: str, entries: Iterable[tuple[str, str, dict[str, Any]]]) -> Table:
    """Per deployment and class of GPUs: what one GPU holds, computes, sends. Entries: (strategy, status, figures)."""
    table = Table(title=escape(title), title_justify="left")
    for column in ("strategy", "GPUs", "stage"):
        table.add_column(column)
    for column in ("params", "weights", "KV cache", "activations", "fits", "FLOPs", "sent"):
        table.add_column(column, justify="right")
    for strategy, status, figures in entries:
        for part in figures.get("classes", []):
            table.add_row(escape(strategy), *_cells(part))
        if not figures:
            table.add_row(escape(strategy), status)
    return table


def _cells(part: dict[str, Any]) -> list[str]:
    memory = [part["weight_bytes"], part["kv_cache_bytes"], part["activation_peak_bytes"]]
    fits = {True: "yes", False: "NO", None: "–"}[part["fits"]]
    share = f" ({part['peak_bytes'] / part['capacity_bytes']:.0%})" if part["fits"] is not None else ""
    sizes = [short(value, "B") for value in memory]
    return [
        part["gpus"],
        part["pool"],
        short(part["parameters"]),
        *sizes,
        fits + share,
        short(part["flops"]),
        short(part["bytes_sent"], "B"),
    ]


def collectives_table(entries: Iterable[tuple[str, dict[str, Any]]]) -> Table:
    """Per deployment: the collectives of one layer, and bytes that a GPU sends. Entries: (strategy, figures)."""
    table = Table(title="communication", title_justify="left")
    for column in ("strategy", "layers", "collective", "axes", "after", "bytes sent per GPU"):
        table.add_column(column, justify="right" if column.startswith("bytes") else "left")
    for strategy, figures in entries:
        for move in figures.get("collectives", []):
            name = move["collective"] + (" (routing counts)" if move["routing"] else "")
            layers, size = move["layers"] or "–", short(move["bytes_sent_per_gpu"], "B")
            table.add_row(escape(strategy), layers, name, "·".join(move["axes"]), escape(move["after"]), size)
    return table


def list_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A plain table of texts."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def short(value: int | str, unit: str = "") -> str:
    """939524096 → "939.52 M"; an expression stays as it is."""
    if isinstance(value, str):
        return escape(value)
    for size, letter in UNITS:
        if value >= size:
            return f"{value / size:.2f} {letter}{unit}"
    return f"{value} {unit}".strip()
