"""The table of Hugging Face architectures (`tables/architectures.yaml`), typed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from ..diagnostics import Refused
from .schema import Strict, checked
from .yaml_reader import read_yaml

TABLES = Path(__file__).parent / "tables"

Kind = Literal["size", "layers", "count", "flag", "text", "texts", "window", "layer_list", "number"]


class KeySpec(Strict):
    """What the value of a key must be, and what is assumed when the key is absent."""

    kind: Kind
    default: Any = None


class ExpertKeys(Strict):
    """Where an architecture states the facts of its mixture of experts: keys, or constants."""

    experts: str | list[str]
    top_k: str
    width: str
    normalize: str | bool
    shared: str | None = None
    shared_gate: bool = False
    dense_layers: str | None = None
    step: str | None = None


class Architecture(Strict):
    """Where an architecture states its facts: the name of a key, or a constant that holds for all its models."""

    model_type: str
    qkv_bias: str | bool = False
    o_bias: str | bool = False
    ffn_bias: str | bool = False
    qk_norm: bool = False
    window: Literal["never", "always", "switched", "from_layer", "alternating"] = "never"
    moe: ExpertKeys | None = None
    defaults: dict[str, Any] = {}


class Unsupported(Strict):
    """A key that dagc cannot compile, the values with which it changes nothing, and what it stands for."""

    unless: list[Any]
    why: str


class Table(Strict):
    keys: dict[str, KeySpec]
    architectures: dict[str, Architecture]
    dtypes: dict[str, str]
    activations: dict[str, str]
    unsupported: dict[str, Unsupported]
    storage: list[str]
    no_influence: list[str]

    def by_model_type(self, model_type: str) -> str | None:
        """The architecture that configurations of this model type have when they name none."""
        return next((name for name, spec in self.architectures.items() if spec.model_type == model_type), None)


@cache
def table() -> Table:
    """The table, read once."""
    found, problems = checked(Table, read_yaml(TABLES / "architectures.yaml"))
    if found is None:
        raise Refused(*problems)
    return found
