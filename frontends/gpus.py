"""The table of GPU types (`tables/gpus.yaml`), typed."""

from __future__ import annotations

from functools import cache
from typing import Annotated

from pydantic import Field, PlainValidator

from ..diagnostics import Refused
from .architectures import TABLES
from .quantity import LARGEST, TEXT, quantity
from .schema import Size, Strict, checked
from .yaml_reader import read_yaml

DEFAULT_GPU = "H100"

_Number = Annotated[float, Field(gt=0, le=LARGEST)]
_Text = Annotated[str, Field(pattern=f"^{TEXT}$", examples=["80 GB", "450 GB/s", "400 Gbit/s"])]
Quantity = Annotated[float, PlainValidator(quantity, json_schema_input_type=_Number | _Text)]


class Gpu(Strict):
    """Memory and cache in bytes; dense BF16 FLOP/s; links in bytes per second, one direction, per GPU.

    `also` lists other spellings.
    """

    memory: Quantity
    cache: Quantity | None = None
    flops: Quantity
    inside: Quantity
    across: Quantity
    gpus_per_node: Size
    also: list[str] = []


@cache
def gpus() -> dict[str, Gpu]:
    """GPU types by name."""
    found, problems = checked(dict[str, Gpu], read_yaml(TABLES / "gpus.yaml"))
    if found is None:
        raise Refused(*problems)
    return found


def find_gpu(name: str) -> tuple[str, Gpu] | None:
    """A GPU by any of its names, in any case: `find_gpu("h100-80gb")` → ("H100", …)."""
    for known, gpu in gpus().items():
        if name.strip().casefold() in (spelling.casefold() for spelling in (known, *gpu.also)):
            return known, gpu
    return None
