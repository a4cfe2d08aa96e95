"""Holes that were found in the verifier by trying to fool it: each stays closed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from emitted import emitted, row_of, shared, verdict, with_port, with_row
from mutation.cases import Case
from mutation.interpreter import run
from small_models import EP, MODELS, SIZES, WEIGHTS, plan, rule
from xdsl.dialects.builtin import ModuleOp

from dagc.frontends.build import build
from dagc.frontends.model import Attention, FeedForward, MixtureOfExperts, Model
from dagc.ir.deployment import Deployment, EdgeKind, Kind, Move, Port, Row, Share
from dagc.ir.evaluate import evaluate
from dagc.ir.module import annotate, sizes_of
from dagc.ir.plan import Plan
from dagc.passes.expand import expand
from dagc.passes.verify import verify
from dagc.pipeline import lower

Change = Callable[[Deployment], Deployment]

THREE = Model("three", 8, ("moe",), Attention(2, 2, 4, rope=True), "rms_norm", "bf16",
              moe=MixtureOfExperts(3, 2, FeedForward(12, "silu", gated=True), normalize=True), vocab=24)  # fmt: skip
RIGHT = {
    "tokens cut in the head alone, after a whole norm": (MODELS["dense"], plan((rule("head", "a", "seq_len"),), a=2)),
    "routed rows cut finer than the tokens": (
        MODELS["hidden"], plan((rule("*", "a", "heads"), rule("*.down_proj", "a", "batch_size")), a=2),
    ),
    "rows per expert that are rounded": (THREE, plan((*EP, rule("*.experts", "ep")), ep=2)),
    "layers that start from the input, tokens cut": (MODELS["hidden"], plan((rule("*", "a", "seq_len"),), a=2)),
    "a reduction of volumes that are not whole": (THREE, plan((rule("*.o_proj", "a", "heads"),), a=2)),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_deployment_is_accepted_and_judged_right(name: str) -> None:
    model, strategy = RIGHT[name]
    logical = build(model)
    annotate(logical, sizes=sizes_of(logical).bind(**SIZES))
    lowered, graph = _deployed(logical.clone(), strategy)
    found = verify(lowered, logical, graph, sizes_of(lowered))
    assert found.holds, "\n".join(map(str, found.diagnostics))
    given = {"input": _input(model)}
    assert np.allclose(run(graph, given, WEIGHTS), evaluate(logical, given, WEIGHTS), rtol=1e-9, atol=1e-12)


def _deployed(module: ModuleOp, strategy: Plan) -> tuple[ModuleOp, Deployment]:
    annotate(module, plan=strategy)
    lowered = lower(module)
    return lowered, expand(lowered, strategy.name)


def _input(model: Model) -> np.ndarray:
    rng, shape = np.random.default_rng(0), (SIZES["B"], SIZES["S"])
    return rng.integers(0, model.vocab, shape) if model.vocab else rng.normal(size=(*shape, model.hidden))


# Graphs that say of themselves what is not so.


def of(op: str, **changes: Any) -> Change:
    """The first row of this name, changed."""
    return lambda d: with_row(d, row_of(d, op), **changes)


def moving(op: str, **changes: Any) -> Change:
    def change(d: Deployment) -> Deployment:
        move = row_of(d, op).move
        assert isinstance(move, Move)
        return with_row(d, row_of(d, op), move=replace(move, **changes))

    return change


def port(op: str, kind: str, **changes: Any) -> Change:
    return lambda d: with_port(d, row_of(d, op), kind, lambda p: replace(p, **changes))


def link(source: str, **changes: Any) -> Change:
    """The first link that leaves a row, changed."""

    def change(d: Deployment) -> Deployment:
        old = next(k for k in d.links if d.rows[k.source].op == source)
        return replace(d, links=tuple(replace(k, **changes) if k is old else k for k in d.links))

    return change


def told_other_counts(d: Deployment) -> Deployment:
    """Counts of each other's experts, as all who read them agree."""
    row = row_of(d, "count")
    lie = shared(row.outputs[0], "experts", lambda of: of[::-1].copy())
    made = with_row(d, row, outputs=(lie,))
    for use in [k for k in d.links if k.source == row.index]:
        reader = made.rows[use.target]
        inputs = tuple(lie if i == use.input else old for i, old in enumerate(reader.inputs))
        made = with_row(made, reader, inputs=inputs)
    return made


def gathers_one_part(d: Deployment) -> Deployment:
    """The host takes what all GPUs send for the first part, and the last layer says so."""
    gather = row_of(d, "gather")
    first = shared(gather.inputs[0], "batch_size", np.zeros_like)
    return with_row(d, gather, inputs=(first,))


