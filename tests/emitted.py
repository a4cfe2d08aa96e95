"""Emitted deployments of small models, and the tools to change one of their rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from small_models import LISTED, MODELS, PLANS
from xdsl.dialects.builtin import ModuleOp

from dagc.frontends.build import build
from dagc.ir.deployment import Deployment, Link, Port, Row
from dagc.ir.dims import Sizes
from dagc.ir.module import annotate, sizes_of
from dagc.ir.plan import Plan
from dagc.passes.expand import expand
from dagc.passes.verify import Verdict, verify_graph
from dagc.pipeline import lower


@lru_cache(maxsize=256)
def emitted(model: str, plan: str) -> tuple[Deployment, ModuleOp, Sizes]:
    """A small model under a plan of `small_models`: the graph, the undivided model, and what its symbols stand for."""
    logical = build(MODELS[model])
    annotate(logical, plan=_plan(model, plan), sizes=sizes_of(logical).bind(B=8, S=16))
    module = lower(logical.clone())
    return expand(module, model), logical, sizes_of(module)


def _plan(model: str, name: str) -> Plan:
    plan = PLANS[name]
    if plan.stages and not isinstance(plan.stages.layers, str):
        return replace(plan, stages=replace(plan.stages, layers=LISTED[model]))
    return plan


def verdict(deployment: Deployment, model: str, plan: str) -> Verdict:
    """What the layers of defence say of a changed graph."""
    _, logical, sizes = emitted(model, plan)
    return verify_graph(deployment, logical, sizes)


def row_of(deployment: Deployment, op: str, nth: int = 0) -> Row:
    """The n-th row with this short name."""
    return [row for row in deployment.rows if row.op == op][nth]


def with_row(deployment: Deployment, row: Row, **changes: Any) -> Deployment:
    """The deployment with a row changed."""
    changed = replace(row, **changes)
    return replace(deployment, rows=tuple(changed if r.index == row.index else r for r in deployment.rows))


def with_port(deployment: Deployment, row: Row, kind: str, change: Callable[[Port], Port], at: int = 0) -> Deployment:
    """The deployment with one port (of `inputs`, `outputs` or `weights`) of a row changed."""
    ports = list(getattr(row, kind))
    ports[at] = change(ports[at])
    return with_row(deployment, row, **{kind: tuple(ports)})


def shared(port: Port, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Port:
    """A port whose GPUs hold other parts of a dimension."""
    at = port.names.index(name)
    share = port.shares[at]
    assert share is not None
    shares = (*port.shares[:at], replace(share, of=change(share.of.copy())), *port.shares[at + 1 :])
    return replace(port, shares=shares)


def swapped(port: Port, a: int, b: int) -> Port:
    """A port with two dimensions in each other's place."""
    order = list(range(len(port.names)))
    order[a], order[b] = order[b], order[a]
    each = {name: tuple(getattr(port, name)[i] for i in order) for name in ("names", "local", "whole", "shares")}
    return replace(port, **each)


def apart_on(deployment: Deployment, row: Row, gpu: int, change: Callable[[Row], Row]) -> Deployment:
    """The deployment where one GPU runs a row of its own in place of a computation."""
    rest = replace(row, places=row.places[row.places[:, 0] != gpu], spread=())
    own = change(replace(row, places=row.places[row.places[:, 0] == gpu], spread=()))
    rows: list[Row] = []
    number: dict[int, list[int]] = {}
    for old in deployment.rows:
        added = [rest, own] if old.index == row.index else [old]
        number[old.index] = list(range(len(rows), len(rows) + len(added)))
        rows += [replace(r, index=len(rows) + i) for i, r in enumerate(added)]
    links = [
        Link(source, target, link.output, link.input, link.kind, link.tensor)
        for link in deployment.links
        for source in number[link.source]
        for target in number[link.target]
    ]
    return replace(deployment, rows=tuple(rows), links=tuple(links))
