"""How the layers are cut into pipeline stages, as a strategy file or `--stages` says it.

stages: {axis: pp, layers: even}        # or uneven, or the layers of each stage: [24, 24, 23, 23]
stages: {axis: pp, layers: flops}       # so that the stages take equally long on their GPUs, and fit their memory
stages: {axis: pp, layers: fit}         # so that the largest stage is as small as can be, and fits
  capacity: 900 MB                      # what is to fit: bytes of a GPU, or its memory or cache; memory if not said
  of: [weights, activations, buffers]   # what counts; [weights, kv_cache, peak] if not said
  how: fewest                           # fill stage after stage; balanced if not said
stages: {axis: pp, layers: even, chunks: 2}     # interleaved: so many runs of layers a stage, dealt out in turn

An axis without a size, and without a number of GPUs, gets as few stages as fit.

Of the parts, `weights` and `kv_cache` stay; `activations` are each layer's result and `buffers` its largest
intermediate of other dimensions, kept for every layer (summed); `peak` is all that lives at once while a layer runs,
one layer after another in the same place (reused).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from ..diagnostics import Diagnostic, Refused
from ..ir.plan import Fit, Stages
from .gpus import Quantity
from .parsed import Parsed, shown
from .quantity import quantity
from .schema import MAX_LAYERS, Layers, Strict

CUTS = ("even", "uneven", "fit", "flops")
CAPACITIES = ("memory", "cache")
EXPECTED = "even, uneven, fit, flops, or the layers of each stage, such as 24,24,23,23"


def _layers(value: Any) -> str | tuple[int, ...]:
    if value in CUTS:
        return str(value)
    whole = isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in value)
    if whole and 0 < len(value) <= MAX_LAYERS and all(0 < n <= MAX_LAYERS for n in value):
        return tuple(value)
    raise ValueError("even, uneven, fit, flops, or a list with the number of layers of each stage")


def _capacity(value: Any) -> int | str:
    if value in CAPACITIES:
        return str(value)
    try:
        return int(quantity(value))
    except ValueError as error:
        raise ValueError(f"{' or '.join(CAPACITIES)}, or {error}") from error


_Cut = Literal["even", "uneven", "fit", "flops"]
_Counts = Annotated[list[Layers], Field(min_length=1, max_length=MAX_LAYERS)]
_Capacity = Literal["memory", "cache"]


class StagesText(Strict):
    """How the layers are cut into pipeline stages."""

    axis: str
    """The axis of the mesh whose parts are the stages."""
    layers: Annotated[Any, PlainValidator(_layers, json_schema_input_type=_Cut | _Counts)] = "even"
    """Equally many layers, as equal as can be, the layers of each stage, or what costs decide: bytes (fit) or flops."""
    capacity: Annotated[Any, PlainValidator(_capacity, json_schema_input_type=_Capacity | Quantity)] | None = None
    """What a stage is to fit: bytes of a GPU, or its memory or cache."""
    of: Annotated[list[Literal["weights", "kv_cache", "activations", "buffers", "peak"]], Field(max_length=5)] = []
    """What counts against the capacity."""
    how: Literal["fewest", "balanced"] | None = None
    """Fill stage after stage, or make the largest as small as can be."""
    chunks: Annotated[int, Field(ge=1, le=MAX_LAYERS)] = 1
    """Interleaved: so many runs of layers a stage, dealt out in turn."""


def stages_of(text: StagesText, where: str) -> Stages:
    """The cut that a file asks for."""
    if text.layers not in ("fit", "flops"):
        return Stages(text.axis, text.layers, where, text.chunks)
    by = "flops" if text.layers == "flops" else "bytes"
    return Stages(text.axis, Fit(by, text.capacity or "memory", tuple(text.of), text.how or ""), where)


def stages_problems(text: StagesText, parsed: Parsed) -> Iterator[Diagnostic]:
    """Keys that say nothing about a cut of this kind."""
    if text.chunks > 1 and text.layers in ("fit", "flops"):
        hint = "remove chunks, or list the layers of each"
        problem = "stages that costs decide are contiguous: they have no chunks"
        yield Diagnostic("stages", problem, parsed.where("chunks"), hint=hint)
    takes = {"fit": ("capacity", "of", "how"), "flops": ("capacity", "of")}.get(text.layers, ())
    for key in ("capacity", "of", "how"):
        if getattr(text, key) and key not in takes:
            hint = f"remove it, or write layers: {'fit' if key == 'how' else 'fit or flops'}"
            yield Diagnostic(
                "stages", f"{key} says nothing about {shown(text.layers)} stages", parsed.where(key), hint=hint
            )


def interleaved(stages: Stages, count: int, layers: int, each: int) -> Stages:
    """So many stages, dealt out runs of `each` layers in turn. Refused where the layers are no whole rounds."""
    if isinstance(stages.layers, Fit) or layers % (count * each):
        works = [str(n) for n in range(1, layers // count + 1) if layers % (count * n) == 0]
        raise Refused(
            Diagnostic(
                "stages",
                f"{count} stages cannot be dealt out runs of {each} layers each",
                "--num-layers-per-virtual-pipeline-stage",
                expected=f"one of {', '.join(works)}: {layers} layers in whole rounds" if works else f"{layers} layers",
                actual=str(each),
                hint="give no --stages fit or flops beside it" if isinstance(stages.layers, Fit) else "",
            )
        )
    return replace(stages, layers="even", chunks=layers // (count * each))


def stage_layers(text: str) -> str | tuple[int, ...] | Fit:
    """`--stages`: a word, or counts such as `24,24,23,23`. Refused for anything else."""
    word = text.strip().lower()
    if word in ("fit", "flops"):
        return Fit("flops" if word == "flops" else "bytes")
    if word in CUTS:
        return word
    if len(word) < 10 * MAX_LAYERS and re.fullmatch(r"\s*[1-9][0-9]{0,4}\s*(,\s*[1-9][0-9]{0,4}\s*)*", word):
        return tuple(int(count) for count in word.split(","))
    raise Refused(Diagnostic("stages", "--stages has a wrong value", "--stages", EXPECTED, shown(text)))
