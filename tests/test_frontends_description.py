"""YAML descriptions, built-in models and quantities."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dagc.diagnostics import Diagnostic, Refused
from dagc.frontends.catalogue import builtin_models, find_model
from dagc.frontends.model import Attention, Experiment, Latent
from dagc.frontends.padding import padded
from dagc.frontends.quantity import quantity
from dagc.frontends.source import experiments_of
from dagc.frontends.strategy import resolve
from dagc.job import Request
from dagc.planning import plan

WHOLE = """\
models:
  - mixtral-8x7b
  - name: large-ep
    hidden: 4096
    layers: 16
    heads: 32
    ffn: 16384
    experts: 16
    top_k: 2
    activation: gelu
    gated: false
cluster: {gpu: h100, gpus: 16, memory: 96 GB, links: {across: 400 Gbit/s}}
baseline: tp=8,pp=2
strategies:
  - ep
  - mine:
      mesh: {ep: gpus}
      rules:
        - {at: "*", cut: {ep: batch_size}}
sizes: {batch_size: 128, seq_len: symbolic}
"""


def read(folder: Path, text: str) -> Experiment:
    (folder / "x.yaml").write_text(text)
    (found,) = experiments_of(str(folder / "x.yaml"))
    return found


def refused(folder: Path, text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(Refused) as caught:
        read(folder, text)
    return caught.value.diagnostics


def test_a_whole_description(tmp_path: Path) -> None:
    found = read(tmp_path, WHOLE)
    first, second = found.models
    assert (first.name, second.name, second.attention.kv_heads, second.attention.d_k) == (
        *("mixtral-8x7b", "large-ep"),
        *(32, 128),
    )
    assert second.moe
    assert not second.moe.expert.gated
    assert second.origin["hidden"] == f"{tmp_path / 'x.yaml'}:4"
    assert (found.cluster.gpu, found.cluster.memory, found.cluster.link_across) == ("H100", 96 * 10**9, 50e9)
    assert (found.baseline, found.strategies) == ("tp=8,pp=2", ("ep", "mine"))
    assert (found.batch_size, found.seq_len) == (128, "symbolic")
    plan = resolve("mine", gpus=16, inline=found.inline)
    assert plan.rules[0].where == f"{tmp_path / 'x.yaml'}:19"


def test_what_is_assumed_is_listed(tmp_path: Path) -> None:
    found = read(tmp_path, WHOLE)
    assumed = found.models[1].assumed
    for text in ("kv_heads = 32 (= heads)", "d_k = 128 (hidden / heads)", "rope = false", "normalize = true"):
        assert text in assumed
    assert "vocab = none (hidden states in and out)" in assumed
    assert not any(text.startswith(("heads", "tied", "gated")) for text in assumed)
    assert "gpus_per_node = 8" in found.assumed
    assert read(tmp_path, "model: mixtral-8x7b").assumed[0] == "gpu = H100"


def test_a_model_of_dense_and_sparse_layers(tmp_path: Path) -> None:
    dense = "model: {name: m, hidden: 8, layers: 3, heads: 2, ffn: 4, experts: 4, top_k: 1, dense_layers: [0]"
    assert read(tmp_path, f"{dense}, dense_ffn: 16}}").models[0].layers == ("dense", "moe", "moe")
    assert [d.code for d in refused(tmp_path, f"{dense}}}")] == ["missing-key"]
    everywhere = dense.replace("[0]", "[0, 1, 2]") + ", dense_ffn: 16}"
    assert read(tmp_path, everywhere).models[0].moe is None


def test_names_in_a_description_are_relative_to_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "tiny.json").write_text(json.dumps(_tiny_llama()))
    (home / "mine.yaml").write_text("mesh: {tp: gpus}\nrules: [{at: '*', cut: {tp: [heads, ffn, vocab]}}]\n")
    found = read(home, "models: [tiny.json]\nstrategies: [mine.yaml]\nbaseline: none\n")
    assert found.models[0].name == "tiny"
    assert resolve(found.strategies[0], gpus=2).name == "mine"
    assert found.baseline == "none"


def _tiny_llama() -> dict[str, object]:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return {"architectures": ["LlamaForCausalLM"], "vocab_size": 32, **sizes}


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    problems = refused(
        tmp_path,
        "models:\n"
        "  - mixtral-8x7\n"
        "  - {name: m, hiden: 8, layers: 3, heads: many, ffn: 4}\n"
        "  - {name: n, hidden: 8, layers: 3, heads: 2, kv_heads: 3, ffn: 4, top_k: 2, dense_layers: [7]}\n"
        "cluster: {gpu: H900}\n"
        "baseline: tq=8\n"
        "strategies: [7, {mine: {mesh: {ep: gpus}, rules: [{at: '*', cut: {tp: heds}}]}}]\n",
    )
    found = [(d.code, int(d.where.split(" at ")[0].rsplit(":", 1)[1])) for d in problems]
    assert found == [
        ("unknown-model", 2),
        ("missing-key", 3),
        ("wrong-type", 3),
        ("unknown-key", 3),
        ("indivisible", 4),
        ("wrong-type", 4),
        ("unknown-key", 4),
        ("unknown-key", 4),
        ("unknown-gpu", 5),
        ("wrong-type", 7),
        ("rule", 7),
        ("rule", 7),
        ("unknown-strategy", 6),
    ]
    hints = {d.hint for d in problems}
    assert {"did you mean mixtral-8x7b?", "did you mean hidden?", "did you mean heads?"} <= hints


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "wrong-type"),
        ("a: [", "syntax"),
        ("a: b: c", "syntax"),
        ("--- 1\n--- 2\n", "syntax"),
        ("model: mixtral-8x7b\nmodel: mixtral-8x7b\n", "duplicate"),
        ("? [1]\n: 2\n", "syntax"),
        ("model: !!python/object/apply:os.system [true]", "wrong-type"),
        ("model: !!python/name:os.system", "syntax"),
        ("model: !!int x", "syntax"),
        ("model: &a [*a]", "too-large"),
        ("[" * 1000, "too-large"),
        ("- 1\n" * 50_000, "too-large"),
        ("#" * 1_000_001, "too-large"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
            "too-large",
        ),
        ("models: [mixtral-8x7b, Mixtral-8x7B-v0.1]", "duplicate"),
        ("cluster: {gpus: 8}", "missing-key"),
        ("model: mixtral-8x7b\nsizes: {batch_size: yes}", "wrong-type"),
        ("model: mixtral-8x7b\ncluster: {memory: 80 parsecs}", "wrong-type"),
        ("model: mixtral-8x7b\nclustr: {}", "unknown-key"),
        ("model: {name: '', hidden: 8, layers: 1, heads: 2, ffn: 4}", "wrong-type"),
        ("model: mixtral-8x7b\nstrategies: 5", "wrong-type"),
        ("model: mixtral-8x7b\nstrategies: [nowhere.yaml]", "file"),
        ("model: mixtral-8x7b\nstrategies: [" + "ep, " * 200 + "]", "too-large"),
        ("model: 5", "wrong-type"),
    ],
)
def test_descriptions_that_are_refused(tmp_path: Path, text: str, code: str) -> None:
    assert {d.code for d in refused(tmp_path, text)} == {code}


def test_the_default_experiment() -> None:
    (found,) = experiments_of(None)
    (model,) = found.models
    assert (model.name, len(model.layers), model.vocab, model.assumed) == ("moe-16x16", 16, None, ())
    assert (found.cluster.gpus, found.baseline, found.batch_size, found.seq_len) == (16, None, 128, 1024)


SHARED = """\
models:
  - {name: shared, hidden: 64, layers: 2, heads: 4, ffn: 32, experts: 8, top_k: 2,
     latent: {kv_rank: 16, d_nope: 8, d_rope: 4, d_v: 8},
     routing: {scoring: sigmoid, scale: 2.5, correction: true, groups: 4, top_groups: 2, group_best: 2}}
