"""How the pictures look: shapes, colours, fonts and distances, as tables. Colours are Okabe–Ito tints (safe for the
colour-blind); shape carries the meaning too.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..ir.deployment import EdgeKind, Kind

FONT = "Helvetica,Arial,sans-serif"
INK = "#1A1A1A"


@dataclass(frozen=True, slots=True)
class NodeLook:
    shape: str
    fill: str
    line: str
    legend: str


@dataclass(frozen=True, slots=True)
class EdgeLook:
    color: str
    style: str
    width: str
    legend: str


NODES: dict[Kind, NodeLook] = {
    Kind.COMPUTE: NodeLook("box", "#E3F0FA", "#0072B2", "computation"),
    Kind.COMM: NodeLook("ellipse", "#FBE3D0", "#D55E00", "communication"),
    Kind.ROUTE: NodeLook("parallelogram", "#DDF1E4", "#00795B", "routing, split, aggregation"),
    Kind.INPUT: NodeLook("box", "#FFFFFF", "#1A1A1A", "total input and output (host)"),
    Kind.OUTPUT: NodeLook("box", "#FFFFFF", "#1A1A1A", ""),
}

EDGES: dict[str, EdgeLook] = {
    EdgeKind.DATA: EdgeLook("#4A4A4A", "solid", "1", "tensor"),
    "comm": EdgeLook("#D55E00", "solid", "1.6", "tensor to or from another GPU"),
    "residual": EdgeLook("#767676", "solid", "1.4", "residual"),
    EdgeKind.SELECT: EdgeLook("#AA3377", "dashed", "1.2", "gate's choice of experts"),
    EdgeKind.ORDER: EdgeLook("#0072B2", "dotted", "1.2", "order only"),
}

BANDS: dict[str, str] = {
    "embed": "Embedding",
    "attention": "Attention",
    "ffn": "Feed-forward",
    "moe": "Mixture of experts",
    "head": "Head",
    "norm": "Final norm",
}
BAND_FILLS = ("#EEF1F4", "#F6F2EA")
CLUSTER_LINE = "#8A8A8A"
GAP_FILL = "#FFFFFF"


@dataclass(frozen=True, slots=True)
class Text:
    """Sizes of text in points."""

    node: int = 9
    line: float = 11.5
    drop: int = 8
    lane: int = 11
    band: int = 12
    note: int = 10
    title: int = 18


@dataclass(frozen=True, slots=True)
class Space:
    """Distances in points. `along` is the direction of the flow, `across` the other one."""

    gap: int
    """Between levels: the channel where edges change their column."""
    column: int = 26
    track: int = 12
    lane: int = 18
    pad: int = 12
    bus: int = 6
    bus_clear: int = 12
    corner: int = 6
    port: int = 12
    head: int = 26
    """From a lane's border to its first operator, along the flow."""
    tail: int = 14
    arrow: int = 7
    drop: int = 16
    """Room along the flow for a collective's name at each lane's drop."""
    wrap: int = 38
    wrap_comm: int = 40
    """Characters per line, in communication nodes and others."""
    title: int = 0
    """Room across the flow for a lane's title."""


TEXT = Text()
COLUMNS = Space(gap=34)
WIDE_COLUMNS = Space(gap=34, wrap=62, wrap_comm=62)
ROWS = Space(gap=48, port=8, head=22, drop=74, wrap=80, wrap_comm=60, column=18, title=16)
WIDE_LANES = 1
NARROW_LANES = 4
"""Up to so many lanes side by side are columns (with room for long lines, or less); more are rows."""
