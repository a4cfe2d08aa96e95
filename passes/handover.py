"""handover: what a prefill hands over to the program that decodes, per cache, layer and in all.

    {"cache": "layers.attention.core.k_cache", "layers": "0-31", "repeat": 32, "from": "prefill", "to": "decode",
     "elements_per_layer": 33554432, "bytes_per_layer": 67108864, "bytes": 2147483648}

In sum over all that send: what those that keep it receive, which is a copy more for every copy that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from ..ir.dims import Size, Sizes, number
from ..ir.layout import Tensor
from ..ir.local import elements, kinds, nbytes, plain
from ..ir.mesh import Mesh
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
        runs = plan.micro_batches if plan else 1
        count, size = (_of_all(each, mesh, sizes, kept) * runs for each in (elements, nbytes))
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


def _of_all(each: Callable[[Mesh, Sizes, Tensor, int], Size], mesh: Mesh, sizes: Sizes, kept: Tensor) -> Size:
    """What all GPUs of its pool hold: as much each, or as much as those of their kind."""
    which = kinds(mesh, kept.pool, kept.dims)
    if which is None:
        return each(mesh, sizes, kept, 0) * mesh.ids(kept.pool).size
    _, first, counts = np.unique(which, return_index=True, return_counts=True)
    held = (each(mesh, sizes, kept, at) * count for at, count in zip(first.tolist(), counts.tolist(), strict=True))
    return sum(held, start=number(0))


def _origin(value: SSAValue) -> str:
    """The pool on which a value was made, before it was moved."""
    while isinstance(value.owner, Mover):
        value = value.owner.operands[0]
    return tensor_of(value).pool
