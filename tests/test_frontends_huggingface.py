"""config.json → Model: what is read, assumed, ignored and refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from dagc.diagnostics import Diagnostic, Refused
from dagc.frontends.huggingface import read_config
from dagc.frontends.model import Latent, Model

DATA = Path(__file__).parent / "data" / "configs"


def config(name: str, **changes: Any) -> dict[str, Any]:
    """A published configuration with some keys changed, or removed (`...`)."""
    merged = {**json.loads((DATA / name / "config.json").read_text()), **changes}
    return {key: value for key, value in merged.items() if value is not ...}


def read(folder: Path, data: object) -> Model:
    (folder / "config.json").write_text(data if isinstance(data, str) else json.dumps(data, indent=2))
    return read_config(folder)


def refused(folder: Path, data: object) -> tuple[Diagnostic, ...]:
    with pytest.raises(Refused) as caught:
        read(folder, data)
    return caught.value.diagnostics


def test_the_model_is_called_like_its_folder_whatever_that_holds(tmp_path: Path) -> None:
    folder = tmp_path / 'a "quoted" <script> name'
    folder.mkdir()
    assert read(folder, config("Llama-3.1-8B")).name == folder.name
    (tmp_path / "mine.json").write_text(json.dumps(config("Llama-3.1-8B")))
    assert read_config(tmp_path / "mine.json").name == "mine"


def test_origins_name_file_and_line(tmp_path: Path) -> None:
    model = read(tmp_path, config("Llama-3.1-8B"))
    line = (tmp_path / "config.json").read_text().splitlines().index('  "hidden_size": 4096,') + 1
    assert model.origin["hidden"] == f"{tmp_path / 'config.json'}:{line}"


def test_absent_keys_are_assumed_and_listed(tmp_path: Path) -> None:
    absent = ("num_key_value_heads", "tie_word_embeddings", "torch_dtype", "mlp_bias", "hidden_act")
    model = read(tmp_path, config("Llama-3.1-8B", **dict.fromkeys(absent, ...)))
    assert (model.attention.kv_heads, model.tied, model.dtype) == (32, False, "bf16")
    assert all(any(text.startswith(f"{key} = ") for text in model.assumed) for key in absent)


def test_biases_are_those_of_the_architecture(tmp_path: Path) -> None:
    llama = read(tmp_path, config("Llama-3.1-8B", attention_bias=True, mlp_bias=True))
    assert (llama.attention.qkv_bias, llama.attention.o_bias) == (True, True)
    assert llama.dense
    assert llama.dense.bias
    qwen = read(tmp_path, config("Llama-3.1-8B", architectures=["Qwen2ForCausalLM"]))
    assert (qwen.attention.qkv_bias, qwen.attention.o_bias) == (True, False)
    moe = read(tmp_path, config("Qwen1.5-MoE-A2.7B", qkv_bias=False))
    assert not moe.attention.qkv_bias


def test_the_model_type_stands_in_for_missing_architectures(tmp_path: Path) -> None:
    assert read(tmp_path, config("Mixtral-8x7B-v0.1", architectures=...)).moe


def test_scaled_positions_change_scores_as_the_published_code_does(tmp_path: Path) -> None:
    """Values of DeepSeek's yarn_get_mscale and of transformers' modeling_rope_utils at factor 40 and 8."""
    deep = read(tmp_path, config("DeepSeek-V3"))
    assert deep.attention.rope_factor == 1
    assert deep.attention.score_factor == pytest.approx(1.3688879454113936**2)
    assert any(text.startswith("ignored: the angles of rope_scaling (yarn;") for text in deep.assumed)
    lite = read(tmp_path, config("DeepSeek-V2-Lite")).attention
    assert lite.score_factor == pytest.approx((0.0707 * math.log(40) + 1) ** 2)
    halves = {"type": "yarn", "factor": 40, "mscale": 1.0, "mscale_all_dim": 0.5}
    uneven = read(tmp_path, config("DeepSeek-V3", rope_scaling=halves)).attention
    assert uneven.rope_factor == pytest.approx(1.3688879454113936 / 1.1844439727056968)
    assert uneven.score_factor == pytest.approx(1.1844439727056968**2)


@pytest.mark.parametrize(
    ("scaling", "factor"),
    [
        ({"rope_type": "llama3", "factor": 8.0}, 1.0),
        ({"type": "linear", "factor": 8.0}, 1.0),
        ({"rope_type": "yarn", "factor": 8}, 0.1 * math.log(8) + 1),
        ({"rope_type": "yarn", "original_max_position_embeddings": 32768}, 0.1 * math.log(4) + 1),
        ({"rope_type": "yarn", "factor": 8, "attention_factor": 1.5}, 1.5),
        ({"rope_type": "longrope", "factor": 32, "original_max_position_embeddings": 4096}, math.sqrt(1 + 5 / 12)),
        ({"rope_type": "mine", "factor": 8}, 1.0),
    ],
)
def test_cosines_and_sines_have_the_magnitude_of_their_scaling(
    tmp_path: Path, scaling: dict[str, Any], factor: float
) -> None:
    model = read(tmp_path, config("Llama-3.1-8B", rope_scaling=scaling, max_position_embeddings=131072))
    assert model.attention.rope_factor == pytest.approx(factor)
    assert model.attention.score_factor == 1
    assert any("rope_scaling" in text for text in model.assumed), "what is left out is said"


def test_newer_configurations_keep_theta_with_the_scaling(tmp_path: Path) -> None:
    newer = {"rope_type": "default", "rope_theta": 7e5, "sections": [1]}
    model = read(tmp_path, config("Llama-3.1-8B", rope_scaling=..., rope_theta=..., rope_parameters=newer))
    assert (model.attention.rope_theta, model.attention.rope_factor) == (7e5, 1)
    assert "ignored: rope_parameters.sections (unknown)" in model.assumed
    (problem,) = refused(tmp_path, config("Llama-3.1-8B", rope_scaling={"type": "yarn", "factor": "many"}))
    assert problem.code == "wrong-type"


def test_sparse_steps_and_dense_layers(tmp_path: Path) -> None:
    model = read(tmp_path, config("Qwen3-30B-A3B", num_hidden_layers=6, decoder_sparse_step=2, mlp_only_layers=[3]))
    assert model.layers == ("dense", "moe", "dense", "dense", "dense", "moe")
    assert model.dense
    assert model.dense.width == 6144


def test_latent_attention_and_routing_are_those_of_the_configuration(tmp_path: Path) -> None:
    model = read(tmp_path, config("DeepSeek-V3"))
    assert model.attention.latent == Latent(1536, 512, 128, 64, 128)
    assert (model.attention.d_k, model.layers[:4]) == (192, ("dense", "dense", "dense", "moe"))
    moe = model.moe
    assert moe
    assert moe.shared
    assert (moe.scoring, moe.correction, moe.scale, moe.normalize) == ("sigmoid", True, 2.5, True)
    assert (moe.groups, moe.top_groups, moe.group_best, moe.shared.width) == (8, 4, 2, 2048)
    assert "ignored: num_nextn_predict_layers (multi-token prediction layers are no part of the model served)" in (
        model.assumed
    )
    lite = read(tmp_path, config("DeepSeek-V2-Lite"))
    assert lite.moe
    assert lite.moe.shared
    assert lite.attention.latent == Latent(None, 512, 128, 64, 128)
    assert (lite.moe.scoring, lite.moe.correction, lite.moe.groups, lite.moe.shared.width) == (
        *("softmax", False, 1),
        2 * 1408,
    )
    limited = config("DeepSeek-V2-Lite", topk_method="group_limited_greedy", n_group=8, topk_group=3)
    moe = read(tmp_path, limited).moe
    assert moe
    assert (moe.groups, moe.top_groups, moe.group_best) == (8, 3, 1)


def test_sparse_layers_are_every_so_many_after_the_first_dense_ones(tmp_path: Path) -> None:
    model = read(tmp_path, config("DeepSeek-V3", num_hidden_layers=8, moe_layer_freq=2))
    assert model.layers == ("dense", "dense", "dense", "dense", "moe", "dense", "moe", "dense")


def test_groups_of_experts_are_equal_and_enough(tmp_path: Path) -> None:
    problems = refused(tmp_path, config("DeepSeek-V3", n_group=7, topk_group=9))
    assert [(d.code, d.actual) for d in problems] == [("indivisible", "7"), ("wrong-type", "9")]


@pytest.mark.parametrize(
    ("name", "changes", "window"),
    [
        ("Mistral-7B-v0.3", {"sliding_window": 4096}, 4096),
        ("Mistral-7B-v0.3", {"sliding_window": None}, None),
        ("Mistral-7B-v0.3", {"sliding_window": ...}, 4096),
        ("Mixtral-8x7B-v0.1", {"sliding_window": ...}, None),
        ("Qwen3-8B", {"sliding_window": 4096}, None),
        ("Qwen3-8B", {"sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 0}, 4096),
        ("Qwen3-8B", {"sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 36}, None),
        ("Qwen3-30B-A3B", {"sliding_window": 4096, "use_sliding_window": True}, 4096),
        ("Qwen3-8B", {"layer_types": ["full_attention"] * 36}, None),
    ],
)
def test_windows(tmp_path: Path, name: str, changes: dict[str, Any], window: int | None) -> None:
    assert read(tmp_path, config(name, **changes)).attention.window == window


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Qwen3-8B", {"sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 20}),
        ("Qwen3-8B", {"layer_types": ["full_attention", "sliding_attention"] * 18}),
        ("Qwen1.5-MoE-A2.7B", {"use_sliding_window": True}),
        ("Llama-3.1-8B", {"q_lora_rank": 1536}),
        ("Llama-3.1-8B", {"final_logit_softcapping": 30.0}),
        ("Llama-3.1-8B", {"hidden_act": "relu2"}),
        ("DeepSeek-V3", {"topk_method": "noaux"}),
        ("DeepSeek-V3", {"scoring_func": "tanh"}),
        ("DeepSeek-V3", {"attention_bias": True}),
        ("Llama-3.1-8B", {"torch_dtype": "int4"}),
    ],
)
def test_what_cannot_be_compiled_is_refused(tmp_path: Path, name: str, changes: dict[str, Any]) -> None:
    assert {d.code for d in refused(tmp_path, config(name, **changes))} == {"unsupported"}


def test_neutral_values_of_unsupported_keys_pass(tmp_path: Path) -> None:
    assert read(tmp_path, config("Llama-3.1-8B", q_lora_rank=None, partial_rotary_factor=1.0))


def test_every_key_is_accounted_for(tmp_path: Path) -> None:
    quantized = {"quant_method": "fp8"}
    model = read(tmp_path, config("Llama-3.1-8B", frobnicate=1, num_experts=4, quantization_config=quantized))
    assert "ignored: frobnicate (unknown)" in model.assumed
    assert "ignored: num_experts (nothing in this model reads it)" in model.assumed
    assert any("quantization_config" in text for text in model.assumed)


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    changes = {
        "hidden_size": ...,
        "num_hidden_layers": -1,
        "vocab_size": "many",
        "num_key_value_heads": 5,
        "num_experts_per_tok": 9,
        "initializer_range": "no influence",
        "intermediate_size": 10**30,
        "tie_word_embeddings": 1,
    }
    problems = refused(tmp_path, config("Mixtral-8x7B-v0.1", **changes))
    assert sorted(d.code for d in problems) == ["indivisible", "missing-key", *["wrong-type"] * 5]
    assert all(str(tmp_path / "config.json") in d.where for d in problems)
    lines = (tmp_path / "config.json").read_text().splitlines()
    vocab = next(d for d in problems if "vocab_size" in d.problem)
    assert "vocab_size" in lines[int(vocab.where.rsplit(":", 1)[1]) - 1]


def test_heads_must_divide_hidden_unless_their_size_is_given(tmp_path: Path) -> None:
    assert refused(tmp_path, config("Llama-3.1-8B", num_attention_heads=24))[0].code == "indivisible"
    assert read(tmp_path, config("Llama-3.1-8B", num_attention_heads=24, head_dim=64)).attention.d_k == 64


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "syntax"),
        ('{"a": 1, "a": 2}', "duplicate"),
        ('{"a": NaN}', "syntax"),
        ('{"a": ' + "1" * 5000 + "}", "syntax"),
        ("[" * 100_000, "too-large"),
        ('"' + '\\"' * 400_000, "syntax"),
        (" " * 1_000_001, "too-large"),
        ("[]", "wrong-type"),
        ("{}", "missing-key"),
        ('{"architectures": ["GPT2LMHeadModel"]}', "unknown-architecture"),
        ('{"architectures": "LlamaForCausalLM"}', "wrong-type"),
        ('{"model_type": "lama"}', "unknown-architecture"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, code: str) -> None:
    assert [d.code for d in refused(tmp_path, text)] == [code]


def test_syntax_errors_name_line_and_column(tmp_path: Path) -> None:
    assert refused(tmp_path, '{\n "a": }')[0].where == f"{tmp_path / 'config.json'}:2:7"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'{"a": "\xff"}')
    for path in (tmp_path, tmp_path / "absent.json", Path("/dev/zero"), Path("a\0b"), Path("a" * 10_000)):
        with pytest.raises(Refused) as caught:
            read_config(path)
        assert caught.value.diagnostics[0].code == "file"
