"""Which deployments a request asks for, and what is assumed where it does not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagc.diagnostics import Refused
from dagc.job import Job, Request
from dagc.planning import plan

DESCRIPTION = """\
model: {{name: m, hidden: 64, layers: {layers}, heads: 32, d_k: 2, ffn: 128, activation: silu, gated: true}}
cluster: {{gpu: H100, gpus: {gpus}, gpus_per_node: {node}}}
strategies: [tp]
"""


@pytest.mark.parametrize(
    ("gpus", "node", "layers", "baseline", "stages"),
    [
        (16, 8, 8, "tp=8,pp=2", "even"),
        (8, 8, 8, "tp=8", None),
        (4, 8, 8, "tp=4", None),
        (12, 8, 9, "tp=4,pp=3", "even"),
        (12, 8, 8, "tp=4,pp=3", "uneven"),
        (1, 8, 8, "tp=1", None),
    ],
)
def test_the_usual_baseline(
    tmp_path: Path, gpus: int, node: int, layers: int, baseline: str, stages: str | None
) -> None:
    (tmp_path / "m.yaml").write_text(DESCRIPTION.format(gpus=gpus, node=node, layers=layers))
    first = plan(Request(str(tmp_path / "m.yaml")))[0]
    assert (first.role, first.strategy) == ("baseline", baseline)
    assert first.plan is not None
    assert (first.plan.stages and first.plan.stages.layers) == stages
    assert any(text.startswith(f"baseline = {baseline}") for text in first.assumed)


def jobs(*strategies: str, **more: object) -> list[Job]:
    return plan(Request("mixtral-8x7b", strategies, **more))  # type: ignore[arg-type]


def test_one_batch_for_all_deployments_of_a_model() -> None:
    found = jobs("ep=8", "dp=2,tp=4", "tp=8")
    assert [job.sizes for job in found] == [{"B": 64, "S": 1024}] * 4
    assert any("data-parallel size 8" in text for text in found[0].assumed)


def test_given_sizes_are_taken_and_symbolic_ones_left_free() -> None:
    assert jobs("ep=8", batch_size=16, seq_len="symbolic")[0].sizes == {"B": 16, "S": None}


def test_no_baseline_when_none_is_wanted() -> None:
    assert [job.role for job in jobs("ep=8", baseline="none")] == ["proposed"]


def test_the_built_in_experiment() -> None:
    found = plan(Request(strategies=("ep",)))
    assert [(job.strategy, job.role, job.cluster.gpus) for job in found] == [
        ("tp=8,pp=2", "baseline", 16),
        ("ep", "proposed", 16),
    ]
    assert found[0].sizes == {"B": 128, "S": 1024}


def test_stages_bind_where_there_are_stages() -> None:
    staged = [job.plan.stages for job in jobs("ep=4", "tp=2,pp=2", stages="17,15") if job.plan]
    assert [stages.layers for stages in staged if stages] == [(17, 15)]
    with pytest.raises(Refused, match="no stages"):
        jobs("ep=4", stages="17,15", baseline="none")


def test_a_strategy_that_cannot_be_planned_is_a_refused_job() -> None:
    found = jobs("ep=8", "nonsense")
    assert [(job.strategy, job.status) for job in found][1:] == [("ep=8", "valid"), ("nonsense", "refused")]
