"""Folds: meshes over the same GPUs are made of common sub-axes, or are refused with the sizes that work."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import MODELS

from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.frontends.strategy import resolve
from dagc.ir.dialect import parse_module
from dagc.ir.module import annotate, plan_of
from dagc.ir.plan import Plan, named_axes
from dagc.pipeline import text_of

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
