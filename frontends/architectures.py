"""The table of Hugging Face architectures (`tables/architectures.yaml`), typed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from ..diagnostics import Refused
from .schema import Strict, checked
from .yaml_reader import read_yaml

TABLES = Path(__file__).parent / "tables"

Kind = Literal["size", "layers", "count", "flag", "text", "texts", "maybe", "layer_list", "number", "scaling"]


class KeySpec(Strict):
    """What the value of a key must be, and what is assumed when the key is absent."""

    kind: Kind
    default: Any = None


class RoutingKeys(Strict):
    """Where an architecture states how tokens choose: the method (of `routing_methods`), and what it needs."""

    method: str
    scoring: str
    scale: str
    groups: str
    top_groups: str


class ExpertKeys(Strict):
    """Where an architecture states the facts of its mixture of experts: keys, or constants.

    Layer i routes to experts unless it is one of `dense_layers` or of the `dense_first`; with a `step`, only where
    i + `step_from` is a multiple of it. `shared_count` experts of an expert's width are shared as one.
    """

    experts: str | list[str]
    top_k: str
    width: str
    normalize: str | bool
    shared: str | None = None
    shared_count: str | None = None
    shared_gate: bool = False
    dense_layers: str | None = None
    dense_first: str | None = None
    step: str | None = None
    step_from: int = 1
    routing: RoutingKeys | None = None


class Method(Strict):
    """A method of choosing experts: a group's score is the sum of its `best` highest, and 0 limits to no groups;
    with `correction` a bias of every expert counts for the choice."""

    best: int
    correction: bool


class LatentKeys(Strict):
    """Where an architecture states the sizes of its latent attention."""

    q_rank: str
    kv_rank: str
    d_nope: str
    d_rope: str
    d_v: str


class Architecture(Strict):
    """Where an architecture states its facts: the name of a key, or a constant that holds for all its models."""

    model_type: str
    qkv_bias: str | bool = False
    o_bias: str | bool = False
    ffn_bias: str | bool = False
    qk_norm: bool = False
    window: Literal["never", "always", "switched", "from_layer", "alternating"] = "never"
    moe: ExpertKeys | None = None
    latent: LatentKeys | None = None
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
    ignored: dict[str, str]
    scorings: dict[str, str]
    routing_methods: dict[str, Method]
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
