"""dot: the text of a view in Graphviz's DOT language. The text is the picture: it carries every position.

    digraph "mixtral-8x7b" {
      graph [layout=nop2, …];
      input_0 [label="Total input\\nGPU: host\\n…", kind=input, op=input, gpu=host, …];
      subgraph cluster_gpu0 { label="GPU 0"; … q_proj_4_gpu0 [label="Q projection\\nGPU: 0\\nInput: […]…", …]; … }
      q_proj_4_gpu0 -> q_rope_7_gpu0 [pos="e,…", tensor="…", kind=data];
    }

Beside its label each node says the same in attributes that tools read: kind, op, gpu, input, output, global_input, …
"""

from __future__ import annotations

from ..ir.view import View
from .along import Extent
from .edges import EDGE_DEFAULT, edge_statements
from .lanes import Layout, lay_out
from .look import CLUSTER_LINE, FONT, INK, TEXT
from .metrics import text_width
from .nodes import NODE_DEFAULT, node_statements
from .page import Page, page_of
from .quoting import clean, joined, quoted
from .routes import Routes
from .scenery import background


def dot_text(view: View) -> str:
    """The DOT text of a view. Deterministic: equal views give equal text."""
    layout = lay_out(view)
    page = page_of(layout)
    outside, inside = _nodes(layout, page)
    lines = _head(layout, page) + outside
    for lanes, extent in layout.pools:
        for lane in lanes:
            lines += [*_border(layout, page, lane, extent), *inside[lane], "}"]
    for route in Routes(layout):
        lines += edge_statements(layout, page, route)
    return "\n".join([*lines, "}", ""])


def _nodes(layout: Layout, page: Page) -> tuple[list[str], list[list[str]]]:
    """Statements of the nodes outside the lanes (host, communication), and of those inside, lane by lane."""
    lane_of = layout.scene.view.lane_of
    outside: list[str] = []
    inside: list[list[str]] = [[] for _ in layout.scene.view.lanes]
    for mark in layout.scene.marks.values():
        texts = node_statements(layout, page, mark)
        if mark.row.on_host or mark.row.move is not None:
            outside += texts
            continue
        for lane, text in zip(lane_of[mark.row.places[:, 0]].tolist(), texts, strict=True):
            inside[lane].append(text)
    return outside, inside


def _head(layout: Layout, page: Page) -> list[str]:
    view = layout.scene.view
    facts = {"model": view.deployment.model, "strategy": view.deployment.strategy, "view": view.name}
    counts = {"micro_batches": view.deployment.micro_batches, "token_chunks": view.deployment.token_chunks}
    facts |= {name: str(count) for name, count in counts.items() if count > 1}
    about = ", ".join(f"{name}={quoted(text)}" for name, text in facts.items())
    drawn = joined(background(layout, page))
    return [
        f"digraph {quoted(view.deployment.model)} {{",
        f'graph [layout=nop2, bb="0,0,{page.width},{page.height}", outputorder=edgesfirst, fontname="{FONT}",',
        f"  gpus={view.deployment.gpus}, {about},",
        f"  _background={drawn}];",
        f'node [fontname="{FONT}", fontsize={TEXT.node}, fontcolor="{INK}", style=filled, fixedsize=shape, id="\\N",',
        f"  {NODE_DEFAULT}];",
        f'edge [fontname="{FONT}", fontsize={TEXT.drop}, arrowsize=0.7, {EDGE_DEFAULT}];',
    ]


def _border(layout: Layout, page: Page, lane: int, extent: Extent) -> list[str]:
    """The beginning of a lane's cluster: its border, and its title at the beginning of the flow."""
    flow, shown = layout.along, layout.scene.view.lanes[lane]
    begin = int(layout.across.begin[layout.across.slots.of_lane[lane]])
    corners = [page.xy(flow.begin(extent), begin), page.xy(flow.finish(extent), begin + layout.across.lane.width)]
    (left, right), (low, high) = (sorted(int(corner[axis]) for corner in corners) for axis in (0, 1))
    title = clean(shown.title)
    aside = layout.across.lane.title if layout.scene.narrow else 8
    middle = left + aside + int(text_width(title, TEXT.lane)) // 2
    return [
        f"subgraph cluster_gpu{shown.gpu} {{",
        f'label={quoted(title)}; lp="{middle},{high - 11}"; fontname="{FONT}"; fontsize={TEXT.lane};',
        f'bb="{left},{low},{right},{high}"; style=rounded; color="{CLUSTER_LINE}"; penwidth=1.5; class=lane;',
    ]
