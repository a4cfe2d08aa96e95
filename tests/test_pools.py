"""Pools: who sends what to whom between any two layouts, which plans are refused, and strategies that use them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emitted import emitted, row_of, verdict, with_row
from small_models import MODELS, TP, pooled
from xdsl.dialects.builtin import ModuleOp

from dagc import driver
from dagc.backends.bands import bands
from dagc.backends.lanes import lay_out
from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.frontends.regimes import regimes, under
from dagc.frontends.source import experiments_of
from dagc.frontends.strategy import resolve
from dagc.ir.dialect import context
from dagc.ir.dims import number
from dagc.ir.layout import Dim, Tensor
from dagc.ir.mesh import Grid, Mesh
from dagc.ir.module import annotate, plan_of
from dagc.ir.orders import axis_of, indices, order_of
from dagc.ir.plan import Plan
from dagc.job import Job, Request
from dagc.opt import PlanPass
from dagc.passes import views
from dagc.passes.ready import ready
from dagc.passes.sends import sends
from dagc.pipeline import lower
from dagc.planning import plan

DATA = Path(__file__).parent / "data" / "strategies"
MESH = Mesh((Grid("a", (("x", 2), ("y", 3))), Grid("b", (("u", 4), ("v", 2)), 6)))


def tensor(pool: str, *cuts: tuple[str, ...], owes: tuple[str, ...] = ()) -> Tensor:
    dims = tuple(Dim(name, number(24), cut) for name, cut in zip(("one", "two"), cuts, strict=True))
    return Tensor(dims, "bf16", owes, pool)


def held(value: Tensor) -> dict[int, set[tuple[int, int]]]:
    """What every GPU holds, element by element."""
    parts = []
    for dim in value.dims:
        levels = tuple((MESH.size((axis_of(cut),)), order_of(cut)) for cut in dim.cuts)
        parts.append(indices(levels, 24)[MESH.coordinate(value.pool, dim.axes)])
    gpus = MESH.ids(value.pool).reshape(-1).tolist()
    return {gpu: set(product(one.tolist(), two.tolist())) for gpu, one, two in zip(gpus, *parts, strict=True)}


HAVE = [
    tensor("a", *cuts) for cuts in (((), ()), (("x",), ()), (("x", "y"), ()), (("y zigzag",), ("x",)), ((), ("y",)))
]
NEED = [
    tensor("b", *cuts) for cuts in (((), ()), (("u",), ()), (("u", "v"), ()), (("u strided",), ("v",)), ((), ("v",)))
]


@pytest.mark.parametrize(("have", "need"), list(product(HAVE, NEED)), ids=str)
def test_what_a_receiver_is_sent_is_what_it_holds_once(have: Tensor, need: Tensor) -> None:
    made, givers, takers = sends(have, need, MESH), held(have), held(need)
    assert made.pairs is not None
    volume = dict.fromkeys(givers, 0)
    got = {taker: [] for taker in takers}
    for giver, taker in made.pairs.tolist():
        common = givers[giver] & takers[taker]
        assert common
        got[taker] += common
        volume[giver] += len(common)
    assert all(sorted(got[taker]) == sorted(takers[taker]) for taker in takers)
    assert max(volume.values()) == made.most * 24 * 24
    groups = [set(group) for group in made.places.tolist()]
    assert sorted(gpu for group in groups for gpu in group) == list(range(14))
    assert all(any({giver, taker} <= group for group in groups) for giver, taker in made.pairs.tolist())


def test_copies_share_the_receivers_and_receivers_too_few_are_sent_slices() -> None:
    everything, many = tensor("a", (), ()), tensor("b", ("u",), ("v",))
    assert np.bincount(sends(everything, many, MESH).pairs[:, 0]).tolist() == [2, 1, 1, 2, 1, 1]  # type: ignore[index]
    assert ready(everything, many, MESH).dims[1].cuts == ("x", "y")
    assert ready(tensor("a", ("x",), (), owes=("y",)), many, MESH).dims[1].cuts == ("y",)
    few = tensor("b", ("u", "v"), ())
    assert ready(tensor("a", ("x", "y"), ()), few, MESH) == tensor("a", ("x", "y"), ())


def test_a_pool_on_which_nothing_runs_is_refused_unless_it_may_be_idle() -> None:
    made = pooled(TP, {"*": "a"}, a={"tp": 2}, b={"cp": 2})
    with pytest.raises(Refused, match="nothing is placed on pool b"):
        lowered(made)
    first, second = made.pools
    assert lowered(replace(made, pools=(first, replace(second, idle=True))))


def test_what_is_placed_nowhere_is_refused() -> None:
    with pytest.raises(Refused, match="embed is placed on no pool"):
        lowered(pooled(TP, {"layers": "a"}, a={"tp": 2}))


def lowered(made: Plan) -> ModuleOp:
    module = build(MODELS["dense"])
    annotate(module, plan=made)
    return lower(module)


BAD = {
    "mesh: {tp: 2}\npools: {a: {mesh: {dp: 2}}}": "either a mesh or pools",
    "about: nothing": "either a mesh or pools",
    "pools: {all: {mesh: {dp: 2}}}": "cannot be called all",
    "pools: {a: {mesh: {dp: 2}}, b: {mesh: {dp: 4}}}": "axis dp has two sizes",
    "pools: {a: {mesh: {dp: 2}}}\nplace: [{at: '*', on: b}]": "unknown pool 'b'",
    "pools: {a: {mesh: {dp: 2}}}\nstages: {axis: dp}": "either stages or pools",
    "pools: {a: {mesh: {dp: 2}}}\nrules: [{at: '*', cut: {ep: experts}}]": "axis 'ep' is not in the mesh",
    "pools: {a: {mesh: {dp: 2}, idle: yes}}": "pools.a.idle",
}


@pytest.mark.parametrize("text", BAD)
def test_a_file_that_does_not_fit_together_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(Refused) as refused:
        resolve("s.yaml", gpus=None, base=tmp_path)
    assert any(BAD[text] in diagnostic.problem for diagnostic in refused.value.diagnostics)


def test_pools_add_up_to_the_gpus() -> None:
    sizes = {axis.name: axis.size for axis in resolve("afd", gpus=20).axes}
    assert sizes == {"dp": 8, "tp": 1, "ep": 12, "etp": 1}
    assert resolve("afd", gpus=None, mesh="dp=4,tp=2,ep=4").gpus == 12
    for wrong, words in (({"gpus": 8}, "8 are in pools without it"), ({"gpus": 9, "mesh": "ep=2"}, "OUT6")):
        with pytest.raises(Refused, match=words):
            resolve("afd", **wrong)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="no factor of a product"):
        resolve("afd,pp=2", gpus=32)


@pytest.mark.parametrize("change", ["left out", "turned", "another sender"])
def test_a_transfer_that_sends_otherwise_is_caught(change: str) -> None:
    deployment, _, _ = emitted("moe", "afd")
    row = row_of(deployment, "transfer")
    assert row.pairs is not None
    turned = row.pairs.copy()
    # of senders of two parts: copies of one may send in each other's place
    turned[[2, 4], 1] = turned[[4, 2], 1]
    pairs = {"left out": row.pairs[:-1], "turned": turned, "another sender": row.pairs[:, ::-1].copy()}[change]
    assert not verdict(with_row(deployment, row, pairs=pairs), "moe", "afd").holds


@pytest.mark.parametrize("name", ["three-pools.yaml"])
def test_a_strategy_nobody_has_seen(name: str) -> None:
    job = compiled("llama-3.1-8b", str(DATA / name))
    assert job.status == "valid"
    assert job.graph is not None
    assert [pool.name for pool in job.graph.pools] == ["ffn", "heads", "rows", "batch"]
    crossing = [(c["from"], c["to"], c["layers"]) for c in job.figures["collectives"] if c["from"] != c["to"]]
    assert {(source, target) for source, target, _ in crossing} == {
        pair for pool in ("heads", "rows", "batch") for pair in (("ffn", pool), (pool, "ffn"))
    }


@pytest.mark.parametrize(("asked", "made"), [
    ({"seq_len": 4096}, ["fa-pool[seq_len<=4096]"]),
    ({"seq_len": 4100}, ["fa-pool[seq_len>4096]"]),
    ({"seq_len": 8192, "all_regimes": True}, ["fa-pool[seq_len<=4096]", "fa-pool[seq_len>4096]"]),
    ({"seq_len": "symbolic"}, ["fa-pool[seq_len<=4096]", "fa-pool[seq_len>4096]"]),
])  # fmt: skip
def test_a_deployment_for_the_regime_of_the_sizes_or_for_each(asked: dict[str, Any], made: list[str]) -> None:
    request = Request(None, ("fa-pool,tp=4,fp=4",), baseline="none", gpus=8, batch_size=8, **asked)
    jobs = [driver.compile_job(job, request) for job in plan(request)]
    assert [job.strategy.replace(",tp=4,fp=4", "") for job in jobs] == made
    assert all(job.status == "valid" for job in jobs)
    for job in jobs:
        assert job.graph is not None
        assert [pool.name for pool in job.graph.pools] == (["base"] if "<=" in job.strategy else ["base", "pool"])


def test_pictures_name_the_pool_of_lanes_and_of_stretches_where_there_are_several() -> None:
    deployment, _, _ = emitted("moe", "afd")
    named = [lane.title.split(" · ")[1:] for lane in views.gpus(deployment).lanes]
    assert named == [[pool.name] for pool in deployment.pools for _ in pool.gpus]
    names = [name for name, _ in bands(lay_out(views.spmd(deployment)))]
    attention, experts = (f"Mixture of experts · {pool.name}" for pool in deployment.pools)
    assert [name for name in names if name.startswith("Mix")][:3] == [attention, experts, attention]
    one, _, _ = emitted("moe", "ep")
    assert not any("·" in lane.title for lane in views.representative(one).lanes)


@pytest.mark.parametrize(("seq_len", "taken", "why"), [
    (8192, "seq_len>4096", "is 8192"), (64, "seq_len<=4096", "is 64"), (None, "seq_len<=4096", "is unbound"),
])  # fmt: skip
def test_passes_by_hand_are_for_one_regime_and_say_which(
    seq_len: int | None, taken: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (model,) = experiments_of("llama-3.1-8b")[0].models
    module = build(model)
    PlanPass("fa-pool,tp=2,fp=2", batch_size=4, seq_len=seq_len).apply(context(), module)
    made = plan_of(module)
    assert made is not None
    assert (made.name, {placing.when for placing in made.places}) == (f"fa-pool,tp=2,fp=2[{taken}]", {""})
    assert f"the regime {taken} is taken (seq_len {why})" in capsys.readouterr().err


def test_a_pool_for_attention_sends_what_the_formula_says() -> None:
    """q 8·p pairs of BLHd/(8·p), k and v to every GPU of the pool, O back."""
    batch, length, heads, d, tp, fp = 8, 8192, 32, 128, 8, 8
    job = compiled(None, "fa-pool,tp=8,fp=8", seq_len=length)
    sent = {
        c["after"]: c["elements_sent_per_gpu"] for c in job.figures["collectives"] if c["collective"] == "send/recv"
    }
    whole = batch * length * heads * d
    assert sorted(sent.values()) == sorted([whole // tp, whole // tp * fp, whole // tp * fp, whole // fp])


def test_conditions_are_normalised_and_one_size_decides(tmp_path: Path) -> None:
    pools = "pools: {a: {mesh: {tp: 2}}, b: {mesh: {cp: 2}, idle: allowed}}\n"
    place = "place:\n- {at: '*', on: a}\n- {at: '*.core', on: b, when: 'seq_len >= 9'}\n"
    (tmp_path / "s.yaml").write_text(f"{pools}{place}- {{at: head, on: b, when: 'seq_len<4'}}\n")
    made = resolve("s.yaml", gpus=None, base=tmp_path)
    assert [str(regime) for regime in regimes(made)] == ["seq_len<=3", "3<seq_len<=8", "seq_len>8"]
    assert [[p.on for p in under(made, regime).places] for regime in regimes(made)] == [["a", "b"], ["a"], ["a", "b"]]
    (tmp_path / "s.yaml").write_text(f"{pools}{place}- {{at: head, on: b, when: 'kv_len < 4'}}\n")
    with pytest.raises(Refused, match="conditions speak of"):
        regimes(resolve("s.yaml", gpus=None, base=tmp_path))
    (tmp_path / "s.yaml").write_text(f"{pools}place: [{{at: '*', on: a, when: 'tokens > 3'}}]")
    with pytest.raises(Refused, match="when"):
        resolve("s.yaml", gpus=None, base=tmp_path)


def compiled(model: str | None, strategy: str, seq_len: int = 64) -> Job:
    request = Request(model, (strategy,), baseline="none", batch_size=8, seq_len=seq_len)
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    return job
