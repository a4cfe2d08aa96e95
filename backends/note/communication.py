"""What is sent in one layer: collective by collective, and in all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...ir.deployment import Deployment
from ..ranges import groups_label, pair_label
from .deployed import Deployed, exact, short
from .markdown import code, escaped, table

HEAD = ("layers", "collective", "after", "over", "among", "elements sent by a GPU", "bytes sent by a GPU")
Move = Mapping[str, Any]


def lines(deployed: Deployed) -> Iterator[str]:
    """A row per collective; then what a layer of each kind sends, and the whole program."""
    graph, moves = deployed.graph, deployed.figures["collectives"]
    yield from _handed_over(deployed.figures.get("handover", ()))
    if graph is None or not moves:
        yield from ("Nothing is sent between GPUs.", "")
        return
    alike: dict[tuple[Any, ...], list[Move]] = defaultdict(list)
    for move in moves:
        alike[_what(move)].append(move)
    yield from table(HEAD, (_row(same, graph) for same in alike.values()), right=(5, 6))
    yield from _sums(moves, deployed)


def _what(move: Move) -> tuple[Any, ...]:
    """Equal for the same collective of layers on other stages."""
    keys = ("collective", "after", "routing", "repeat", "elements_sent_per_gpu", "bytes_sent_per_gpu")
    return (*(move[key] for key in keys), bool(move["layers"]), *move["axes"], move.get("elements_sent_least"))


def _row(moves: Sequence[Move], graph: Deployment) -> list[str]:
    move = moves[0]
    layers = ", ".join(dict.fromkeys(one["layers"] for one in moves if one["layers"]))
    least = f" (least {exact(move['elements_sent_least'])})" if "elements_sent_least" in move else ""
    return [
        escaped(f"{layers} (× {move['repeat']})" if layers else "outside of layers"),
        escaped(move["collective"] + " of routing counts" * move["routing"]),
        code(move["after"]),
        escaped(", ".join(move["axes"])),
        escaped(_among(move, graph)),
        exact(move["elements_sent_per_gpu"]) + least,
        exact(move["bytes_sent_per_gpu"]),
    ]


def _among(move: Move, graph: Deployment) -> str:
    """The groups of a collective on all stages, or how many pairs send."""
    rows = [r for r in graph.rows if r.move and (r.path, r.move.collective) == (move["after"], move["collective"])]
    widths = {row.places.shape[1] for row in rows}
    if len(widths) != 1 or any(row.pairs is not None for row in rows):
        return "senders and receivers" if rows and rows[0].is_transfer else ""
    places = np.concatenate([row.places for row in rows])
    return pair_label(places) if rows[0].is_transfer else groups_label(places)


def _sums(moves: Sequence[Move], deployed: Deployed) -> Iterator[str]:
    layers: dict[str, list[Move]] = defaultdict(list)
    for move in moves:
        if move["layers"]:
            layers[move["layers"]].append(move)
    said: dict[str, list[str]] = defaultdict(list)
    for name, own in layers.items():
        counts = ", ".join(f"{count} × {kind}" for kind, count in deployed.figures["per_layer"][name].items())
        elements, size = _sum(own, "elements"), _sum(own, "bytes")
        said[f"{escaped(counts)}; a GPU sends {elements} elements, {size} bytes"].append(name)
    yield from (f"- One layer of {escaped(', '.join(names))}: {text}." for text, names in said.items())
    runs = deployed.figures["micro_batches"]
    times = f" (the table is of one of {runs} micro-batches)" if runs > 1 else ""
    sent = max((part["bytes_sent"] for part in deployed.figures["classes"]), default=0)
    yield f"- In all layers, the GPU that sends most sends {short(sent, 'B')}{times}."
    yield from _busiest(deployed.figures.get("links", {}))
    yield ""


def _sum(moves: Sequence[Move], what: str) -> str:
    values = [move[f"{what}_sent_per_gpu"] for move in moves]
    if all(isinstance(value, int) for value in values):
        return exact(sum(values))
    return code(" + ".join(map(str, values)))


def _handed_over(caches: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The caches that the prefill leaves to the step, of all GPUs."""
    rows = (
        [code(c["cache"]), escaped(f"{c['from']} → {c['to']}"), str(c["repeat"]), short(c["bytes"], "B")]
        for c in caches
    )
    yield from table(("cache handed over", "between", "times", "bytes of all GPUs"), rows, right=(2, 3))


def _busiest(links: Mapping[str, Any]) -> Iterator[str]:
    """The link that takes longest in one layer."""
    bodies = [body for body in links.get("bodies", ()) if body["busiest"] and body["layers"]]
    if bodies:
        body = max(bodies, key=lambda body: body["busiest"]["seconds"])
        busiest, time = body["busiest"], f"{body['busiest']['seconds'] * 1e6:,.0f} µs at least"
        link = f"GPU {busiest['gpu']} {busiest['link']}"
        size, layers = short(busiest["bytes"], "B"), escaped(body["layers"])
        yield f"- The busiest link: {link}, {size} in a layer of {layers}, {time}."
