"""Papers read as a stranger reads them: in four manners each of three papers, papers that lack something or hold too
much, and published styles. What their keys compute is walked by test_*_key.py; here is what a paper is read to.

`papers/*/anew.md` are the papers of the keys in other words; beside them the same facts as tables, bullets, prose and
LaTeX. `cases` are papers that need care, `styles` papers as they are published.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from key_walk import DATA, experiments, key_of

from dagc import cli, papers
from dagc.diagnostics import Refused
from dagc.frontends.model import Experiment, Model
from dagc.frontends.paper.facts import Reading, Remark, Verdict
from dagc.frontends.paper.settling.published import published_facts
from dagc.frontends.paper.writing import yaml_of
from dagc.job import Job, Request
from dagc.planning import planned

PAPERS = DATA / "papers"
KEYS = ("large_ep", "layerwise_cache", "two_level")
MANNERS = [
    pytest.param(name, path, id=f"{name}-{path.name}") for name in KEYS for path in sorted((PAPERS / name).iterdir())
]


def read(path: Path) -> Reading:
    return papers.read(path, papers.Asked())


def jobs_of(reading: Reading) -> list[Job]:
    return planned(papers.experiments_of(yaml_of(reading), PAPERS), Request())


def remarks(reading: Reading, verdict: Verdict) -> dict[str, Remark]:
    return {remark.about.split(": ")[-1]: remark for remark in reading.remarks if remark.verdict is verdict}


def bare(model: Model) -> Model:
    """A model without its name, and without where things were read."""
    return replace(model, name="", where="", assumed=())


# The same experiment, however it is written.


@pytest.mark.parametrize(("name", "path"), MANNERS)
def test_every_manner_reads_to_the_experiment_that_a_person_wrote(name: str, path: Path) -> None:
    (written,), (found,) = experiments(name, "yaml"), papers.experiments_of(yaml_of(read(path)), PAPERS)
    assert [bare(model) for model in found.models] == [bare(model) for model in written.models]
    assert found.cluster == written.cluster
    assert found.baseline == written.baseline
    assert (found.batch_size, found.seq_len, found.kv_len) == (written.batch_size, written.seq_len, written.kv_len)
    assert plans(found) == plans(written)


def plans(experiment: Experiment) -> list[object]:
    """Axes, stages and rules of what is proposed."""
    jobs = [job for job in planned((experiment,), Request()) if job.role == "proposed" and job.plan]
    return [[(axis.name, axis.size) for axis in job.plan.axes if axis.size > 1] for job in jobs if job.plan]


# What the keys expect to be declared, and to be flagged.

DECLARED = {
    "vocabulary": ("vocab", "hidden states go in and come out"),
    "heads split": ("heads", "layers are not cut"),
    "micro-batches": ("micro-batches", "1 micro-batch"),
    "normalisation type/position": ("norm", "pre-norm"),
    "MLP partition": ("feed-forward network", "column and row parallel over the same GPUs, one all-reduce"),
    "output projection": ("output projection", "column parallel after the concatenations"),
}
FLAGGED = {
    "softmax_over_slice": ("another function than multi-head attention", "32 × 2 = 64 heads"),
    "scale": ("1/sqrt(d_k) is taken", "1/sqrt(128)"),
    "input_broadcast": ("replicated once at the start",),
    "pipeline_idle": ("one stage works at a time",),
    "greedy_vs_balanced": ("11 stages hold the layers, but pp = 16: 5 GPUs idle",),
    "h100_l2": ("not possible on the", "268 MB", "nothing is drawn there"),
}


@pytest.mark.parametrize("name", KEYS)
def test_every_assumption_of_the_key_is_declared(name: str) -> None:
    reading = read(PAPERS / name / "anew.md")
    said, asked = remarks(reading, Verdict.ASSUMED), remarks(reading, Verdict.CHOSEN)
    for expected in key_of(name).get("assumptions_expected", []):
        if expected["behaviour"] == "ask if interactive, else declare":
            assert "exactness" in asked
        else:
            about, words = DECLARED[expected["field"]]
            assert words in said[about].text


@pytest.mark.parametrize("name", KEYS)
def test_every_flag_of_the_key_is_raised(name: str) -> None:
    reading = read(PAPERS / name / "anew.md")
    said = [f"{remark.text} {remark.arithmetic}" for remark in reading.remarks if remark.verdict is Verdict.FLAG]
    for expected in key_of(name).get("flags_expected", []):
        words = FLAGGED[expected["id"]]
        assert any(all(word in text for word in words) for text in said), expected["id"]


# Papers that need care.


def case(name: str) -> Path:
    return PAPERS / "cases" / f"{name}.md"


def deployments(name: str) -> list[tuple[str, str, int]]:
    """Model, role and GPUs of every deployment."""
    return [(job.model.name, job.role, job.plan.gpus if job.plan else 0) for job in jobs_of(read(case(name)))]


def test_two_models_on_two_clusters_are_eight_deployments() -> None:
    found = deployments("two_by_two")
    roles = [
        (model, role, gpus) for gpus in (8, 16) for model in ("small", "large") for role in ("baseline", "proposed")
    ]
    assert sorted(found) == sorted(roles)


def test_a_proposal_without_a_baseline_gets_the_usual_one() -> None:
    reading = read(case("proposal_only"))
    assert "tensor parallel inside a node" in remarks(reading, Verdict.ASSUMED)["baseline"].text
    assert [(job.role, job.name) for job in jobs_of(reading)] == [("baseline", "tp=8"), ("proposed", "ring=8")]


def test_a_paper_about_no_deployment_says_what_is_missing() -> None:
    with pytest.raises(Refused) as caught:
        read(case("no_deployment"))
    said = " ".join(one.problem for one in caught.value.diagnostics)
    for words in ("no mechanism", "number of GPUs", "no model is described"):
        assert words in said


def test_a_model_that_is_only_named_and_not_built_in_is_asked_for() -> None:
    with pytest.raises(Refused) as caught:
        read(case("unknown_model"))
    said = [one.problem for one in caught.value.diagnostics]
    assert any("llama-2-7b: nothing says the number of layers" in problem for problem in said)
    assert any("--knowledge" in one.hint for one in caught.value.diagnostics)


def test_a_strategy_that_dagc_does_not_know_leaves_the_baseline(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.main, ["lower", str(case("unknown_strategy")), "--no-svg", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "no mechanism that dagc knows is described" in result.output
    assert [path.name for path in tmp_path.rglob("*.spmd.dot")] == ["tp=8.spmd.dot"]


@pytest.mark.parametrize(
    ("name", "key", "values"),
    [("sequence_lengths", "kv_len", [32768, 131072, 524288]), ("prompt_lengths", "seq_len", [8192, 32768, 131072])],
)
def test_every_length_is_a_deployment(name: str, key: str, values: list[int]) -> None:
    jobs = jobs_of(read(case(name)))
    assert {job.setting for job in jobs} == {f"{key}={value}" for value in values}
    assert len(jobs) == 2 * len(values)


def test_contradictions_are_decided_by_where_they_stand() -> None:
    reading = read(case("contradictory"))
    (model,) = reading.description["models"]
    assert (model["layers"], reading.description["cluster"]["gpus"]) == (32, 16)
    said = remarks(reading, Verdict.CONTRADICTION)
    assert said["layers"].sources[0].line == 10
    assert {4, 10, 14, 20} <= {source.line for source in said["layers"].sources}
    assert "gpus" in said


@pytest.mark.parametrize(
    ("name", "arithmetic"),
    [("heads_over_12", "32 / 12 = 2.667"), ("experts_over_16", "64 / 16 = 4 a GPU"), ("weights_in_cache", "")],
)
def test_the_impossible_is_mended_with_its_arithmetic(name: str, arithmetic: str) -> None:
    reading = read(case(name))
    fixed = [remark for remark in reading.remarks if remark.verdict is Verdict.FIXED]
    assert any(arithmetic in remark.arithmetic for remark in fixed)
    assert all(job.plan for job in jobs_of(reading))
    assert {job.role for job in jobs_of(reading)} == {"baseline", "proposed"}


def test_numbers_side_by_side_of_two_kinds_are_told_apart() -> None:
    assert read(case("heads_over_12")).description["sizes"] == {"batch_size": 12, "seq_len": 1024}


# Papers as they are published.

STYLES: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "context_parallel.md": ({"layers": 16, "hidden": 8192, "heads": 64, "kv_heads": 8}, "tp=8", ["ring-zigzag=8"]),
    "usp.md": ({"layers": 16, "heads": 32, "ffn": 11008}, "tp=8", ["cp=2,sp=4"]),
    "helix.md": ({"hidden": 16384, "heads": 128, "kv_heads": 8}, "tp=16", ["tpa=8,kvp=2,ep=1,tpf=16"]),
    "afd.md": ({"layers": 12, "experts": 16, "kv_heads": 8}, "tp=8,pp=3", ["dp=8,ep=16"]),
    "pd.md": ({"layers": 48, "heads": 56, "d_k": 128, "ffn": 28672}, "tp=8", ["pd=8,tp=4,dp=4,dtp=1,kvp=1"]),
    "split_kv.tex": ({"layers": 32, "heads": 32, "kv_heads": 8, "ffn": 14336}, "tp=8", ["flash-decoding=8"]),
    "cp_meta.md": ({"layers": 126, "hidden": 16384}, "tp=32", ["ring-zigzag=4,tp=8"]),
    "distserve.tex": ({"layers": 40, "hidden": 5120, "ffn": 20480}, "tp=8", ["pd=8,tp=4,dp=4,dtp=1,kvp=1"]),
    "helix_nv.txt": ({"layers": 126, "heads": 128, "ffn": 65536}, "tp=8,pp=8", ["tpa=8,kvp=8,ep=1,tpf=64"]),
    "deepseek_report.md": ({"layers": 61, "experts": 256, "top_k": 8, "dense_ffn": 18432}, "", ["dp=8,tp=4"]),
    "ep_serving.md": ({"layers": 61, "experts": 256, "top_k": 8, "dense_ffn": 18432}, "", ["dp=8,tp=4"]),
    "star.md": ({"layers": 8, "heads": 32}, "tp=8,pp=8", ["hg=32,ds=2"]),
    "offchip.md": ({"layers": 24, "heads": 20}, "tp=4,pp=6", ["pp=24"]),
    "ulysses.md": ({"layers": 32, "vocab": 32000}, "tp=8", ["ulysses=8"]),
    "cacheplan.tex": ({"layers": 24, "hidden": 1024}, "tp=4,pp=2", ["pp=8"]),
    "dwdp.md": ({"experts": 64, "top_k": 6, "ffn": 1408}, "ep=8", ["dwdp=8"]),
    "hybrid_ep_tp.md": ({"experts": 16, "layers": 8}, "tp=16", ["ep=4,tp=4"]),
    "fapool.md": ({"layers": 32, "kv_heads": 8}, "tp=8,pp=2", ["tp=8,fp=8"]),
    "eplb.md": ({"experts": 64, "top_k": 8, "ffn": 1024}, "ep=16", ["ep=gpus"]),
    "zero.md": ({"layers": 40, "hidden": 5120, "ffn": 13824}, "tp=8,pp=2", ["fsdp=16"]),
    "pipeline.txt": ({"layers": 32, "ffn": 16384}, "pp=8", ["pp-interleaved=8"]),
    "mla.md": ({"layers": 27}, "tp=8", ["ep=8"]),
    "twolevel_tokens.md": ({"layers": 6, "hidden": 2048}, "dp=2,tp=4,pp=2", ["hg=4,ds=4"]),
    "megascale.md": ({}, "tp=8,pp=2,dp=4", ["dp=32,ep=8,etp=4"]),
    "megatron_sp.txt": ({"layers": 48, "hidden": 6144, "heads": 64}, "tp=8", ["tp-sp=8"]),
}


@pytest.mark.parametrize("name", STYLES)
def test_published_styles(name: str) -> None:
    model, baseline, strategies = STYLES[name]
    reading = read(PAPERS / "styles" / name)
    first = papers.experiments_of(yaml_of(reading), PAPERS)[0].models[0]
    assert model == {key: value for key, value in published_facts(first).items() if key in model}
    assert short(reading.description.get("baseline", "")) == baseline
    assert [*map(short, reading.description["strategies"])] == strategies
    assert all(job.plan for job in jobs_of(reading)), [job.diagnostics for job in jobs_of(reading)]


def short(strategy: str | dict[str, Any]) -> str:
    """A text as it is; of a body the axes that are more than one GPU wide."""
    if isinstance(strategy, str):
        return strategy
    (body,) = strategy.values()
    meshes = [pool["mesh"] for pool in body["pools"].values()] if "pools" in body else [body["mesh"]]
    return ",".join(f"{axis}={size}" for mesh in meshes for axis, size in mesh.items() if size != 1)
