"""Collectives as transfers: right under every check, of the volumes of their algorithms, on links that add up."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from emitted import emitted, with_row
from small_models import MODELS, TP
from small_models import plan as small_plan

from dagc import cli, driver
from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.ir.deployment import Deployment, Row
from dagc.ir.module import annotate, sizes_of
from dagc.ir.ops.move import MergeOp
from dagc.job import PATHS, Job, Request
from dagc.passes.expand import expand
from dagc.passes.loads import Links, loads
from dagc.passes.paths import ALGORITHMS, chosen_of, nodes_of, paths
from dagc.passes.verify import Floats, verify_graph
from dagc.pipeline import lower
from dagc.planning import plan
from dagc.recheck import recheck

NODE = 2
CASES = [
    ("dense", "tp4, more than kv heads"), ("dense", "split kv×tp, one layer gathers"), ("dense", "cp zigzag"),
    ("pattern", "2d tp, hidden cut"), ("pattern", "pp×tp"), ("pattern", "tp-sp strided"), ("moe", "ep"),
    ("moe", "ep by table, two each"), ("moe", "ep×cp"), ("moe", "ep×tp, experts over both"),
    ("hidden", "tokens and experts over both"), ("hidden", "pp×ep×tp-sp"), ("moe", "ulysses"),
]  # fmt: skip


def gathered(deployment: Deployment, path: str) -> list[Row]:
    """The transfers that carry out the collectives after an operator."""
    return [row for row in deployment.rows if row.is_transfer and row.path == path]


@pytest.mark.parametrize("by", [(), ("all-reduce=tree", "all-to-all=pairwise")], ids=["preferred", "others"])
@pytest.mark.parametrize(("model", "name"), CASES)
def test_every_check_holds(model: str, name: str, by: tuple[str, ...]) -> None:
    hubs, logical, sizes = emitted(model, name)
    drawn = paths(hubs, NODE, chosen_of(by))
    assert all(row.move is None or row.is_transfer for row in drawn.rows)
    verdict = verify_graph(drawn, logical, sizes)
    assert len(verdict.layers) == 4
    assert verdict.holds, verdict.diagnostics[0]


@pytest.mark.parametrize("chosen", [{}, {"all-reduce": "tree"}])
@pytest.mark.parametrize("members", [3, 6])
def test_it_holds_where_members_are_no_power_of_two(members: int, chosen: dict[str, str]) -> None:
    attention = replace(MODELS["dense"].attention, heads=6, kv_heads=6)
    logical = build(replace(MODELS["dense"], attention=attention, hidden=12))
    annotate(logical, plan=small_plan(TP, tp=members), sizes=sizes_of(logical).bind(B=6, S=16))
    module = lower(logical.clone())
    drawn = paths(expand(module, "six heads"), 2, chosen)
    assert not verify_graph(drawn, logical, sizes_of(module)).diagnostics


def test_it_holds_in_floats_too() -> None:
    hubs, logical, sizes = emitted("dense", "split kv")
    assert verify_graph(paths(hubs, NODE, {"all-reduce": "tree"}), logical, sizes, Floats).holds


PARTS = {
    "ring": lambda p, n, m: Fraction(p - 1, p),
    "tree": lambda p, n, m: Fraction(p - 1, p),
    "pairwise": lambda p, n, m: Fraction(p - 1, p),
    "two-hops": lambda p, n, m: Fraction(n - 1, n) + Fraction(m - 1, m),
}
"""What a member sends on average of its payload (in an all-reduce twice that): p members on n nodes of m."""


@pytest.mark.parametrize(
    ("collective", "name"), [(collective, name) for collective, known in ALGORITHMS.items() for name in known]
)
def test_what_a_gpu_sends_is_the_algorithms_volume(collective: str, name: str) -> None:
    strategy = {"all-to-all": "ep=8", "all-reduce": "tp=8"}.get(collective, "tp-sp=8")
    job = compiled(strategy, model="moe-16x16", algorithm=(f"{collective}={name}",), node=4)
    assert job.graph is not None
    hubs = {row.path: row for row in compiled(strategy, model="moe-16x16", collectives="hub").graph.rows if row.move}
    for path, hub in hubs.items():
        if hub.move.collective != collective or len(gathered(job.graph, path)) == 0:
            continue
        total = sum(int(row.move.elements) * len(row.places) for row in gathered(job.graph, path))
        members = hub.places.shape[1]
        payload = Fraction(hub.move.elements * members, hub.operator.FACTOR * (members - 1))
        assert total == payload * hub.operator.FACTOR * PARTS[name](8, 2, 4) * 8, path


def test_every_gpu_of_a_ring_sends_what_the_hub_says() -> None:
    job, hubs = compiled("tp=8"), compiled("tp=8", collectives="hub")
    (hub,) = [row for row in hubs.graph.rows if row.move and row.path.endswith("o_proj")]
    sent: dict[int, int] = defaultdict(int)
    rows = gathered(job.graph, hub.path)
    for row in rows:
        for gpu in row.places[:, 0].tolist():
            sent[gpu] += row.move.elements
    assert len(rows) == 14
    assert set(sent.values()) == {hub.move.elements}
    assert sum(isinstance(row.operator, MergeOp) and row.path == hub.path for row in job.graph.rows) == 7


@pytest.mark.parametrize(("strategy", "by"), [
    ("tp=8,pp=2", ()), ("tp=8,pp=2", ("all-reduce=tree",)), ("ep=16", ()), ("ep=16", ("all-to-all=pairwise",)),
])  # fmt: skip
def test_links_carry_what_is_drawn(strategy: str, by: tuple[str, ...]) -> None:
    job = compiled(strategy, model="moe-16x16", algorithm=by)
    carried = np.zeros((16, 4))
    for row in job.graph.rows:
        for sender, receiver in row.places.tolist() if row.is_transfer else ():
            far = 2 * (sender // 8 != receiver // 8)
            size = row.move.bytes * (row.repeat.count if row.repeat else 1)
            carried[sender, far] += size
            carried[receiver, far + 1] += size
    for part in job.figures["links"]["total"]["links"]:
        for first, last in part["gpus"]:
            said = [part[name] for name in ("to switch", "from switch", "to fabric", "from fabric")]
            assert (carried[first : last + 1] == said).all()


def test_links_of_the_main_job_take_as_long_as_their_bytes() -> None:
    links = compiled("ep=16", model="moe-16x16", collectives="hub").figures["links"]
    (body,) = links["bodies"]
    across = 2 * 128 * 2**20 // 2 + 16 * 16 * 4 // 2 // 16 * 2 // 1
    assert body["busiest"]["link"] == "to fabric"
    assert body["busiest"]["bytes"] == pytest.approx(across, abs=64)
    assert body["busiest"]["seconds"] == pytest.approx(body["busiest"]["bytes"] / 50e9)
    assert links["total"]["busiest"]["bytes"] == 16 * body["busiest"]["bytes"]
    assert {each["by"] for each in links["algorithms"]} == {"two-hops"}


def test_sizes_left_symbolic_are_no_load_but_are_drawn() -> None:
    job = compiled("tp=4", batch_size="symbolic")
    assert job.status == "valid"
    assert job.figures["links"]["unknown"]
    sent = {str(row.move.elements) for row in job.graph.rows if row.move and row.path.endswith("o_proj")}
    assert sent == {"1048576*batch_size"}


def test_an_all_reduce_that_no_dimension_divides_is_a_tree() -> None:
    hubs, _, _ = emitted("dense", "tp4, more than kv heads")
    odd = next(row for row in hubs.rows if row.move and row.move.collective == "all-reduce")
    odd = replace(odd, outputs=(replace(odd.outputs[0], local=(1, 1, 3), whole=(1, 1, 3)),))
    found = loads(with_row(hubs, odd, outputs=odd.outputs), Links(8, 1.0, 1.0), {})
    assert found["algorithms"][0]["by"] == "tree"
    assert found["algorithms"][1]["by"] == "ring"


# What is refused.


def test_an_algorithm_that_does_not_suit_is_refused_with_those_that_do() -> None:
    job = compiled("ep=8", model="mixtral-8x22b", algorithm=("all-to-all=two-hops",))
    (found,) = [d for d in job.diagnostics if d.code == "paths"]
    assert "several nodes" in found.problem
    assert found.hint == "pairwise would"


@pytest.mark.parametrize("text", ["all-reduce=pairwise", "all_reduce=ring", "ring", "all-to-all="])
def test_an_unknown_algorithm_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        chosen_of([text])
    assert refused.value.diagnostics[0].code == "paths"
    assert "all-reduce=tree" in (refused.value.diagnostics[0].expected or "")


def test_too_many_transfers_are_drawn_as_hubs_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "MOST_NODES", 500)
    job = compiled("tp=8")
    assert [d.severity for d in job.diagnostics if d.code == "paths"] == ["warning"]
    assert job.drawn.collectives == "hub"
    assert any(row.op == "all_reduce" for row in job.graph.rows)


def test_the_number_of_nodes_is_known_beforehand() -> None:
    hubs, _, _ = emitted("dense", "tp4, more than kv heads")
    expected = len([node for row in paths(hubs, NODE, {}).rows for node in row.places])
    assert 0.5 < nodes_of(hubs, NODE, {}) / expected < 2


# On the command line.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("paths") / "out"
    done = dagc("lower", "mixtral-8x22b", "--strategy", "ep", "--gpus", "8", "--baseline", "tp=8", "--per-expert",
                "--collectives", "paths", "--algorithm", "all-reduce=tree", "--no-svg", "--out", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    return out


def test_a_folder_drawn_as_paths_is_rechecked_from_its_files(folder: Path) -> None:
    assert [each.diagnostics for each in recheck(folder)] == [[], []]
    report = json.loads(next(folder.glob("*/ep.report.json")).read_text())
    how = report["certificate"]["of"]["graph"]
    assert (how["collectives"], how["algorithms"]) == ("paths", {"all-reduce": "tree"})
    assert report["measurements"]["links"]["total"]["busiest"]["link"].endswith("switch")


def test_it_lints_clean(folder: Path) -> None:
    done = dagc("lint", *sorted(folder.glob("*/*.dot")))
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("strategy", ["tp-2d,row=2,col=2", "fsdp=4", "split-kv=4"])
def test_it_lints_clean_whatever_operators_are_called(strategy: str, tmp_path: Path) -> None:
    done = dagc("lower", "llama-3.1-8b", "--strategy", strategy, "--baseline", "none", "--collectives", "paths",
                "--no-svg", "--out", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 0, done.output
    done = dagc("lint", *sorted((tmp_path / "out").glob("*/*.dot")))
    assert done.exit_code == 0, done.output


def test_a_view_that_would_cut_transfers_in_two_is_not_written(folder: Path) -> None:
    entries = json.loads((folder / "manifest.json").read_text())["dags"]
    assert all(entry["representative_dot"] is None and entry["spmd_dot"] for entry in entries)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"collectives": "paths"', '"collectives": "hub"'), ('"all-reduce": "tree"', '"all-reduce": "bush"'),
     ('"gpus_per_node": 8', '"gpus_per_node": 0'), ('"gpus_per_node": 8', '"gpus_per_node": null')],
)  # fmt: skip
def test_a_report_that_says_otherwise_how_it_was_drawn_is_found(folder: Path, old: str, new: str) -> None:
    report = next(folder.glob("*/tp=8.report.json"))
    before = report.read_text()
    at = before.index('"certificate"')
    try:
        assert old in before[at:]
        report.write_text(before[:at] + before[at:].replace(old, new))
        assert any(d.code == "certificate" for each in recheck(folder) for d in each.diagnostics)
    finally:
        report.write_text(before)


def dagc(*args: object) -> Result:
    return CliRunner().invoke(cli.main, [str(arg) for arg in args])


def compiled(strategy: str, model: str = "llama-3.1-8b", node: int | None = None, **more: object) -> Job:
    """One deployment, its collectives drawn as transfers unless `more` says otherwise."""
    request = Request(model, (strategy,), baseline="none", **{"collectives": PATHS, **more})
    (job,) = plan(request)
    if node:
        job = replace(job, cluster=replace(job.cluster, gpus_per_node=node))
    return driver.compile_job(job, request)
