"""What `dagc lower SOURCE` names → Experiments."""

from __future__ import annotations

from pathlib import Path

from .catalogue import DEFAULT_MODEL, MODELS, find_model
from .cluster_text import default_cluster
from .description import described, read_description
from .model import Experiment
from .parsed import read_text
from .yaml_reader import parse_yaml

DESCRIPTIONS = (".yaml", ".yml")


def experiments_of(source: str | None) -> tuple[Experiment, ...]:
    """The experiments of a YAML description, of a model (name, config.json, folder), or the built-in one for None."""
    if source is None:
        file = MODELS / f"{DEFAULT_MODEL}.yaml"
        return described(parse_yaml(read_text(file), f"models/{file.name}"), MODELS)
    if source.lower().endswith(DESCRIPTIONS):
        return read_description(Path(source))
    cluster, assumed = default_cluster()
    return (Experiment((find_model(source),), cluster, strategies=(), assumed=assumed),)
