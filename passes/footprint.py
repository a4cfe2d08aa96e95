"""footprint: what every layer of a lowered module takes of one GPU, for solvers that deal layers out to stages.

    32 equal layers, 8 × 1,024 tokens   →   weights [100680704] * 32, activations [33554432] * 32, …

Bytes and FLOPs are counted as `measure` counts them. What comes before the layers counts to the first of them, what
comes after to the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ..ir.chunks import chunk_sizes
from ..ir.dims import Size, as_number
from ..ir.local import nbytes
from ..ir.module import mesh_of, offset_of, plan_of, sizes_of
from ..ir.op import Operator, Role, tensor_of
from ..ir.ops.attention import CACHES
from ..ir.ops.program import RepeatOp, WeightOp
from .liveness import alive
from .measure import flops, stored
from .partition import Load

SUMMED = ("weights", "kv_cache", "activations", "buffers")
"""What each layer takes for itself: its parameters, its keys and values, its result, its largest intermediate (values
of the result's dimensions, as norms make, are not counted: they take the result's place)."""
SHARED = ("peak",)
"""What layers take in turn: all values alive at once while one of them runs."""
PARTS = (*SUMMED, *SHARED)
DEFAULT = ("weights", "kv_cache", "peak")
"""What a GPU needs: the parts that DEP5 adds up."""


@dataclass(frozen=True)
class Footprint:
    """Per layer, int64 [layers] each: bytes of every part, and FLOPs. `tied`: bytes that the two ends share."""

    parts: dict[str, np.ndarray]
    flops: np.ndarray
    tied: int

    def load(self, of: Iterable[str]) -> Load:
        """What stages take, counting these parts."""
        of = set(of)
        none = np.zeros_like(self.flops)
        summed = sum((self.parts[part] for part in SUMMED if part in of), none)
        shared = sum((self.parts[part] for part in SHARED if part in of), none)
        return Load(summed, shared, self.tied if "weights" in of else 0)

    @property
    def work(self) -> Load:
        return Load(self.flops, np.zeros_like(self.flops))


def footprint(module: ModuleOp, fused: bool = True) -> Footprint:
    """Of a lowered module of one pool, its sizes bound: bytes as a GPU holds them, FLOPs of one micro-batch."""
    plan, mesh, sizes = plan_of(module), mesh_of(module), sizes_of(module)
    (pool,), runs = mesh.pools, plan.micro_batches if plan else 1
    repeats = [op for op in module.ops if isinstance(op, RepeatOp)]
    count, result = repeats[-1].span[1] + 1, tensor_of(repeats[-1].out).names
    parts = {part: np.zeros(count, dtype=np.int64) for part in PARTS}
    work, tied = np.zeros(count, dtype=np.int64), 0
    for op, layers, inside in _placed(module, count):
        work[layers] += sum(_number(flops(mesh, run, op)) for run in chunk_sizes(module))
        size = _number(nbytes(mesh, sizes, tensor_of(op.out)))
        if isinstance(op, WeightOp):
            parts["weights"][layers] += size
            tied += size if op.tied else 0
        elif isinstance(op, CACHES):
            parts["kv_cache"][layers] += size * runs
        else:
            size = _number(stored(mesh, sizes, op.out, fused))
            if tensor_of(op.out).names != result:
                parts["buffers"][layers] = np.maximum(parts["buffers"][layers], size)
            elif inside:  # the last one that is left is the layer's result
                parts["activations"][layers] = size
    for op, total in alive(module, pool, lambda value: stored(mesh, sizes, value, fused)):
        layers = _layers(op, module, count)
        parts["peak"][layers] = np.maximum(parts["peak"][layers], _number(total))
    return Footprint(parts, work, tied)


def _placed(module: ModuleOp, count: int) -> Iterator[tuple[Operator, slice, bool]]:
    """Every operator on GPUs, the layers it counts to, and whether it stands inside them."""
    for op in module.ops:
        if isinstance(op, RepeatOp):
            first, last, period = op.span
            for inner in op.body.block.ops:
                if isinstance(inner, Operator):
                    yield inner, slice(first + offset_of(inner), last + 1, period), True
        elif isinstance(op, Operator) and op.RULE.role is not Role.HOST:
            yield op, _layers(op, module, count), False


def _layers(op: Operation, module: ModuleOp, count: int) -> slice:
    """The layers that an operation of the program counts to."""
    if isinstance(op, RepeatOp):
        return slice(op.span[0], op.span[1] + 1)
    first = next(repeat for repeat in module.ops if isinstance(repeat, RepeatOp))
    return slice(0, 1) if op.is_before_in_block(first) else slice(count - 1, count)


def _number(size: Size) -> int:
    value = as_number(size)
    assert value is not None, "sizes are bound"
    return ceil(value)
