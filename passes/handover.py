"""handover: what a prefill hands over to the program that decodes, per cache, layer and in all.

    {"cache": "layers.attention.core.k_cache", "layers": "0-31", "repeat": 32, "from": "prefill", "to": "decode",
     "elements_per_layer": 33554432, "bytes_per_layer": 67108864, "bytes": 2147483648}

In sum over all that send: what those that keep it receive, which is a copy more for every copy that is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from ..ir.local import elements, nbytes, plain
from ..ir.module import layers_text, mesh_of, operators, plain_path, plan_of, sizes_of
from ..ir.op import tensor_of
from ..ir.ops.attention import KeepOp
from ..ir.ops.move import Mover


def handed_over(module: ModuleOp) -> Iterator[dict[str, Any]]:
    """Every cache that a lowered prefill leaves on other GPUs."""
    mesh, sizes, plan = mesh_of(module), sizes_of(module), plan_of(module)
    for op, repeat in operators(module):
        kept = tensor_of(op.out)
        if not isinstance(op, KeepOp) or repeat is None or (origin := _origin(op.operands[0])) == kept.pool:
            continue
        gpus, runs = mesh.ids(kept.pool).size, plan.micro_batches if plan else 1
        count, size = (each(mesh, sizes, kept) * gpus * runs for each in (elements, nbytes))
        yield {
            "cache": plain_path(op.path.data).rpartition(".")[0],
            "layers": layers_text(op, repeat),
            "repeat": repeat.count,
            "from": origin,
            "to": kept.pool,
            "elements_per_layer": plain(count),
            "bytes_per_layer": plain(size),
            "bytes": plain(size * repeat.count),
        }


def _origin(value: SSAValue) -> str:
    """The pool on which a value was made, before it was moved."""
    while isinstance(value.owner, Mover):
        value = value.owner.operands[0]
    return tensor_of(value).pool