strategies: [ep=2]
"""


def test_latent_attention_and_routing_can_be_described(tmp_path: Path) -> None:
    (model,) = read(tmp_path, SHARED).models
    assert model.attention == Attention(4, 4, 12, rope=True, latent=Latent(None, 16, 8, 4, 8))
    assert model.moe
    assert (model.moe.scoring, model.moe.groups, model.moe.correction) == ("sigmoid", 4, True)
    assert not any(text.startswith(("d_k", "rope", "latent", "routing")) for text in model.assumed)
    problems = refused(tmp_path, SHARED.replace("ffn: 32", "ffn: 32, rope: true").replace("groups: 4", "groups: 3"))
    assert [(d.code, d.where.rsplit(":", 1)[1]) for d in problems] == [("unknown-key", "2"), ("indivisible", "4")]
    (alone,) = refused(tmp_path, SHARED.replace("experts: 8, top_k: 2,", ""))
    assert alone.problem == "key routing says nothing without experts"


def test_built_in_models_are_listed_and_found_in_any_spelling() -> None:
    names = [model.name for model in builtin_models()]
    assert names == sorted(names)
    assert len(names) == 14
    for text in ("Mixtral-8x7B", "mistralai/Mixtral-8x7B-v0.1", "MIXTRAL-8X7B"):
        assert find_model(text).name == "mixtral-8x7b"
    assert find_model("meta-llama/Meta-Llama-3.1-405B").name == "llama-3.1-405b"


@pytest.mark.parametrize("text", ["", "mixtral-8x8b", "nowhere/config.json", "a\0b", "x" * 10_000, "\ud800"])
def test_unknown_models_are_refused_by_name(text: str) -> None:
    with pytest.raises(Refused) as caught:
        find_model(text)
    (problem,) = caught.value.diagnostics
    assert problem.code == "unknown-model"
    assert "mixtral-8x7b" in problem.hint


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80 GB", 80e9),
        ("80GB", 80e9),
        ("96 GiB", 96 * 2**30),
        ("450 GB/s", 450e9),
        ("400 Gbit/s", 50e9),
        ("400Gbps", 50e9),
        ("50e9", 50e9),
        (50, 50.0),
        ("1.5 TB", 1.5e12),
    ],
)
def test_quantities(text: object, value: float) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize(
    "text", ["", "GB", "-1 GB", "0", "1e999", "80 XB", "80 iB", True, None, float("nan"), [1], 10**400]
)
def test_what_is_no_quantity(text: object) -> None:
    with pytest.raises(ValueError, match="positive quantity"):
        quantity(text)


SEVERAL = """\
models: [llama-3.1-8b]
cluster: {gpu: H100, gpus: [8, 16]}
strategies: [tp-sp]
sizes: {batch_size: 16, seq_len: [1024, 8192]}
"""


def test_lists_of_sizes_make_an_experiment_of_every_combination(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(SEVERAL)
    found = experiments_of(str(tmp_path / "x.yaml"))
    assert [(one.cluster.gpus, one.seq_len) for one in found] == [(8, 1024), (8, 8192), (16, 1024), (16, 8192)]
    assert [one.setting for one in found][1] == {"gpus": 8, "seq_len": 8192}
    assert {one.batch_size for one in found} == {16}


def test_descriptions_in_one_file_are_each_checked(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        "experiments:\n  - {models: [llama-3.1-8b], strategies: [tp]}\n  - {strategies: [ep]}\n"
    )
    with pytest.raises(Refused, match="no model is described") as refusal:
        experiments_of(str(tmp_path / "x.yaml"))
    assert ":3" in str(refusal.value)


def test_deployments_are_named_after_their_setting(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(SEVERAL)
    source = str(tmp_path / "x.yaml")
    assert [job.name for job in plan(Request(source, baseline="none"))][-1] == "tp-sp@gpus=16,seq_len=8192"
    found = plan(Request(source, baseline="none", gpus=8))
    assert [job.name for job in found] == ["tp-sp@seq_len=1024", "tp-sp@seq_len=8192"]


@pytest.mark.parametrize("value", ["[]", "[8, 0]", "[8, many]", "-1"])
def test_numbers_of_gpus_are_numbers(value: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(SEVERAL.replace("[8, 16]", value))
    with pytest.raises(Refused, match="a positive number, or a list of them"):
        experiments_of(str(tmp_path / "x.yaml"))


def test_a_vocabulary_is_padded_and_that_is_said(tmp_path: Path) -> None:
    text = (
        "models: [{name: m, hidden: 8, layers: 1, heads: 2, ffn: 16, vocab: 50257, make_vocab_size_divisible_by: 128}]"
    )
    (model,) = read(tmp_path, text).models
    assert model.vocab == 50304
    assert "vocab = 50304 (50257 padded to a multiple of 128)" in model.assumed
    assert padded(model, 4) is model
    assert padded(replace(model, vocab=None), 7).vocab is None


def test_padding_says_nothing_without_a_vocabulary(tmp_path: Path) -> None:
    text = "models: [{name: m, hidden: 8, layers: 1, heads: 2, ffn: 16, make_vocab_size_divisible_by: 128}]"
    with pytest.raises(Refused, match="says nothing without vocab"):
        read(tmp_path, text)
