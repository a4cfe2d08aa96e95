"""Hugging Face `config.json` → Model, by the table of architectures.

Every key of the file is accounted for: it shapes the model, or is known not to, or is refused, or is listed under
`Model.assumed` as ignored. Everything wrong is reported at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from ..diagnostics import Diagnostic, Refused, nearest
from .architectures import Architecture, ExpertKeys, LatentKeys, RoutingKeys, Table, table
from .config_keys import ConfigKeys
from .consistency import group_problems, head_problems, head_size_problems, layer_problems, router_problems
from .json_reader import read_json
from .model import Attention, FeedForward, Latent, MixtureOfExperts, Model
from .parsed import Parsed, shown
from .rotary import rotary_of
from .window import window_of

CONFIG = "config.json"

ORIGIN = {
    "hidden": "hidden_size",
    "layers": "num_hidden_layers",
    "attention": "num_attention_heads",
    "dense": "intermediate_size",
    "ffn": "intermediate_size",
    "moe": "num_experts_per_tok",
    "vocab": "vocab_size",
    "embed": "vocab_size",
    "head": "vocab_size",
    "norm": "rms_norm_eps",
    "dtype": "torch_dtype",
    "tied": "tie_word_embeddings",
}
"""Part of a model → the key that a message or a location about it points at."""


def read_config(path: Path) -> Model:
    """The model of a config.json, or of the folder that holds one. Refused with all that is wrong in it."""
    file = path / CONFIG if os.path.isdir(path) else path
    return model_of(read_json(file), _name(file))


def model_of(parsed: Parsed, name: str) -> Model:
    """The model that a parsed config.json describes."""
    if not isinstance(parsed.data, dict):
        raise Refused(Diagnostic("wrong-type", "is not a configuration", parsed.name, "an object", shown(parsed.data)))
    known = table()
    architecture = _architecture(parsed, known)
    keys = ConfigKeys(parsed, architecture, known.architectures[architecture], known)
    facts = _facts(keys)
    keys.problems += _unsupported(keys)
    ignored = tuple(_ignored(keys))
    if keys.problems:
        raise Refused(*keys.problems)
    origin = {part: parsed.where(key) for part, key in ORIGIN.items()}
    assumed = (*keys.assumed, *ignored)
    return Model(name, norm="rms_norm", where=parsed.name, assumed=assumed, origin=origin, **facts)


def _name(file: Path) -> str:
    """The folder's name for a config.json, else the file's own; readable even where the file system's bytes are not."""
    name = (Path(os.path.abspath(file)).parent.name if file.name == CONFIG else file.stem) or "model"
    return name.encode("utf-8", "replace").decode()


def _architecture(parsed: Parsed, known: Table) -> str:
    """The architecture named, or that of the model type. Refused if neither is in the table."""
    named, model_type = parsed.data.get("architectures"), parsed.data.get("model_type")
    names = known.architectures
    if isinstance(named, list) and named and isinstance(named[0], str):
        found = named[0] if named[0] in names else None
        return found or _refuse(parsed, "architectures", "unknown-architecture", named[0], f"one of {', '.join(names)}")
    if named not in (None, []):
        return _refuse(parsed, "architectures", "wrong-type", named, "a list of class names")
    if isinstance(model_type, str):
        types = ", ".join(spec.model_type for spec in names.values())
        found = known.by_model_type(model_type)
        return found or _refuse(parsed, "model_type", "unknown-architecture", model_type, f"one of {types}")
    return _refuse(parsed, "architectures", "missing-key", named, f"one of {', '.join(names)}")


def _refuse(parsed: Parsed, key: str, code: str, actual: object, expected: str) -> NoReturn:
    problem = f"{key} names no supported architecture"
    raise Refused(Diagnostic(code, problem, parsed.where(key), expected, shown(actual)))


def _facts(keys: ConfigKeys) -> dict[str, Any]:
    """The fields of the Model; nonsense where `keys.problems` says so."""
    spec = keys.architecture
    layers = _layers(keys, spec.moe)
    activation = _one_of(keys, "hidden_act", keys.table.activations)
    return {
        "hidden": keys.get("hidden_size"),
        "layers": layers,
        "attention": _attention(keys, spec),
        "dtype": _one_of(keys, "dtype" if keys.states("dtype") else "torch_dtype", keys.table.dtypes),
        "dense": _dense(keys, spec, activation) if "dense" in layers else None,
        "moe": _experts(keys, spec.moe, activation) if spec.moe and "moe" in layers else None,
        "vocab": keys.get("vocab_size"),
        "norm_eps": keys.get("rms_norm_eps"),
        "tied": keys.get("tie_word_embeddings"),
    }


def _layers(keys: ConfigKeys, moe: ExpertKeys | None) -> tuple[str, ...]:
    """Which layers route to experts: all but those listed as dense and those between the steps."""
    count = keys.get("num_hidden_layers") or 0
    if moe is None:
        return ("dense",) * (count or 1)
    dense, step = set(keys.fact(moe.dense_layers) or ()), keys.fact(moe.step) or 1
    keys.problems += layer_problems(dense, count, lambda _: keys.parsed.where(moe.dense_layers or ""))
    dense |= {*range(min(keys.fact(moe.dense_first) or 0, count))}
    return tuple("dense" if i in dense or (i + moe.step_from) % step else "moe" for i in range(count)) or ("moe",)


def _attention(keys: ConfigKeys, spec: Architecture) -> Attention:
    return _latent(keys, spec.latent) if spec.latent else _grouped(keys, spec)


