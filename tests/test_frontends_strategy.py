"""The one grammar of strategies, and strategy files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagc.diagnostics import Diagnostic, Refused
from dagc.frontends.strategy import resolve, strategies
from dagc.ir.plan import Plan


def axes(plan: Plan) -> str:
    return ",".join(f"{axis.name}={axis.size}" for axis in plan.axes)


def refused(text: str, **options: Any) -> tuple[Diagnostic, ...]:
    with pytest.raises(Refused) as caught:
        resolve(text, **{"gpus": None, **options})
    return caught.value.diagnostics


@pytest.mark.parametrize(
    ("text", "gpus", "mesh", "name", "expected"),
    [
        ("tp", 8, None, "tp", "tp=8"),
        ("EP", 16, None, "ep", "ep=16"),
        ("tp=8,pp=2", 16, None, "tp=8,pp=2", "pp=2,tp=8"),
        ("tp8×pp2", None, None, "tp=8,pp=2", "pp=2,tp=8"),
        ("TP8xPP2", None, None, "tp=8,pp=2", "pp=2,tp=8"),
        ("dp2×tp4", None, None, "dp=2,tp=4", "dp=2,tp=4"),
        ("dp=2, tp=4, pp=2", None, None, "dp=2,tp=4,pp=2", "pp=2,dp=2,tp=4"),
        ("tp-sp=8,pp=2", None, None, "tp-sp=8,pp=2", "pp=2,tp=8"),
        ("ulysses=4", None, None, "ulysses=4", "sp=4"),
        ("sp=4", None, None, "sp=4", "sp=4"),
        ("ep,tp=2", 16, None, "ep,tp=2", "ep=8,tp=2"),
        ("ep-tp", 16, None, "ep-tp", "ep=8,tp=2"),
        ("two-level", 16, None, "two-level", "hg=8,ds=2"),
        ("two-level=16", None, None, "two-level=16", "hg=8,ds=2"),
        ("ds=4,hg=4", None, None, "ds=4,hg=4", "hg=4,ds=4"),
        ("ep", None, "ep=8,tp=2", "ep=8,tp=2", "ep=8,tp=2"),
        ("ep", 16, "tp=2", "ep,tp=2", "ep=8,tp=2"),
        ("pp", None, "pp=2,tp=8", "pp=2,tp=8", "pp=2,tp=8"),
        ("tp-sp", None, "tp=8,pp=2", "tp-sp=8,pp=2", "pp=2,tp=8"),
        ("ep-tp", None, "ep=4,tp=4", "ep-tp(ep=4,tp=4)", "ep=4,tp=4"),
        ("tp=1", 1, None, "tp=1", "tp=1"),
    ],
)
def test_what_a_text_stands_for(text: str, gpus: int | None, mesh: str | None, name: str, expected: str) -> None:
    plan = resolve(text, gpus=gpus, mesh=mesh)
    assert (plan.name, axes(plan)) == (name, expected)


def test_products_concatenate_rules() -> None:
    plan = resolve("ep=8,tp=2", gpus=16)
    found = [(rule.at, rule.axis, rule.cuts, rule.where) for rule in plan.rules]
    assert found == [
        (("*",), "ep", ("batch_size",), "strategies/ep.yaml:4"),
        (("*.experts",), "ep", ("experts",), "strategies/ep.yaml:5"),
        (("*",), "tp", ("heads", "ffn", "vocab"), "strategies/tp.yaml:4"),
    ]
    assert plan.rules == resolve("ep-tp", gpus=16).rules


def test_how_weights_are_stored_is_said_apart() -> None:
    plan = resolve("hsdp,dp=2,fsdp=2", gpus=4)
    assert [(rule.axis, rule.cuts) for rule in plan.rules] == [("dp", ("batch_size",)), ("fsdp", ("batch_size",))]
    assert [(rule.axis, rule.cuts[:2]) for rule in plan.stores] == [("fsdp", ("hidden", "ffn"))]


def test_a_tilde_lifts_an_axis() -> None:
    assert resolve("two-level", gpus=4).rules[-1].cuts == ()


def test_stages() -> None:
    for text, layers in (("uneven", "uneven"), ("24,24,23,23", (24, 24, 23, 23))):
        stages = resolve("pp", gpus=4, stages=text).stages
        assert stages
        assert (stages.axis, stages.layers) == ("pp", layers)
    for strategy, text in (("pp=4", "24,24"), ("pp=2", "3,0"), ("pp=2", "odd"), ("tp=2", "even")):
        assert refused(strategy, stages=text)[0].code == "stages"


@pytest.mark.parametrize(
    ("text", "options", "code", "says"),
    [
        ("ep", {}, "mesh", "--gpus"),
        ("ep,tp", {"gpus": 16}, "mesh", "--mesh tp=N"),
        ("ep-tp", {"gpus": 15}, "mesh", "14, 16"),
        ("tp=8,pp=4", {"gpus": 16}, "OUT6", "pp=2,tp=8"),
        ("tp=8", {"gpus": 16}, "OUT6", "dp=2,tp=8"),
        ("tp=3", {"gpus": 16}, "OUT6", "13 GPUs would be idle"),
        ("tp=2,tp=4", {}, "mesh", "twice"),
        ("tp=2,tp-sp=4", {}, "mesh", "tp and tp-sp"),
        ("tp=0", {}, "mesh", "tp=8,pp=2"),
        ("tp=-1", {}, "mesh", "tp=8,pp=2"),
        ("tp=٣", {}, "mesh", "tp=8,pp=2"),
        ("tp=999999999999,pp=9", {}, "mesh", "tp=8,pp=2"),
        ("tp=1073741824,pp=9", {}, "mesh", "at most"),
        ("two-level=15", {}, "mesh", "multiple of 2"),
        ("epp", {}, "unknown-strategy", "did you mean"),
        ("zz=3,tp=8", {}, "unknown-strategy", "'zz'"),
        ("", {}, "unknown-strategy", "known"),
        ("a\0b", {}, "unknown-strategy", "known"),
        ("\ud800", {}, "unknown-strategy", "known"),
        ("x" * 10_000, {}, "unknown-strategy", "known"),
        ("nowhere.yaml", {}, "file", "no such file"),
        ("tp", {"gpus": 0}, "mesh", "0 GPUs"),
        ("tp", {"gpus": 8, "mesh": "8"}, "mesh", "tp=8,pp=2"),
    ],
)
def test_what_is_refused_says_what_would_work(text: str, options: dict[str, Any], code: str, says: str) -> None:
    (problem,) = refused(text, **options)
    assert problem.code == code
    assert says in str(problem)


def test_a_file_keeps_the_order_of_its_mesh(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mesh: {tp: 2, far: gpus}\nrules: [{at: '*', cut: {far: batch_size}}]\n")
    assert axes(resolve("mine.yaml", gpus=8, base=tmp_path)) == "tp=2,far=4"
    plan = resolve(str(tmp_path / "mine.yaml"), gpus=16, mesh="pp=2")
    assert (plan.name, axes(plan)) == ("mine,pp=2", "pp=2,tp=2,far=4")


def test_inline_strategies_come_first() -> None:
    body = {"mesh": {"ep": 4}, "rules": [{"at": ["*.experts"], "cut": {"ep": ["experts"]}}]}
    plan = resolve("ep", gpus=4, inline={"ep": body})
    assert [rule.where for rule in plan.rules] == ["ep"]
    assert axes(resolve("mine2=4,tp=2", gpus=8, inline={"mine2": {**body, "mesh": {"ep": "gpus"}}})) == "ep=4,tp=2"


def test_everything_wrong_with_a_file_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "mesh: {ep: gpus}\n"
        "uses: [epp, tp]\n"
        "rules:\n"
        "  - {at: '*', cut: {tp: heads}}\n"
        "  - {at: '*', cut: {ep: expert}}\n"
        "stages: {axis: pp}\n"
    )
    problems = refused("bad.yaml", base=tmp_path)
    file = tmp_path / "bad.yaml"
    assert [(d.code, d.where) for d in problems] == [
        ("rule", f"{file}:4"),
        ("rule", f"{file}:5"),
        ("rule", f"{file}:6"),
        ("unknown-strategy", f"{file}:2"),
        ("rule", f"{file}:2"),
    ]
    assert problems[1].hint == "did you mean experts?"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("rules: []", "missing-key"),
        ("mesh: {ep: gpus}\nrulez: []", "unknown-key"),
        ("mesh: {ep: 0}", "wrong-type"),
        ("mesh: {ep: yes}", "wrong-type"),
        ("mesh: {Ep.x: 2}", "wrong-type"),
        ("mesh: {ep: 2}\nrules: [{at: 'a..b', cut: {ep: heads}}]", "wrong-type"),
        ("mesh: {ep: 2}\nrules: [{at: [], cut: {ep: heads}}]", "wrong-type"),
        ("mesh: {ep: 2}\nrules: [{at: '*', cut: {ep: 3}}]", "wrong-type"),
        ("mesh: {ep: 2}\nrules: [{at: '*', store: {ep: {ffn: zigzag}}}]", "wrong-type"),
        ("mesh: {ep: 2}\nrules: [{at: '*', store: {ep: fnn}}]", "rule"),
        ("mesh: {ep: 2}\nrules: [{at: '*', store: {dp: ffn}}]", "rule"),
        ("mesh: {ep: 2}\nrules: [{at: '*'}]", "rule"),
        ("mesh: {ep: 2}\nrules: [{at: '*', cut: {ep: heads}, how: ring}]", "unknown-key"),
        ("mesh: {ep: 2}\nstages: {axis: ep, layers: [1, -1]}", "wrong-type"),
        ("[]", "wrong-type"),
    ],
)
def test_files_that_are_no_strategy(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    assert {d.code for d in refused("bad.yaml", base=tmp_path)} == {code}


def test_a_stage_list_of_a_file_must_fit_its_axis(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("mesh: {pp: gpus}\nstages: {axis: pp, layers: [3, 5]}\n")
    assert resolve("s.yaml", gpus=2, base=tmp_path).stages
    assert refused("s.yaml", gpus=4, base=tmp_path)[0].code == "stages"


def test_every_strategy_says_what_it_is() -> None:
    names = [s.name for s in strategies() if s.about and s.needs]
    assert names == [s.name for s in strategies()]
    known = {"cp", "cp-zigzag", "dp", "ep", "ep-replicated", "ep-tp", "pp", "tp", "tp-sp", "two-level", "ulysses"}
    assert known <= set(names)
