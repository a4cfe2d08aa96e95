"""GPUs that hold other parts than the program needs: heads, experts, vocabulary, positions (F10 to F17, F20, F27)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from dagc.ir.deployment import Deployment, Kind, Port, Row
from dagc.ir.ops.attention import ContextOp, MaskOp, RopeOp, ScoresOp
from dagc.ir.ops.move import GatherOp, ScatterOp

from .surgery import MISPLACED, Misplacing, Mutants, agreed, apart, changed, feeding, first_part, put, shared, where

HEADS = ("heads", "kv_heads")
OFFSETS: dict[str, Misplacing] = {**MISPLACED, "all GPUs the first": first_part}


def heads(deployment: Deployment) -> Mutants:
    """Weights of other query or KV heads."""
    yield from _weights(deployment, HEADS)


def experts(deployment: Deployment) -> Mutants:
    """Weights of other experts, and operators that take a global expert id for a local one."""
    yield from _weights(deployment, ("experts",))
    for row in deployment.rows:
        if row.kind is Kind.ROUTE and not row.on_host:
            yield from _ports(deployment, row, ("experts",))


def vocabulary(deployment: Deployment) -> Mutants:
    """Other rows of the embedding or the head."""
    yield from _weights(deployment, ("vocab",))


def features(deployment: Deployment) -> Mutants:
    """Other columns of any weight."""
    yield from _weights(deployment, ("ffn", "d_k", "hidden"))


def _weights(deployment: Deployment, names: Collection[str]) -> Mutants:
    for row in deployment.rows:
        for at, weight in enumerate(row.weights):
            for axis, (name, share) in enumerate(zip(weight.names, weight.shares, strict=True)):
                if share is not None and name in names:
                    for how, misplaced in MISPLACED.items():
                        port = shared(weight, axis, misplaced(share))
                        weights = put(row.weights, at, port)
                        yield f"{where(row)}, {name}, {how}", changed(deployment, row, weights=weights)


def kv_groups(deployment: Deployment) -> Mutants:
    """A query head reads another KV head: the ports of scores and context say so."""
    for row in deployment.rows:
        if isinstance(row.operator, ScoresOp | ContextOp):
            yield from _ports(deployment, row, HEADS)


def positions(deployment: Deployment) -> Mutants:
    """Rotary positions that start again on every GPU, or are another GPU's; also where all GPUs' nodes agree on it."""
    for row in deployment.rows:
        if isinstance(row.operator, RopeOp):
            yield from _ports(deployment, row, ("seq_len",))
    for how, misplaced in OFFSETS.items():
        made = deployment
        for row in deployment.rows:
            if not row.on_host:
                made = changed(made, row, **_all_moved(row, "seq_len", misplaced))
        if any(old.outputs != new.outputs for old, new in zip(deployment.rows, made.rows, strict=True)):
            yield f"everywhere but on the host, {how}", made


def masks(deployment: Deployment) -> Mutants:
    """A mask for other positions than the scores have."""
    for row in deployment.rows:
        if isinstance(row.operator, MaskOp):
            yield from _ports(deployment, row, ("seq_len", "kv_len"))


def _ports(deployment: Deployment, row: Row, names: Iterable[str]) -> Mutants:
    """All ports of a row say that GPUs hold other parts of these dimensions."""
    for name in dict.fromkeys(names):
        for how, misplaced in OFFSETS.items():
            ports = _all_moved(row, name, misplaced)
            if ports["inputs"] != row.inputs or ports["outputs"] != row.outputs:
                yield f"{where(row)}, {name}, {how}", changed(deployment, row, **ports)


def _all_moved(row: Row, name: str, misplaced: Misplacing) -> dict[str, tuple[Port, ...]]:
    return {key: tuple(_moved(port, name, misplaced) for port in getattr(row, key)) for key in ("inputs", "outputs")}


def _moved(port: Port, name: str, misplaced: Misplacing) -> Port:
    for axis, (own, share) in enumerate(zip(port.names, port.shares, strict=True)):
        if own == name and share is not None:
            return shared(port, axis, misplaced(share))
    return port


def ends(deployment: Deployment) -> Mutants:
    """The host gives GPUs other parts of the input than they compute, or puts their output elsewhere."""
    for row in deployment.rows:
        if isinstance(row.operator, ScatterOp | GatherOp):
            yield from _ports(deployment, row, row.outputs[0].names)
            made = row if isinstance(row.operator, ScatterOp) else deployment.rows[feeding(deployment, row).source]
            for how, misplaced in OFFSETS.items():
                for name, share in zip(made.outputs[0].names, made.outputs[0].shares, strict=True):
                    if share is not None:
                        port = _moved(made.outputs[0], name, misplaced)
                        yield f"{where(row)}, {name}, {how}, agreed", agreed(deployment, made, port)


def fused_cut(deployment: Deployment) -> Mutants:
    """gate‖up cut as one matrix: the first GPUs get parts of the gate only, the others of the up projection."""
    for gate in deployment.rows:
        for up in deployment.rows:
            pair = (gate.op, up.op) == ("gate_proj", "up_proj") and gate.repeat == up.repeat
            if pair and gate.weights and gate.path.rsplit(".", 1)[0] == up.path.rsplit(".", 1)[0]:
                yield from _fused(deployment, gate, up)


def _fused(deployment: Deployment, gate: Row, up: Row) -> Mutants:
    share = next((s for s, n in zip(gate.weights[0].shares, gate.weights[0].names, strict=True) if n == "ffn"), None)
    if share is None or share.parts != 2:
        return
    axis = gate.weights[0].names.index("ffn")
    low, high = (next(gpu for gpu in gate.gpus.tolist() if share.of[gpu] == part) for part in (0, 1))
    other = replace(share, of=1 - share.of)
    second_half_of_gate = shared(replace(up.weights[0], parameter=gate.weights[0].parameter), axis, other)
    first_half_of_up = shared(replace(gate.weights[0], parameter=up.weights[0].parameter), axis, other)
    yield f"{where(up)} on GPU {low}", apart(deployment, up, low, weights=put(up.weights, 0, second_half_of_gate))
    yield f"{where(gate)} on GPU {high}", apart(deployment, gate, high, weights=put(gate.weights, 0, first_half_of_up))


def parameters(deployment: Deployment) -> Mutants:
    """A weight of the same shape and another name: gate for up, k for v, one norm's for another's."""
    for row in deployment.rows:
        for at, weight in enumerate(row.weights):
            for other in {p.parameter: p for each in deployment.rows for p in each.weights}.values():
                alike = sorted(other.whole, key=str) == sorted(weight.whole, key=str)
                if alike and other.parameter != weight.parameter:
                    port = replace(weight, parameter=other.parameter)
                    made = changed(deployment, row, weights=put(row.weights, at, port))
                    yield f"{where(row)} with {other.parameter}", made


def untied(deployment: Deployment) -> Mutants:
    """A tied weight that is a parameter of its own."""
    for row in deployment.rows:
        for at, weight in enumerate(row.weights):
            if weight.parameter != weight.tensor and not weight.parameter.startswith("layers."):
                port = replace(weight, parameter=weight.tensor)
                yield where(row), changed(deployment, row, weights=put(row.weights, at, port))


def other_parameter_on_one(deployment: Deployment) -> Mutants:
    """One GPU loads another weight than all others (a router that differs, an adapter forgotten)."""
    for row in deployment.rows:
        for at, weight in enumerate(row.weights):
            if len(row.places) > 1:
                port = replace(weight, parameter=f"{weight.parameter}.other")
                gpu = int(row.places[-1, 0])
                yield f"{where(row)} on GPU {gpu}", apart(deployment, row, gpu, weights=put(row.weights, at, port))