def _latent(keys: ConfigKeys, spec: LatentKeys) -> Attention:
    """Every head has keys and values of its own, made of the latent that all share."""
    heads, sizes = keys.get("num_attention_heads"), {name: keys.fact(key) for name, key in spec}
    if keys.get("attention_bias"):
        keys.refuse("unsupported", "attention_bias", "biases of latent attention are not supported", "false")
    latent = Latent(**sizes)
    keys.optional("num_key_value_heads", heads, "= num_attention_heads")
    rotary = rotary_of(keys)
    return Attention(
        heads=heads,
        kv_heads=heads,
        d_k=(latent.d_nope or 0) + (latent.d_rope or 0),
        rope=True,
        rope_theta=rotary.theta,
        rope_factor=rotary.magnitude,
        score_factor=rotary.scores,
        latent=latent,
    )


def _grouped(keys: ConfigKeys, spec: Architecture) -> Attention:
    hidden, heads = keys.get("hidden_size"), keys.get("num_attention_heads")
    kv_heads = keys.optional("num_key_value_heads", heads, "= num_attention_heads")
    size = hidden // heads if hidden and heads else None
    if not keys.states("head_dim") and "head_dim" not in spec.defaults:
        keys.problems += head_size_problems(hidden, heads, lambda _: keys.parsed.where("num_attention_heads"))
    keys.problems += head_problems(heads, kv_heads, lambda _: keys.parsed.where("num_key_value_heads"))
    rotary = rotary_of(keys)
    return Attention(
        heads=heads,
        kv_heads=kv_heads,
        d_k=keys.optional("head_dim", size, "hidden_size / num_attention_heads"),
        rope=True,
        rope_theta=rotary.theta,
        rope_factor=rotary.magnitude,
        score_factor=rotary.scores,
        window=window_of(keys),
        qkv_bias=keys.fact(spec.qkv_bias),
        o_bias=keys.fact(spec.o_bias),
        qk_norm=spec.qk_norm,
    )


def _dense(keys: ConfigKeys, spec: Architecture, activation: str) -> FeedForward:
    return FeedForward(keys.get("intermediate_size"), activation, gated=True, bias=keys.fact(spec.ffn_bias))


def _experts(keys: ConfigKeys, moe: ExpertKeys, activation: str) -> MixtureOfExperts:
    experts, top_k = keys.fact(moe.experts), keys.fact(moe.top_k)
    keys.problems += router_problems(experts, top_k, lambda _: keys.parsed.where(moe.top_k))
    width = keys.get(moe.width)
    shared = (keys.fact(moe.shared_count) or 0) * (width or 0) if moe.shared_count else keys.fact(moe.shared)
    return MixtureOfExperts(
        experts=experts,
        top_k=top_k,
        expert=FeedForward(width, activation, gated=True),
        normalize=keys.fact(moe.normalize),
        shared=FeedForward(shared, activation, gated=True) if shared else None,
        shared_gate=moe.shared_gate,
        **(_routing(keys, moe.routing, experts) if moe.routing else {}),
    )


def _routing(keys: ConfigKeys, spec: RoutingKeys, experts: int | None) -> dict[str, Any]:
    """How tokens choose experts."""
    method = _one_of(keys, spec.method, {name: name for name in keys.table.routing_methods})
    found = keys.table.routing_methods.get(method)
    groups, top_groups = (keys.fact(key) if found and found.best else 1 for key in (spec.groups, spec.top_groups))
    places = {"groups": spec.groups, "top_groups": spec.top_groups}
    keys.problems += group_problems(experts, groups, top_groups, lambda name: keys.parsed.where(places[name]))
    return {
        "scoring": _one_of(keys, spec.scoring, keys.table.scorings),
        "scale": keys.fact(spec.scale),
        "correction": bool(found and found.correction),
        "groups": groups,
        "top_groups": top_groups,
        "group_best": found.best if found and found.best else 1,
    }


def _one_of(keys: ConfigKeys, key: str, names: dict[str, str]) -> str:
    """dagc's name for a value that the configuration names in its own way."""
    value = keys.get(key)
    if value is not None and value not in names:
        expected = f"one of {', '.join(names)}"
        keys.refuse("unsupported", key, "dagc does not know this value", expected, nearest(value, names))
    return names.get(str(value), "")


def _unsupported(keys: ConfigKeys) -> Iterator[Diagnostic]:
    """Keys that dagc knows to change the model in a way that it cannot compile."""
    data = keys.parsed.data
    for key, spec in keys.table.unsupported.items():
        if key in data and key not in keys.read and data[key] not in spec.unless:
            neutral = ", ".join("null" if value is None else str(value) for value in spec.unless)
            problem = f"{key} ({spec.why}) is not supported"
            yield Diagnostic("unsupported", problem, keys.parsed.where(key), f"absent or {neutral}", shown(data[key]))


def _ignored(keys: ConfigKeys) -> Iterator[str]:
    """Keys of the file that had no say, other than those known never to have one."""
    known = keys.table
    yield from (f"ignored: {key} (nothing in this model reads it)" for key in keys.unread())
    for key, why in known.ignored.items():
        if keys.parsed.data.get(key):
            yield f"ignored: {key} ({why})"
    accounted = {*known.keys, *known.ignored, *known.no_influence, *known.unsupported}
    yield from (f"ignored: {shown(key, quoted=False)} (unknown)" for key in keys.parsed.data if key not in accounted)
