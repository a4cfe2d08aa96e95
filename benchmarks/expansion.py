"""Nodes per second of the expansion to per-GPU DOT, against a plain Python loop that writes the same node statements.

    python benchmarks/expansion.py

`whole` is module → graph → complete DOT text (positions, splines, clusters). `nodes` writes the node statements from
ready geometry, a row at a time; `loop` writes the same text one node at a time, every attribute formatted anew, as a
script that draws such a graph would. The two are compared line by line before they are timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from dagc import driver
from dagc.backends.dot import dot_text
from dagc.backends.lanes import Layout, lay_out
from dagc.backends.nodes import _facts, _shape, node_statements
from dagc.backends.page import Page, page_of
from dagc.job import Request
from dagc.passes import views
from dagc.passes.expand import expand
from dagc.planning import plan

CASES = [("llama-3.1-70b", f"dp={gpus // 8},tp=8") for gpus in (64, 512, 4096)] + [("mixtral-8x22b", "dp=64,ep=8")]


def by_row(layout: Layout, page: Page) -> list[str]:
    return [line for mark in layout.scene.marks.values() for line in node_statements(layout, page, mark)]


def by_node(layout: Layout, page: Page) -> list[str]:
    lines = []
    for mark in layout.scene.marks.values():
        spot = layout.spots[mark.row.index]
        x, y = (np.broadcast_to(value, len(mark)).astype(int) for value in page.xy(spot.along, spot.across))
        for i in range(len(mark)):
            extra = "".join(f', {name}="{values[i]}"' for name, values in mark.who.extra.items())
            lines.append(
                f'{mark.who.names[i]} [label="{mark.label.before}{mark.label.places[i]}{mark.label.after}", '
                f'pos="{x[i]},{y[i]}!", {_shape(mark)}, gpu="{mark.who.gpu[i]}"{extra}, {_facts(mark.row)}];'
            )
    return lines


def seconds(call: Callable[[], object]) -> float:
    """The best of three runs, in CPU seconds."""
    found = []
    for _ in range(3):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    print("".join(f"{name:>18}" for name in ("model", "strategy", "nodes", "whole 1/s", "nodes 1/s", "loop 1/s")))
    for model, strategy in CASES:
        request = Request(model, (strategy,), baseline="none")
        (job,) = (driver.compile_job(job, request) for job in plan(request))
        module = job.module
        assert module is not None
        view = views.gpus(expand(module, model))
        layout = lay_out(view)
        page = page_of(layout)
        assert by_row(layout, page) == by_node(layout, page)
        calls = (
            lambda module=module: dot_text(views.gpus(expand(module, "bench"))),
            lambda layout=layout, page=page: by_row(layout, page),
            lambda layout=layout, page=page: by_node(layout, page),
        )
        rates = [f"{view.deployment.nodes / seconds(call):,.0f}" for call in calls]
        print("".join(f"{cell:>18}" for cell in (model, strategy, f"{view.deployment.nodes:,}", *rates)), flush=True)


if __name__ == "__main__":
    main()
