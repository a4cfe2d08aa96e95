"""Pools of GPUs: which GPUs each has, what its axes divide them into, and its text."""

from __future__ import annotations

import pytest

from dagc.ir.dialect import parse_module
from dagc.ir.mesh import HOST, Grid, Mesh
from dagc.ir.module import mesh_of
from dagc.ir.types import MeshAttr

APART = Mesh((Grid("attention", (("dp", 2), ("tp", 2))), Grid("experts", (("ep", 3),), 4)))
AMIDST = Mesh.of((("dp", 2), ("pp", 2), ("tp", 2)), "pp")


def test_pools_have_gpus_and_axes_of_their_own() -> None:
    assert APART.pools == ("attention", "experts")
    assert APART.gpus == 7
    assert APART.axes == ("dp", "tp", "ep")
    assert APART.axes_of("experts") == ("ep",)
    assert APART.axes_of(HOST) == ()
    assert APART.ids("experts").tolist() == [4, 5, 6]
    assert APART.groups("attention", ("dp",)).tolist() == [[0, 2], [1, 3]]
    assert APART.coordinate("attention", ("tp", "dp")).tolist() == [0, 2, 1, 3]
    assert APART.size(("dp", "ep")) == 6


def test_stages_are_pools_amidst_each_other() -> None:
    assert AMIDST.pools == ("stage0", "stage1")
    assert AMIDST.gpus == 8
    assert AMIDST.axes == ("dp", "tp")
    assert AMIDST.ids("stage1").tolist() == [[2, 3], [6, 7]]
    assert AMIDST.groups("stage1", ("dp",)).tolist() == [[2, 6], [3, 7]]


def test_without_axes_there_is_one_gpu() -> None:
    assert Mesh().gpus == 1
    assert Mesh().ids("").tolist() == [0]
    assert Mesh.of((("pp", 2),), "pp").ids("stage1").tolist() == [1]


@pytest.mark.parametrize("mesh", [Mesh.of(()), APART, AMIDST, Mesh.of((("pp", 2), ("tp", 2)), "pp")])
def test_a_mesh_reads_as_it_is_written(mesh: Mesh) -> None:
    module = parse_module(f"builtin.module attributes {{dag.mesh = {MeshAttr(mesh)}}} {{}}")
    assert mesh_of(module) == mesh