FALSE = {
    "counts of other experts": ("moe", "ep replicated", told_other_counts, "meaning"),
    "one part gathered": ("moe", "dp", gathers_one_part, "graph laws"),
    "a computation drawn as communication": ("dense", "tp2", of("q_proj", kind=Kind.COMM), "stated dimensions"),
    "a collective drawn as routing": ("dense", "tp2", of("all_reduce", kind=Kind.ROUTE), None),
    "a norm on the host": ("dense", "one gpu", of("final_norm", places=np.empty((1, 0), np.int64)), None),
    "an output on a GPU": ("dense", "tp2", of("output", places=np.zeros((1, 1), np.int64)), None),
    "another collective's name": ("dense", "tp2", moving("all_reduce", collective="all-gather"), "stated dimensions"),
    "other elements sent": ("dense", "tp2", moving("all_reduce", elements=1), "stated dimensions"),
    "other bytes sent": ("dense", "tp2", moving("all_reduce", bytes=1), "stated dimensions"),
    "a collective that sends nothing": ("dense", "tp2", of("all_reduce", move=None), None),
    "a norm that communicates": (
        "dense", "tp2", of("final_norm", move=Move("all-reduce", ("tp",), 1, 1)), "stated dimensions",
    ),
    "a cache that keeps nothing": ("dense", "tp2", of("k_cache", state=()), "stated dimensions"),
    "a decision drawn as data": ("moe", "tp2", link("top_k", kind=EdgeKind.DATA), "stated dimensions"),
    "data drawn as a decision": ("moe", "tp2", link("q_proj", kind=EdgeKind.SELECT), "stated dimensions"),
    "a weight by another's name": ("dense", "tp2", port("up_proj", "weights", tensor="layers.ffn.x"), "graph coverage"),
    "a weight of another layer": (
        "pattern", "tp2", port("q_proj", "weights", tensor="layers.1.attention.q_proj.weight"), "stated dimensions",
    ),
    "a dimension merged that is not there": (
        "dense", "tp2", port("q_proj", "outputs", merges="rows = a·b"), "stated dimensions",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FALSE)
def test_a_graph_that_lies_about_itself_is_refused(name: str) -> None:
    model, strategy, change, layer = FALSE[name]
    found = verdict(change(emitted(model, strategy)[0]), model, strategy)
    assert not found.holds
    assert layer is None or found.caught_by == layer


def test_a_rounded_dimension_excuses_no_other() -> None:
    """Rows of experts are rounded up; the hidden dimension beside them is not."""
    deployment, *_ = emitted("moe", "ep")
    row = row_of(deployment, "dispatch")
    at = row.outputs[0].names.index("hidden")
    odd = Share(3, np.zeros(deployment.gpus, np.int64))

    def halved(p: Port) -> Port:
        return replace(p, local=(*p.local[:at], 3), shares=(*p.shares[:at], odd))

    found = verdict(with_port(deployment, row, "outputs", halved), "moe", "ep")
    assert "DIM2" in {d.code for d in found.diagnostics}


# Graphs that are no graphs: a diagnostic, never an exception.


ODD = ((0, [0]), (-2, [0]), (2, [9]), (2, [0.5]), (2, [-7]))
"""Parts, and which of them every GPU has."""


def odd_shares(gpus: int) -> Iterator[Share]:
    yield Share(2, np.zeros(1, np.int64))
    for parts, of_ in ODD:
        yield Share(parts, np.array(of_ * gpus))


def broken() -> Iterator[tuple[str, Callable[[Row, int], dict[str, object]]]]:
    yield "no operands", lambda row, _: {"operands": row.operands[:-1]}
    yield "more operands", lambda row, _: {"operands": (*row.operands, 7)}
    yield "no inputs", lambda row, _: {"inputs": ()}
    yield "two outputs", lambda row, _: {"outputs": row.outputs * 2}
    yield "no outputs", lambda row, _: {"outputs": ()}
    yield "places that are no integers", lambda row, _: {"places": row.places * 1.0}
    yield "turns that are no numbers", lambda row, _: {"turns": row.places * np.nan}
    for kind in ("inputs", "outputs", "weights"):
        for name, change in PORTS.items():
            yield f"{kind}, {name}", lambda row, _, k=kind, c=change: _first(row, k, c)
        for i in range(6):
            yield f"{kind}, odd share {i}", lambda row, gpus, k=kind, i=i: _first(row, k, lambda p: _cut(p, gpus, i))
            yield f"{kind}, odd addend {i}", lambda row, gpus, k=kind, i=i: _first(row, k, lambda p: _owed(p, gpus, i))


PORTS: dict[str, Callable[[Port], Port]] = {
    "no shares": lambda p: replace(p, shares=()),
    "too few shares": lambda p: replace(p, shares=p.shares[:-1]),
    "too few sizes": lambda p: replace(p, local=p.local[:-1]),
    "a size that is no size": lambda p: replace(p, whole=("((",) * len(p.whole)),
    "a size of nothing": lambda p: replace(p, local=(0,) * len(p.local)),
    "a name for all": lambda p: replace(p, names=("hidden",) * len(p.names)),
}


def _first(row: Row, kind: str, change: Callable[[Port], Port]) -> dict[str, object]:
    ports = getattr(row, kind)
    return {kind: (change(ports[0]), *ports[1:])}


def _cut(port: Port, gpus: int, which: int) -> Port:
    return replace(port, shares=([*odd_shares(gpus)][which], *port.shares[1:]))


def _owed(port: Port, gpus: int, which: int) -> Port:
    return replace(port, addend=[*odd_shares(gpus)][which])


@pytest.mark.parametrize("name", [name for name, _ in broken()])
def test_what_is_no_graph_is_a_diagnostic(name: str) -> None:
    deployment, *_ = emitted("moe", "ep×tp")
    row = row_of(deployment, "o_proj")
    changes = dict(broken())[name](row, deployment.gpus)
    assert not verdict(with_row(deployment, row, **changes), "moe", "ep×tp").holds


def test_gpus_that_do_not_exist_are_a_diagnostic() -> None:
    deployment, *_ = emitted("moe", "tp2")
    pool = replace(deployment.pools[0], gpus=np.array([0, 99]))
    for odd in (replace(deployment, gpus=3), replace(deployment, pools=(*deployment.pools, pool))):
        assert not verdict(odd, "moe", "tp2").holds


def test_the_judge_waits_for_the_round_that_a_body_reads_not_for_the_first() -> None:
    """Where a body starts from the host's input, later rounds start from the GPU's own value."""
    case = Case("hidden", "cp=2")
    assert np.allclose(run(case.deployment, case.inputs(0), WEIGHTS), evaluate(case.logical, case.inputs(0), WEIGHTS))
