"""devices.json: what every GPU holds adds up to the model, and who it talks to."""

from __future__ import annotations

import pytest

from dagc import driver
from dagc.backends.devices import EACH, devices
from dagc.job import Request
from dagc.planning import plan


def entries(model: str, strategy: str, gpus: int | None = None) -> list[dict]:
    request = Request(model, (strategy,), baseline="none", batch_size=65536, gpus=gpus)
    (job,) = (driver.compile_job(job, request) for job in plan(request))
    assert job.module is not None, job.diagnostics
    assert job.graph is not None, job.diagnostics
    return devices(job.module, job.graph)


@pytest.mark.parametrize(
    ("model", "strategy", "weight", "dim", "size", "copies"),
    [
        ("mixtral-8x7b", "ep=4,tp=2", "layers[0-31].moe.experts.up_proj.weight", "experts", 8, 2),
        ("mixtral-8x7b", "ep=4,tp=2", "layers[0-31].attention.q_proj.weight", "heads", 32, 4),
        ("qwen3-30b-a3b", "tp=8", "layers[0-47].attention.k_proj.weight", "kv_heads", 4, 2),
        ("llama-3.1-8b", "dp=2,fsdp=4", "layers[0-31].ffn.down_proj.weight", "hidden", 4096, 2),
        ("mixtral-8x7b", "dwdp=8", "layers[0-31].moe.experts.up_proj.weight", "experts", 8, 1),
        ("llama-3.1-8b", "tp=4,pp=2", "layers[16-31].ffn.down_proj.weight", "ffn", 14336, 1),
    ],
)
def test_slices_cover_a_weight_as_often_as_there_are_copies(
    model: str, strategy: str, weight: str, dim: str, size: int, copies: int
) -> None:
    slices = [tuple(entry["weights"][weight][dim]) for entry in entries(model, strategy) if weight in entry["weights"]]
    covered = sorted(index for start, stop in slices for index in range(start, stop))
    assert covered == sorted(list(range(size)) * copies)


def test_stages_groups_and_peers() -> None:
    found = entries("llama-3.1-8b", "dp=2,tp=2,pp=2")
    assert [entry["stage"] for entry in found] == ["stage0"] * 4 + ["stage1"] * 4
    assert (found[2]["layers"], found[6]["layers"]) == (["0-15"], ["16-31"])
    assert (found[2]["groups"], found[2]["peers"]) == ({"tp": [2, 3]}, {"sends to": 6})
    assert found[6]["peers"] == {"receives from": 2}


def test_pools_of_other_sizes_have_many_peers() -> None:
    found = entries("mixtral-8x7b", "afd", gpus=12)
    assert [entry["stage"] for entry in found] == ["attention"] * 8 + ["experts"] * 4
    assert found[0]["peers"] == {"sends to": [8, 9, 10, 11], "receives from": [8, 9, 10, 11]}
    assert found[8]["peers"] == {"sends to": list(range(8)), "receives from": list(range(8))}


def test_experts_of_each_gpu() -> None:
    assert [entry["experts"] for entry in entries("mixtral-8x7b", "ep=4")] == [[0, 2], [2, 4], [4, 6], [6, 8]]


def test_very_many_gpus_share_entries() -> None:
    found = entries("mixtral-8x7b", f"dp={EACH},tp=2")
    assert [entry["gpu"] for entry in found] == [f"0-{2 * EACH - 2}/2", f"1-{2 * EACH - 1}/2"]
