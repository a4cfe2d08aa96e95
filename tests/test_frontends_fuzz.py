"""Whatever a file or a text holds, frontends answer with a result or with Refused, never with another exception."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagc.diagnostics import Refused
from dagc.frontends.catalogue import find_model
from dagc.frontends.description import described
from dagc.frontends.huggingface import model_of
from dagc.frontends.json_reader import parse_json
from dagc.frontends.strategy import resolve
from dagc.frontends.strategy_file import STRATEGIES
from dagc.frontends.yaml_reader import parse_yaml

HERE = Path(__file__).parent
CONFIGS = [json.loads(path.read_text()) for path in sorted((HERE / "data" / "configs").glob("*/config.json"))]
BODIES = [yaml.safe_load(path.read_text()) for path in sorted(STRATEGIES.glob("*.yaml"))]
DESCRIPTION: dict[str, Any] = {
    "models": ["mixtral-8x7b", {"name": "m", "hidden": 8, "layers": 2, "heads": 2, "ffn": 4, "experts": 4, "top_k": 1}],
    "cluster": {"gpu": "H100", "gpus": 16, "memory": "80 GB", "links": {"inside": "450 GB/s"}},
    "baseline": "tp=8,pp=2",
    "strategies": ["ep", {"mine": BODIES[2]}],
    "sizes": {"batch_size": 128, "seq_len": "symbolic"},
}

numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 1, 2**63, 10**40])
scalars = st.none() | st.booleans() | numbers | st.text(max_size=8)
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=6), v, max_size=3))
fuzz = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@st.composite
def mutated(draw: st.DrawFn, originals: list[Any]) -> Any:
    """A valid document with a few values, anywhere in it, replaced, removed or added."""
    document = json.loads(json.dumps(draw(st.sampled_from(originals))))
    for _ in range(draw(st.integers(1, 3))):
        place = document
        while place:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.integers(0, 3)) == 0:
                del place[key]
            else:
                place[key] = draw(values)
            break
    return document


@fuzz
@given(mutated(CONFIGS))
def test_configurations(data: Any) -> None:
    with suppress(Refused):
        model_of(parse_json(json.dumps(data), "config.json"), "fuzzed")


@fuzz
@given(mutated([DESCRIPTION]))
def test_descriptions(data: Any) -> None:
    with suppress(Refused):
        for found in described(parse_yaml(yaml.safe_dump(data), "x.yaml"), HERE):
            for name in found.strategies:
                resolve(name, gpus=16, inline=found.inline)


@fuzz
@given(mutated(BODIES))
def test_strategy_bodies(data: Any) -> None:
    with suppress(Refused):
        resolve("mine", gpus=16, inline={"mine": data})


@fuzz
@given(st.sampled_from([json.dumps(CONFIGS[0]), yaml.safe_dump(DESCRIPTION)]), st.data())
def test_damaged_text(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 20))
    damaged = text[:start] + data.draw(st.text(max_size=5)) + text[start + length :]
    for parse in (parse_json, parse_yaml):
        with suppress(Refused):
            parse(damaged, "x")


tokens = st.sampled_from(["ep", "tp", "two-level", "hg", "=", ",", "×", "x", "8", "2", "16", " ", "-", "pp", "0", "zz"])


@fuzz
@given(st.lists(tokens, max_size=8).map("".join) | st.text(max_size=12), st.none() | st.integers(0, 64), st.booleans())
def test_texts(text: str, gpus: int | None, as_mesh: bool) -> None:
    with suppress(Refused):
        resolve("ep" if as_mesh else text, gpus=gpus, mesh=text if as_mesh else None, stages=None)
    with suppress(Refused):
        resolve("pp", gpus=gpus, stages=text)
    with suppress(Refused):
        find_model(text)
