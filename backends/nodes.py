"""Statements for nodes: a label for people, attributes for tools, a place and a shape."""

from __future__ import annotations

from ..ir.deployment import Kind, Row
from .labels import brackets
from .lanes import Layout
from .look import NODES
from .marks import Mark
from .page import Page
from .quoting import quoted
from .sizes import GROWTH
from .writer import Template

_INCH = 72


def node_statements(layout: Layout, page: Page, mark: Mark) -> list[str]:
    """One statement per node of a mark."""
    spot, row = layout.spots[mark.row.index], mark.row
    x, y = page.xy(spot.along, spot.across)
    line = Template().fill(mark.who.names).add(f' [label="{mark.label.before}')
    line.fill(mark.label.places).add(f'{mark.label.after}", pos="').number(x).add(",").number(y).add(
        f'!", {_shape(mark)}, gpu="'
    ).fill(mark.who.gpu).add('"')
    for name, values in mark.who.extra.items():
        line.add(f', {name}="').fill(values).add('"')
    return line.add(f", {_facts(row)}];").lines(len(mark))


def _shape(mark: Mark) -> str:
    look = NODES[mark.row.kind]
    wide, high = mark.size
    if look.shape == "parallelogram":
        wide /= GROWTH
    return f"width={wide / _INCH:.3f}, height={high / _INCH:.3f}, shape={look.shape}{_STYLES[mark.row.kind]}"


def _style(kind: Kind) -> str:
    return f', fillcolor="{NODES[kind].fill}", color="{NODES[kind].line}", class={kind}'


NODE_DEFAULT = _style(Kind.COMPUTE).removeprefix(", ")
"""How nodes look that do not say otherwise."""
_STYLES = {kind: "" if kind is Kind.COMPUTE else _style(kind) for kind in Kind}


def _facts(row: Row) -> str:
    """What tools read; the attributes that only the place decides are written apart."""
    facts = {
        "kind": row.kind,
        "op": row.op,
        "path": row.path,
        "input": brackets(row, row.inputs),
        "output": brackets(row, row.outputs),
        "global_input": brackets(row, row.inputs, whole=True),
        "global_output": brackets(row, row.outputs, whole=True),
        **_resident(row),
        **_moved(row),
        **_repeated(row),
        **({"steps": str(row.steps)} if row.steps > 1 else {}),
    }
    return ", ".join(f"{name}={quoted(str(text))}" for name, text in facts.items())


def _resident(row: Row) -> dict[str, str]:
    return {name: brackets(row, ports) for name, ports in (("weight", row.parameters), ("state", row.state)) if ports}


def _moved(row: Row) -> dict[str, str]:
    move = row.move
    if move is None:
        return {}
    axes = {"axes": ",".join(move.axes)} if move.axes else {}
    more = {}
    if move.received is not None:
        more = {"elements_received": str(move.received[0]), "bytes_received": str(move.received[1])}
    if move.least is not None:
        more |= {"least": str(move.least), "total": str(move.total)}
    return {"collective": move.collective, **axes, "bytes": str(move.bytes), "elements": str(move.elements), **more}


def _repeated(row: Row) -> dict[str, str]:
    repeat = row.repeat
    return {"repeat": str(repeat.count), "repeat_id": repeat.id, "repeat_layers": repeat.layers} if repeat else {}
