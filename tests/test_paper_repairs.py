"""What is impossible as a paper writes it: the nearest plan that dagc finds possible, or refused if strict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagc.diagnostics import Refused
from dagc.frontends.paper.facts import Fact, Method, Source, Verdict
from dagc.frontends.paper.formats import document_of
from dagc.frontends.paper.lexicon.finding import facts_of
from dagc.frontends.paper.methods.finding import Found, found_in
from dagc.frontends.paper.methods.possible import possible
from dagc.frontends.paper.methods.repairing import Repaired, repaired
from dagc.frontends.paper.settling.settle import settle
from dagc.trying import tried

MODEL: dict[str, Any] = {
    "name": "small",
    "layers": 12,
    "hidden": 4096,
    "heads": 32,
    "d_k": 128,
    "ffn": 16384,
    "activation": "gelu",
    "gated": False,
    "rope": False,
}


def setting(gpus: int, batch: int = 8, **cluster: Any) -> dict[str, Any]:
    return {
        "models": [MODEL],
        "cluster": {"gpus": gpus, "gpus_per_node": 8, **cluster},
        "sizes": {"batch_size": batch, "seq_len": 1024},
    }


def method(strategy: str, body: dict[str, Any] | None = None, role: str = "proposed") -> Method:
    return Method(strategy, role, strategy, (Source(7, "as it is written"),), body)


def mended(strategy: str, where: dict[str, Any], **more: Any) -> Repaired:
    return repaired(method(strategy), where, tried, **more)


def test_what_is_possible_stays() -> None:
    assert mended("tp=8,pp=2", setting(16)) == Repaired(method("tp=8,pp=2"))


def test_heads_that_do_not_divide() -> None:
    heads = Fact("heads", 32, Source(3, "32 heads"))
    made = mended("tp=12", setting(12), facts=[heads])
    (remark,) = made.remarks
    assert remark.verdict is Verdict.FIXED
    assert "32 / 12 = 2.667 heads" in remark.arithmetic
    assert remark.sources == (Source(7, "as it is written"), heads.source)
    assert any("tp=8 on other GPUs (32 / 8 = 4 heads" in other for other in remark.instead)
    assert any("--reading repair=pp=3,tp=4" in other for other in remark.instead)
    assert not tried(
        {**setting(12), "baseline": "none", "strategies": [{made.method.strategy: made.method.body}]}
    ).problems


def test_a_repair_is_picked() -> None:
    made = mended("tp=12", setting(12), picked={"repair": "pp=3,tp=4"})
    assert made.method.strategy == "pp=3,tp=4"
    assert made.point is not None
    assert made.point.chosen == "pp=3,tp=4"


@pytest.mark.parametrize(
    ("strategy", "gpus", "batch", "repair"),
    [
        ("tp=8,pp=2", 32, 8, "dp=2,tp=8,pp=2"),  # parts are fewer than GPUs: copies of it
        ("tp=8,pp=2", 8, 8, "tp=4,pp=2"),  # more than GPUs
        ("ring=12", 12, 1, "pp=3,ring=4"),  # tokens do not divide, and there is one sequence
        ("dp=16", 16, 96, "dp=16"),  # nothing is wrong
    ],
)
def test_parts_become_as_many_as_gpus(strategy: str, gpus: int, batch: int, repair: str) -> None:
    assert mended(strategy, setting(gpus, batch)).method.strategy == repair


def test_a_batch_that_does_not_divide_is_dealt_out_unevenly() -> None:
    made = mended("dp=16", setting(16, batch=100))
    assert made.method.body is not None
    assert made.method.body["rules"] == [{"at": "*", "cut": {"dp": {"batch_size": "uneven"}}}]
    assert made.remarks[0].instead[-2:] == ("a batch of 96: --batch-size 96", "a batch of 112: --batch-size 112")


def test_weights_that_do_not_fit_a_cache_do_not_claim_to() -> None:
    stages = {"axis": "pp", "layers": "fit", "capacity": "cache", "of": ["weights"], "how": "balanced"}
    made = repaired(method("in-cache", {"mesh": {"pp": 4}, "stages": stages}), setting(4, cache="50 MB"), tried)
    assert made.method.body == {"mesh": {"pp": 4}, "stages": {"axis": "pp", "layers": "uneven"}}
    (remark,) = made.remarks
    assert "at most 50 MB" in remark.arithmetic
    assert any("cut layers too: with pp=" in other for other in remark.instead)


def test_strict_refuses() -> None:
    with pytest.raises(Refused, match="indivisible"):
        mended("tp=12", setting(12), strict=True)


def test_nothing_near_it_is_possible() -> None:
    body = {"mesh": {"tp": 2}, "rules": [{"at": "*", "cut": {"tp": "no_such"}}]}
    made = repaired(method("odd", body), setting(2), tried)
    assert made.method.body == body
    assert "so is what is near it" in made.remarks[0].text


def read(tmp_path: Path, text: str, strict: bool = False) -> Found:
    """Methods of a paper in Markdown as they are possible on its cluster."""
    path = tmp_path / "paper.md"
    path.write_text(text)
    document = document_of(path)
    facts = facts_of(document)
    found = found_in(document, facts)
    described = settle(document, facts, found.methods).description
    where = {key: described[key] for key in ("models", "cluster", "sizes") if key in described}
    return possible(found, document, facts, where, tried, strict=strict)


EXPERTS = """# Wide experts

