"""Two programs, one cache: what a prefill leaves is what a step finds. Guarantees, of both lowered modules:

* every cache of every layer that the step finds is one that the prefill keeps, and the other way round, of one type
* on every GPU it is the same part: index sets are compared dimension by dimension; of kv_len those of the prompt, which
  are the first rows of a cache that has room for the tokens that follow
* sequences are those of the whole batch, in however many micro-batches each program runs

A size that is left unbound is compared at one that both cut.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir import orders
from ...ir.dims import as_number
from ...ir.layout import Dim, Tensor
from ...ir.module import mesh_of, offset_of, operators, plain_path, plan_of, sizes_of
from ...ir.op import Operator, tensor_of
from ...ir.ops.attention import KeepOp
from ...ir.ops.program import StateOp
from .coverage import ranges
from .findings import finding, site
from .rows import gpus_text

Cache = tuple[str, int]
"""Path without layer numbers, and layer."""


def check(prefill: ModuleOp, decode: ModuleOp) -> list[Diagnostic]:
    """Every cache that is not found as it was left."""
    left, found = _caches(prefill, KeepOp), _caches(decode, StateOp)
    problems = [
        *_lacking(found, left, "the step finds, the prefill does not leave"),
        *_lacking(left, found, "the prefill leaves, the step does not find"),
    ]
    pairs: dict[tuple[Operator, Operator], list[int]] = defaultdict(list)
    for (path, layer), op in found.items():
        if (path, layer) in left:
            pairs[left[path, layer], op].append(layer)
    one, other = _Holder.of(prefill), _Holder.of(decode)
    for (kept, state), layers in pairs.items():
        for problem, expected, actual in _differences(one, tensor_of(kept.out), other, tensor_of(state.out)):
            said = f"in layers {ranges(layers)} {problem}"
            hint = "let rules cut both alike; where the cache grows, cut kv_len strided or not at all"
            problems.append(finding("handover", state, said, expected=expected, actual=actual, hint=hint))
    return problems


def facts(prefill: ModuleOp, decode: ModuleOp) -> list[str]:
    """What was compared, in words."""
    found = _caches(decode, StateOp)
    gpus = {gpu for op in set(found.values()) for gpu in mesh_of(decode).ids(tensor_of(op.out).pool).reshape(-1)}
    return [f"{len(found)} caches, each on {len(gpus)} GPUs, as {len(_caches(prefill, KeepOp))} were left there"]


def _caches(module: ModuleOp, kind: type[Operator]) -> dict[Cache, Operator]:
    """By the cache that they are of: what stands beneath its path."""
    return {
        (plain_path(op.path.data).rpartition(".")[0], layer): op
        for op, repeat in operators(module)
        if isinstance(op, kind) and repeat
        for layer in range(repeat.span[0] + offset_of(op), repeat.span[1] + 1, repeat.span[2])
    }


def _lacking(have: dict[Cache, Operator], other: dict[Cache, Operator], problem: str) -> Iterator[Diagnostic]:
    lacking: dict[str, list[int]] = defaultdict(list)
    for path, layer in have.keys() - other.keys():
        lacking[path].append(layer)
    for path, layers in sorted(lacking.items()):
        yield Diagnostic("handover", f"{path} of layers {ranges(layers)}: {problem}", site(have[path, layers[0]]))


@dataclass(frozen=True)
class _Holder:
    """A program by what its GPUs hold: part by part, of the whole batch."""

    module: ModuleOp
    runs: int

    @staticmethod
    def of(module: ModuleOp) -> _Holder:
        plan = plan_of(module)
        return _Holder(module, plan.micro_batches if plan else 1)

    def size(self, dim: Dim) -> int | None:
        """Of all micro-batches; None where it is left unbound."""
        size = as_number(sizes_of(self.module).shown(dim.size))
        return size * (self.runs if dim.name == "batch_size" else 1) if isinstance(size, int) else None

    def cuts(self, dim: Dim) -> orders.Levels:
        sizes = mesh_of(self.module).sizes
        return tuple((sizes[orders.axis_of(cut)], orders.order_of(cut)) for cut in dim.cuts)

    def gpus(self, pool: str) -> np.ndarray:
        """Ascending, as the parts of `part` are."""
        return np.sort(mesh_of(self.module).ids(pool).reshape(-1))

    def part(self, pool: str, dim: Dim) -> np.ndarray:
        """The part of a dimension that each GPU holds."""
        mesh = mesh_of(self.module)
        return mesh.coordinate(pool, dim.axes)[np.argsort(mesh.ids(pool).reshape(-1))]


def _differences(one: _Holder, left: Tensor, other: _Holder, found: Tensor) -> Iterator[tuple[str, str, str]]:
    """(problem, as it was left, as it is looked for)."""
    if (left.names, left.dtype) != (found.names, found.dtype):
        yield "is another tensor than was left", f"{left.names} {left.dtype}", f"{found.names} {found.dtype}"
        return
    mine, its = one.gpus(left.pool), other.gpus(found.pool)
    if not np.array_equal(mine, its):
        yield "is looked for on other GPUs than it was left on", gpus_text(mine), gpus_text(its)
        return
    for a, b in zip(left.dims, found.dims, strict=True):
        yield from _along(one, (left.pool, a), other, (found.pool, b))


def _along(one: _Holder, a: tuple[str, Dim], other: _Holder, b: tuple[str, Dim]) -> Iterator[tuple[str, str, str]]:
    """Of one dimension, on the first GPU where it is not the same."""
    name = a[1].name
    sizes = [one.size(a[1]), other.size(b[1])]
    levels = [one.cuts(a[1]), other.cuts(b[1])]
    if None in sizes:
        sizes = [lcm(*map(orders.divisor, levels))] * 2
    rows, room = (size or 0 for size in sizes)
    if rows > room or (rows < room and name != "kv_len"):
        yield f"has another {name} than was left", str(rows), str(room)
        return
    tables = [orders.indices(cuts, size) for cuts, size in zip(levels, (rows, room), strict=True)]
    parts = np.stack([one.part(*a), other.part(*b)])
    for first, second in np.unique(parts, axis=1).T.tolist():
        have, want = tables[0][first], tables[1][second]
        if not np.array_equal(have, want[want < rows]):
            gpu = one.gpus(a[0])[(parts[0] == first) & (parts[1] == second)][0]
            yield f"GPU {gpu} looks for another part of {name} than was left there", _text(have), _text(want)
            return


def _text(held: np.ndarray) -> str:
    shown = ", ".join(map(str, held[:6].tolist()))
    return f"{shown}, … ({len(held)})" if len(held) > 6 else shown
