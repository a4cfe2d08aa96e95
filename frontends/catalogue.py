"""The models that come with dagc (`models/`), and finding a model by what a user calls it.

mixtral-8x7b · Mixtral-8x7B-v0.1 · mistralai/Mixtral-8x7B-v0.1     the built-in model
./my-model · ./my-model/config.json                                a configuration of the user's
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from ..diagnostics import Diagnostic, Refused, nearest
from .huggingface import model_of, read_config
from .json_reader import parse_json
from .model import Model
from .model_text import described_model
from .parsed import read_text, shown
from .yaml_reader import parse_yaml

MODELS = Path(__file__).parent / "models"
DEFAULT_MODEL = "moe-16x16"
LONGEST_NAME = 200

_DECORATION = re.compile(r"^meta-|-hf$|-v0\.1$|-instruct$")
"""Parts of a published name that say nothing about the model's shape."""


def find_model(text: str, base: Path | None = None) -> Model:
    """A model by built-in name, path or folder (relative to `base`). Refused as unknown-model, saying what is close."""
    if text.casefold() in builtin_names():
        return builtin_model(text.casefold())
    path = (base or Path()) / text
    if text and (os.path.isfile(path) or os.path.isdir(path)):
        return read_config(path)
    name = text.replace("\\", "/").rsplit("/", 1)[-1].casefold()[:LONGEST_NAME]
    while name not in builtin_names() and _DECORATION.search(name):
        name = _DECORATION.sub("", name)
    if name not in builtin_names():
        problem = f"no built-in model, file or folder is called {shown(text)}"
        raise Refused(Diagnostic("unknown-model", problem, hint=nearest(name, builtin_names())))
    return builtin_model(name)


def builtin_models() -> list[Model]:
    """All models that come with dagc, by name."""
    return [builtin_model(name) for name in builtin_names()]


@cache
def builtin_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in MODELS.iterdir() if path.suffix in (".json", ".yaml")))


@cache
def builtin_model(name: str) -> Model:
    """A model that comes with dagc, its locations relative to the package."""
    file = MODELS / f"{name}.json"
    if file.is_file():
        return model_of(parse_json(read_text(file), f"models/{file.name}"), name)
    parsed = parse_yaml(read_text(file.with_suffix(".yaml")), f"models/{name}.yaml")
    return model_or_refused(described_model(parsed.under("model")))


def model_or_refused(found: tuple[Model | None, Iterable[Diagnostic]]) -> Model:
    model, problems = found
    if model is None:
        raise Refused(*problems)
    return model
