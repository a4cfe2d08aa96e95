"""Folds and copies: meshes over the same GPUs are made of common sub-axes, or are refused with what would work."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import MODELS, SIZES

from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.frontends.strategy import resolve
from dagc.ir.dialect import parse_module
from dagc.ir.module import annotate, plan_of, sizes_of
from dagc.ir.plan import Plan, named_axes
from dagc.passes.expand import expand
from dagc.passes.verify import verify
from dagc.pipeline import lower, text_of

FOLDED = """\
mesh: {tpa: 4, kvp: 2}
folds: {ffn: {ep: 2, tpf: gpus}}
rules:
  - {at: "*", cut: {tpa: {seq_len: strided}}}
  - {at: "*.ffn", cut: {tpf: ffn, ep: ~}}
"""


def resolved(text: str, folder: Path, mesh: str | None = None) -> Plan:
    (folder / "s.yaml").write_text(text)
    return resolve("s.yaml", gpus=None, base=folder, mesh=mesh)


def test_axes_are_made_of_common_ones(tmp_path: Path) -> None:
    plan = resolved(FOLDED, tmp_path)
    assert [(axis.name, axis.size) for axis in plan.axes] == [("tpa_0", 2), ("tpa_1", 2), ("kvp", 2)]
    assert plan.folds == (
        (("tpa", ("tpa_0", "tpa_1")), ("kvp", ("kvp",))),
        (("ep", ("tpa_0",)), ("tpf", ("tpa_1", "kvp"))),
    )
    assert [(rule.axis, rule.cuts, rule.orders) for rule in plan.rules] == [
        ("tpa_0", ("seq_len",), (("seq_len", "strided 2"),)),
        ("tpa_1", ("seq_len",), (("seq_len", "strided"),)),
        ("tpa_1", ("ffn",), ()),
        ("kvp", ("ffn",), ()),
        ("tpa_0", (), ()),
    ]


def test_axes_are_called_after_the_mesh_that_has_them_whole(tmp_path: Path) -> None:
    plan = resolved(FOLDED, tmp_path)
    assert named_axes(("tpa_0", "tpa_1"), plan) == ("tpa",)
    assert named_axes(("tpa_1", "kvp"), plan) == ("tpf",)
    assert named_axes(("tpa_0",), plan) == ("ep",)
    assert named_axes(("tpa_0", "tpa_1", "kvp"), plan) == ("tpa", "kvp")
    assert named_axes(("tpa_1.0", "tpa_1.1"), plan) == ("tpa_1",)


def test_a_folded_plan_reads_as_it_is_written(tmp_path: Path) -> None:
    module = build(MODELS["dense"])
    annotate(module, plan=resolved(FOLDED, tmp_path))
    again = plan_of(parse_module(text_of(module)))
    assert again is not None
    assert again.folds == plan_of(module).folds  # type: ignore[union-attr]


BAD = {
    "folds: {ffn: {ep: 4, tpf: 4}}": ("is not over the GPUs of its mesh, tpa=4 × kvp=2 = 8", "ep=4 × tpf=4"),
    "folds: {ffn: {ep: gpus, tpf: gpus}}": ("is not over the GPUs of its mesh", "ep=gpus × tpf=gpus"),
}


@pytest.mark.parametrize("fold", BAD)
def test_a_fold_of_other_gpus_is_refused(fold: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        resolved(f"mesh: {{tpa: 4, kvp: 2}}\n{fold}\nrules: []\n", tmp_path)
    (found,) = refused.value.diagnostics
    assert BAD[fold][0] in found.problem
    assert found.actual == BAD[fold][1]


def test_meshes_without_common_sub_axes_are_refused_with_sizes_that_work(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no sub-axes in common") as refused:
        resolved("mesh: {a: 2, b: 6}\nfolds: {other: {c: 3, d: 4}}\n", tmp_path)
    (found,) = refused.value.diagnostics
    assert found.expected == "c=1 × d=12; c=2 × d=6; c=4 × d=3; c=6 × d=2"


def test_a_fold_of_a_pool_and_sizes_from_outside(tmp_path: Path) -> None:
    text = "pools: {a: {mesh: {dp: 2}}, e: {mesh: {ep: 4}, folds: {inner: {x: 2, y: gpus}}}}\nplace: [{at: '*', on: a}]"
    plan = resolved(text, tmp_path)
    assert [pool.axes for pool in plan.pools] == [("dp",), ("ep_0", "ep_1")]
    assert plan.gpus == 6
    assert resolved(text, tmp_path, "x=4").folds[1] == (("x", ("ep",)), ("y", ()))
    assert resolved(text, tmp_path, "ep=8").folds[1] == (("x", ("ep_0",)), ("y", ("ep_1",)))


COPIED = """\
mesh: {dp: 2, tp: 8}
rules:
  - {at: "*", cut: {dp: batch_size, tp: [heads, ffn]}}
  - {at: "*.attention", cut: {tp: heads}, replicate: 2}
"""


def test_copies_of_a_cut_lie_along_a_sub_axis(tmp_path: Path) -> None:
    plan = resolved(COPIED, tmp_path)
    assert [(axis.name, axis.size) for axis in plan.axes] == [("dp", 2), ("tp_0", 4), ("tp_1", 2)]
    assert [(rule.at, rule.axis, rule.cuts) for rule in plan.rules[1:]] == [
        (("*",), "tp_0", ("heads", "ffn")),
        (("*",), "tp_1", ("heads", "ffn")),
        (("*.attention",), "tp_0", ("heads",)),
        (("*.attention",), "tp_1", ()),
    ]
    assert named_axes(("tp_0", "tp_1"), plan) == ("tp",)


def test_what_is_cut_in_copies_is_proven(tmp_path: Path) -> None:
    undivided = build(MODELS["dense"])
    annotate(undivided, sizes=sizes_of(undivided).bind(**SIZES))
    module = undivided.clone()
    annotate(module, plan=resolved(COPIED.replace("tp: 8", "tp: 4"), tmp_path))
    module = lower(module)
    assert "heads = 4 / tp_0, d_k" in text_of(module)
    assert "ffn = 12 / tp_0 / tp_1" in text_of(module)
    assert not verify(module, undivided, expand(module, "dense"), sizes_of(module)).diagnostics


@pytest.mark.parametrize(
    ("rules", "says", "code"),
    [
        ("{cut: {tp: heads}, replicate: 3}", "tp = 8 GPUs do not hold 3 copies", "mesh"),
        ("{cut: {tp: {heads: uneven}}, replicate: 2}", "cuts into parts that are not equal", "order"),
        ("{store: {tp: hidden}, replicate: 2}", "said of what a rule cuts", "rule"),
        ("{cut: {tp: heads}, replicate: 0}", "replicate", "wrong-type"),
    ],
)
def test_copies_that_cannot_be_are_refused(rules: str, says: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=says) as refusal:
        resolved(f'{COPIED.rpartition("{at")[0]}{{at: "*", {rules[1:]}\n', tmp_path)
    assert [found.code for found in refusal.value.diagnostics] == [code]


def test_copies_on_several_places_divide_one_another(tmp_path: Path) -> None:
    six = COPIED.replace("tp: 8", "tp: 6").replace("replicate: 2", "replicate: 3")
    more = '  - {at: "*.ffn", cut: {tp: ffn}, replicate: 2}\n'
    with pytest.raises(Refused, match="have no sub-axes in common"):
        resolved(six + more, tmp_path)
