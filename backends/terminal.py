"""Tables for people, on the terminal. The only file that knows rich."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

NARROW = "\u202f"
"""A space that does not break."""
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A line on the terminal that names the file being made."""
    with console().status("") as status:
        yield lambda name: status.update(escape(name))


def console() -> Console:
    """A console on stderr: it is colourless where NO_COLOR is set or stderr is no terminal."""
    return Console(stderr=True)


def figures_table(title: str, entries: Iterable[tuple[str, str, dict[str, Any]]]) -> Table:
    """Per deployment and class of GPUs: what one GPU holds, computes, sends. Entries: (strategy, status, figures)."""
    table = _table(
        f"{title}, per GPU", ("strategy", "GPUs"), ("params", "weights", "KV", "activ.", "fits", "FLOPs", "sent")
    )
    for strategy, status, figures in entries:
        for part in figures.get("classes", []):
            table.add_row(escape(strategy), *_cells(part))
        if not figures:
            table.add_row(escape(strategy), status)
    return table


def _table(title: str, texts: tuple[str, ...], numbers: tuple[str, ...] = ()) -> Table:
    """A table whose cells wrap where a terminal is narrow: a number cut off is no number."""
    table = Table(title=escape(title), title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in texts:
        table.add_column(column, overflow="fold")
    for column in numbers:
        table.add_column(column, justify="right", overflow="fold")
    return table


def _cells(part: dict[str, Any]) -> list[str]:
    memory = [part["weight_bytes"], part["kv_cache_bytes"], part["activation_peak_bytes"]]
    fits = {True: "yes", False: "NO", None: "–"}[part["fits"]]
    share = f" ({part['peak_bytes'] / part['capacity_bytes']:.0%})" if part["fits"] is not None else ""
    sizes = [short(value, "B") for value in memory]
    return [
        part["gpus"],
        short(part["parameters"]),
        *sizes,
        fits + share,
        short(part["flops"]),
        short(part["bytes_sent"], "B"),
    ]


def collectives_table(entries: Iterable[tuple[str, dict[str, Any]]]) -> Table:
    """Per deployment: the collectives of one layer, and bytes that a GPU sends; what all of a program's GPUs hand over
    to the next program. Entries: (strategy, figures).
    """
    table = _table("communication", ("strategy", "layers", "collective", "axes", "after"), ("sent per GPU",))
    for strategy, figures in entries:
        for move in figures.get("collectives", []):
            name = move["collective"] + (" (routing counts)" if move["routing"] else "")
            layers, size = move["layers"] or "–", short(move["bytes_sent_per_gpu"], "B")
            table.add_row(escape(strategy), layers, name, "·".join(move["axes"]), escape(move["after"]), size)
        for row in _handovers(figures.get("handover", [])):
            table.add_row(escape(strategy), *row)
    return table


def _handovers(caches: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """A row for every two pools between which caches are handed over, of all layers."""
    for ends in dict.fromkeys((cache["from"], cache["to"]) for cache in caches):
        mine = [cache for cache in caches if (cache["from"], cache["to"]) == ends]
        count, sizes = sum(cache["repeat"] for cache in mine), [cache["bytes"] for cache in mine]
        known = all(isinstance(size, int) for size in sizes)
        size = short(sum(sizes) if known else " + ".join(map(str, sizes)), "B")
        yield "all", f"handover, {count} transfers", "", escape(" → ".join(ends)), f"{size} by all"


def links_table(entries: Iterable[tuple[str, dict[str, Any]]]) -> Table:
    """Per deployment: the link that takes longest, of one layer and of all. Entries: (strategy, figures)."""
    columns = ("strategy", "layers", "busiest link", "algorithms")
    table = _table("links: bytes over bandwidth, a lower bound", columns, ("bytes", "time"))
    for strategy, figures in entries:
        links = figures.get("links", {})
        for body in (*links.get("bodies", []), *([links["total"]] if links else [])):
            if busiest := body["busiest"]:
                layers = body["layers"] or "–" if "layers" in body else "all"
                used = {a["by"] for a in links["algorithms"] if a["layers"] == body.get("layers", a["layers"])}
                link = f"GPU {busiest['gpu']} {busiest['link']}"
                size, time = short(busiest["bytes"], "B"), f"{busiest['seconds'] * 1e6:,.0f}{NARROW}µs"
                table.add_row(escape(strategy), layers, link, ", ".join(sorted(used)), size, time)
    return table


def modules_table(entries: Iterable[tuple[str, dict[str, Any]]]) -> Table:
    """Per deployment and module: parts × replicas against the GPUs; and the balance. Entries: (strategy, figures)."""
    title = "parts × replicas = GPUs; balance is largest/mean"
    table = _table(title, ("strategy", "stage", "module", "parts × replicas", "GPUs"))
    for strategy, figures in entries:
        for m in figures.get("modules", []):
            count = f"{m['parts']} × {m['replicas']} = {m['product']}"
            table.add_row(escape(strategy), m["pool"], m["module"], count, str(m["gpus"]))
        if balance := figures.get("balance"):
            loads = ", ".join(f"{load.replace('_', ' ')} {ratio}" for load, ratio in balance.items())
            table.add_row(escape(strategy), "all", f"balance: {loads}", "", "")
        if slots := figures.get("slots"):
            each = "-".join(map(str, dict.fromkeys((slots["fewest_slots_per_gpu"], slots["slots_per_gpu"]))))
            said = f"{slots['slots']} slots of {slots['experts']} experts, {each} on a GPU"
            rows = f"rows, if all experts are chosen alike: {slots['uniform_rows_balance']}"
            table.add_row(escape(strategy), "all", f"{said}; {rows}", "", "")
    return table


def alternatives_table(entries: Iterable[tuple[str, dict[str, Any]]]) -> Table:
    """Per deployment the alternatives of its strategy, and why each was kept or not. Entries: (strategy, one)."""
    table = _table("alternatives", ("strategy", "alternative", "kept", "why"), ("sent per GPU",))
    for strategy, one in entries:
        size = one["bytes_sent_per_gpu"]
        kept, sent = "kept" if one["kept"] else "", "–" if size is None else short(size, "B")
        table.add_row(escape(strategy), escape(one["name"]), kept, escape(one["why"]), sent)
    return table


def short(value: int | str, unit: str = "") -> str:
    """939524096 → "939.5 M"; an expression stays as it is."""
    if isinstance(value, str):
        return escape(value)
    for size, letter in UNITS:
        if value >= size:
            return f"{value / size:.1f} {letter}{unit}".replace(" ", NARROW)
    return f"{value} {unit}".strip()
