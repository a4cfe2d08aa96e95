"""Kinds of options that several flags share."""

from __future__ import annotations

from typing import Any

import click

DTYPES = {
    "bfloat16": "bf16", "float16": "f16", "float32": "f32", "fp8": "f8", "half": "f16",
    "bf16": "bf16", "f16": "f16", "f32": "f32", "f8": "f8",
}  # fmt: skip
"""vLLM's names of element types, and dagc's own."""


class _Size(click.ParamType):
    """A positive number, or `symbolic`."""

    name = "N|symbolic"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if isinstance(value, int) or value == "symbolic":
            return value
        if str(value).isdigit() and 0 < int(value) < 10**12:
            return int(value)
        self.fail(f"{value!r} is neither a positive number nor 'symbolic'", param, ctx)


SIZE = _Size()
POSITIVE = click.IntRange(min=1, max=1 << 24)
