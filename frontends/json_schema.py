"""The JSON Schemas of the files that people write, for editors and for programs that write them: `dagc schema`.

    experiment      models, cluster, baseline, strategies, sizes    (description.py)
    strategy        axes and rules                                  (strategy_file.py)

They are made of the shapes that the readers check with, so that they say no more and no less. What fits no shape (33
heads, an axis that is not in the mesh) only the readers can say. Keys are texts, as in every YAML that dagc reads.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from .description import DescriptionText, SeveralText
from .strategy_shape import StrategyFile

KINDS: dict[str, tuple[Any, str]] = {
    "experiment": (DescriptionText | SeveralText, "Models, a cluster and parallel strategies that dagc lowers"),
    "strategy": (StrategyFile, "A parallel strategy of dagc"),
}
"""By name: a shape, and its title."""

MODELINE = "# yaml-language-server: $schema={file}"
"""The first line of a YAML that editors complete and check, with the path of the schema from there."""


def file_name(kind: str = "experiment") -> str:
    """
    >>> file_name()
    'experiment.schema.json'
    """
    return f"{kind}.schema.json"


def modeline(kind: str = "experiment") -> str:
    """
    >>> modeline()
    '# yaml-language-server: $schema=experiment.schema.json'
    """
    return MODELINE.format(file=file_name(kind))


def text(kind: str = "experiment") -> str:
    """The schema as a file holds it."""
    return json.dumps(json_schema(kind), indent=1, ensure_ascii=False) + "\n"


def json_schema(kind: str = "experiment") -> dict[str, Any]:
    """The schema (draft 2020-12) of a kind of file. KeyError for a kind that is none of `KINDS`."""
    shape, title = KINDS[kind]
    made = TypeAdapter(shape).json_schema(schema_generator=_Generator)
    head = {"$schema": _Generator.schema_dialect, "$id": f"urn:dagc:{file_name(kind)}", "title": title}
    return {"description": title} | head | made


class _Generator(GenerateJsonSchema):
    """Without titles that repeat names and defaults that say nothing; where keys have a form, no others are right."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        return {key: value for key, value in made.items() if key != "title"}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        said = isinstance(made.get("default"), int | float) or (
            isinstance(made.get("default"), str) and made["default"]
        )
        return made if said else {key: value for key, value in made.items() if key != "default"}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        return made | {"additionalProperties": False} if "patternProperties" in made else made