## Method
One expert per GPU: tokens are dispatched to the GPU of their expert and combined.

## Setup
* Model: 4 transformer layers, hidden size 1024, 8 heads of dimension 128, {experts} experts, top-2 routing, expert
  hidden size 2048 (two matrices, GELU).
* Input: 64 sequences of 512 tokens in BF16.
* Cluster: {gpus} GPUs. The baseline is TP=8, PP=2.
"""


def test_more_experts_than_gpus(tmp_path: Path) -> None:
    found = read(tmp_path, EXPERTS.format(experts=64, gpus=16))
    (fixed,) = [r for r in found.remarks if r.verdict is Verdict.FIXED]
    assert fixed.arithmetic == "64 experts / 1 a GPU = 64 GPUs, there are 16: 64 / 16 = 4 a GPU"
    assert fixed.instead == ("as many experts a GPU as written: --gpus 64",)
    assert [m.strategy for m in found.methods] == ["tp=8,pp=2", "ep=16"]
    with pytest.raises(Refused, match="64 experts"):
        read(tmp_path, EXPERTS.format(experts=64, gpus=16), strict=True)


def test_fewer_experts_than_gpus(tmp_path: Path) -> None:
    found = read(tmp_path, EXPERTS.format(experts=8, gpus=16))
    assert [m.strategy for m in found.methods] == ["tp=8,pp=2", "dp=2,ep=8"]
    assert [r.verdict for r in found.remarks].count(Verdict.FIXED) == 1


LAYERS = """# Layers on chip

## Method
Consecutive groups of layers whose weights, activations and buffers fit the cache of an accelerator stay resident there.
The balanced cut is deployed.

## Setup
Sixteen accelerators with 900 MB of cache each. 32 layers, hidden size 2048, 16 heads of 128, feed-forward width 8192
with a ReLU, FP16. A batch is 8 sequences of 1024 tokens. The baseline is TP=8, PP=2.

**A second platform.** We also tried sixteen H100 GPUs and used their 50 MB L2 cache as the budget.
"""


def test_what_other_cuts_and_other_platforms_would_do(tmp_path: Path) -> None:
    flags = {r.about: r for r in read(tmp_path, LAYERS).remarks if r.verdict is Verdict.FLAG}
    assert "11 stages hold the layers" in flags["cut"].text
    assert "5 GPUs idle" in flags["cut"].text
    platform = flags["second platform"]
    assert "268 MB, at most 50 MB" in platform.arithmetic
    assert any("48.2 MB (on 512 GPUs)" in other for other in platform.instead)
