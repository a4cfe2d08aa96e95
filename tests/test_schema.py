"""The published JSON Schema: it accepts every YAML that dagc reads, and refuses in shape what the readers refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from dagc import cli
from dagc.diagnostics import Refused
from dagc.frontends.description import described
from dagc.frontends.json_schema import KINDS, file_name, json_schema, modeline, text
from dagc.frontends.parsed import Parsed
from dagc.frontends.strategy_file import STRATEGIES, parse_strategy
from dagc.frontends.yaml_reader import parse_yaml, read_yaml

ROOT = Path(__file__).parent.parent
YAMLS = [*(ROOT / "tests" / "data").glob("*.yaml"), *(ROOT / "frontends" / "models").glob("*.yaml")]
YAMLS += [*(ROOT / "examples").rglob("deployments/*.yaml")]
MODEL = {"name": "x", "hidden": 64, "layers": 2, "heads": 8, "ffn": 128}
MESH = {"mesh": {"tp": "gpus"}}


def wrong(data: Any, kind: str = "experiment") -> list[str]:
    return [error.message for error in Draft202012Validator(json_schema(kind)).iter_errors(data)]


@pytest.mark.parametrize("kind", KINDS)
def test_is_a_schema_that_names_itself_and_says_what_each_key_means(kind: str) -> None:
    schema = json_schema(kind)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"].endswith(file_name(kind))
    assert schema["title"]
    for shape in (each for each in (schema, *schema["$defs"].values()) if "properties" in each):
        assert shape["description"]
        assert all(each.get("description") for each in shape.get("properties", {}).values()), shape["description"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_copy_in_the_documentation_is_what_the_command_prints(kind: str) -> None:
    printed = CliRunner().invoke(cli.main, ["schema", kind]).output
    assert printed == text(kind) == (ROOT / "docs" / file_name(kind)).read_text()


def test_the_modeline_names_the_file_beside_it() -> None:
    assert modeline() == "# yaml-language-server: $schema=experiment.schema.json"


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.name)
def test_accepts_every_file(path: Path) -> None:
    data = read_yaml(path).data
    assert wrong(data, "experiment" if {"model", "models"} & set(data) else "strategy") == []


@pytest.mark.parametrize("path", sorted(STRATEGIES.glob("*.yaml")), ids=lambda path: path.name)
def test_accepts_every_strategy(path: Path) -> None:
    body = read_yaml(path).data
    assert wrong(body, "strategy") == []
    assert wrong({"model": MODEL, "strategies": [{"mine": body}, path.stem]}) == []


def said_of(data: object) -> set[str]:
    """The codes with which the readers refuse it."""
    try:
        described(Parsed("x", data), ROOT)
    except Refused as refused:
        return {each.code for each in refused.diagnostics}
    return set()


PAPERS = sorted({*(ROOT / "tests" / "data").rglob("*.md"), *(ROOT / "tests" / "data").rglob("*.tex")})


def test_accepts_what_is_read_in_papers() -> None:
    written = [CliRunner().invoke(cli.main, ["read", str(path)]) for path in PAPERS]
    read = [parse_yaml(result.output, "experiment.yaml").data for result in written if result.exit_code == 0]
    assert read
    assert [wrong(data) for data in read] == [[] for _ in read]


def strategy(**body: object) -> dict[str, object]:
    return {"model": MODEL, "strategies": {"mine": {**MESH, **body}}}


def rule(**rule: object) -> dict[str, object]:
    return strategy(rules=[{"at": "*", **rule}])


RIGHT = {
    "a built-in model": {"model": "llama-3.1-8b"},
    "several models": {"models": ["llama-3.1-8b", MODEL]},
    "symbolic sizes": {"model": MODEL, "sizes": {"batch_size": "symbolic", "seq_len": 8}},
    "both phases": {"model": MODEL, "sizes": {"phase": ["prefill", "decode"], "kv_len": 9}},
    "quantities": {
        "model": MODEL,
        "cluster": {"memory": "96 GiB", "links": {"inside": 4.5e11, "across": "400 Gbit/s"}},
    },
    "kinds of GPUs": {"model": MODEL, "cluster": {"kinds": [{"gpu": "H100", "gpus": 8}, {"gpu": "A100", "gpus": 8}]}},
    "one strategy": {"model": MODEL, "strategies": "tp=8"},
    "orders": rule(cut={"tp": {"seq_len": "zigzag", "experts": [1, 0], "batch_size": {"sizes": [2, 1]}}}),
    "lifted": rule(cut={"tp": None}),
    "at several places": strategy(
        rules=[{"at": ["*.experts", "layers[0-3].attention"], "cut": {"tp": ["heads", "ffn"]}}]
    ),
    "a condition": rule(cut={"tp": "heads"}, when="seq_len>4096"),
    "a store": rule(store={"tp": ["hidden", "ffn"]}),
    "unpaid": rule(unpaid="tp"),
    "copies": rule(cut={"tp": "heads"}, replicate=2),
    "stages": {"model": MODEL, "strategies": {"mine": {"mesh": {"pp": 2}, "stages": {"axis": "pp", "layers": [1, 1]}}}},
    "a capacity": strategy(stages={"axis": "tp", "layers": "fit", "capacity": "900 MB", "of": ["weights"]}),
    "slots": strategy(experts={"slots": "gpus", "replicas": {"3": 2}}),
    "a placement": strategy(experts={"placement": [[0, 1], [1, 2]]}),
    "alternatives": strategy(alternatives={"this": {"rules": [{"at": "*", "cut": {"tp": "heads"}}]}, "that": {}}),
    "part of stages": strategy(stages={"axis": "tp"}, alternatives={"this": {"stages": {"layers": "uneven"}}}),
}
WRONG = {
    "no description": [],
    "a misspelt key": {"model": MODEL, "sise": {}},
    "a misspelt key of a model": {"model": {**MODEL, "hiden": 3}},
    "a model without width": {"model": {key: value for key, value in MODEL.items() if key != "hidden"}},
    "a number as text": {"model": {**MODEL, "heads": "8"}},
    "no heads": {"model": {**MODEL, "heads": 0}},
    "an unknown activation": {"model": {**MODEL, "activation": "tanh"}},
    "a truth value as number": {"model": {**MODEL, "gated": 1}},
    "a size in words": {"model": MODEL, "sizes": {"seq_len": "many"}},
    "an unknown phase": {"model": MODEL, "sizes": {"phase": "training"}},
    "a quantity of no unit": {"model": MODEL, "cluster": {"memory": "80 apples"}},
    "no memory": {"model": MODEL, "cluster": {"memory": 0}},
    "an axis in capitals": {"model": MODEL, "strategies": {"mine": {"mesh": {"TP": 2}}}},
    "an axis of no parts": {"model": MODEL, "strategies": {"mine": {"mesh": {"tp": 0}}}},
    "no pattern": rule(at="*..x", cut={"tp": "heads"}),
    "an unknown dimension": rule(cut={"tp": "haeds"}),
    "a condition in words": rule(cut={"tp": "heads"}, when="long sequences"),
    "an unknown cut into stages": strategy(stages={"axis": "tp", "layers": "odd"}),
    "stages of no layers": strategy(stages={"axis": "tp", "layers": [2, 0]}),
    "slots of none": strategy(experts={"slots": 0}),
    "no alternatives": strategy(alternatives={}),
    "an alternative with a misspelt key": strategy(alternatives={"this": {"rule": []}}),
}


@pytest.mark.parametrize("name", RIGHT)
def test_accepts_what_the_readers_accept_in_shape(name: str) -> None:
    assert wrong(RIGHT[name]) == []
    assert not said_of(RIGHT[name]) & {"wrong-type", "unknown-key"}


@pytest.mark.parametrize("name", WRONG)
def test_refuses_what_the_readers_refuse(name: str) -> None:
    assert said_of(WRONG[name])
    assert wrong(WRONG[name])


def test_a_strategy_of_the_readers_has_the_published_keys() -> None:
    body = {"mesh": {"tp": 2}, "rules": [{"at": "*", "cut": {"tp": "heads"}}]}
    assert parse_strategy(Parsed("x", body), "x").axes == (("tp", 2),)
    assert wrong(body, "strategy") == []
    assert json.loads(text("strategy"))["properties"]["mesh"]["description"]
