"""What must hold before anything else may be asked of a module. Guarantees:

* the module holds operators and repeats; a repeat holds operators and ends in one yield of the value it carries
* every operator satisfies its declaration and its own rule: result names and sizes follow from its operands
* a tensor names each dimension once, every size is positive, and every cut is in an order that there is
* the axes of a pool are distinct and positive, an axis has one size, pools are disjoint; a machine can hold the GPUs
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, lru_cache, partial

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ...diagnostics import Diagnostic
from ...ir import orders
from ...ir.dims import Number, Size, Sizes, as_number, free_symbols, number, substitute
from ...ir.layout import Tensor
from ...ir.mesh import HOST, Grid, Mesh
from ...ir.module import mesh_of, sizes_of
from ...ir.op import Operator
from ...ir.ops.program import InputOp, OutputOp, RepeatOp, YieldOp
from ...ir.types import TensorType
from .findings import finding

MAX_GPUS = 1 << 24


def check(module: ModuleOp) -> list[Diagnostic]:
    """Every breach of the structure."""
    is_size = cache(partial(_is_size, sizes_of(module)))
    found = [finding("ill-formed", module, problem) for problem in _mesh(mesh_of(module))]
    for op in module.walk():
        if op is not module:
            problems = [*_standing(op, module), *_rule(op), *_types(op, is_size)]
            found += [finding("ill-formed", op, problem) for problem in problems]
    return found


def _mesh(mesh: Mesh) -> Iterator[str]:
    odd = [problem for grid in mesh.grids for problem in _grid(grid, mesh)]
    if len(set(mesh.pools)) < len(mesh.pools) or HOST in mesh.pools:
        odd.append(f"pools are named alike, or as the host is: {', '.join(mesh.pools)}")
    if not odd and mesh.gpus > MAX_GPUS:
        odd.append(f"the mesh has {mesh.gpus} GPUs, more than {MAX_GPUS}")
    yield from odd
    if not odd and not _disjoint(mesh):
        yield f"the pools of the mesh are not GPUs 0 to {mesh.gpus - 1}, each once"


def _grid(grid: Grid, mesh: Mesh) -> Iterator[str]:
    if len(set(grid.names)) < len(grid.names):
        yield f"pool {grid.name} names an axis twice: {', '.join(grid.names)}"
    if any(size < 1 for _, size in grid.axes):
        yield f"an axis of {grid.name} has no GPUs"
    if other := [axis for axis, size in grid.axes if size != mesh.sizes[axis]]:
        yield f"axis {other[0]} has two sizes"
    if grid.strides and len(grid.strides) != len(grid.axes):
        yield f"{grid.name} has {len(grid.strides)} strides for {len(grid.axes)} axes"


@lru_cache(maxsize=64)
def _disjoint(mesh: Mesh) -> bool:
    ids = np.concatenate([mesh.ids(pool).reshape(-1) for pool in mesh.pools])
    return bool(ids.min() >= 0 and ids.max() < mesh.gpus and (np.bincount(ids, minlength=mesh.gpus) == 1).all())


def _standing(op: Operation, module: ModuleOp) -> Iterator[str]:
    """Does the operator stand where its kind may?"""
    parent = op.parent_op()
    if not isinstance(op, Operator | RepeatOp | YieldOp):
        yield f"{op.name} is no operator of a deployment"
    elif isinstance(op, YieldOp):
        if not (isinstance(parent, RepeatOp) and op.next_op is None):
            yield "a yield ends a repeated body, and stands nowhere else"
    elif isinstance(op, RepeatOp | InputOp | OutputOp) and parent is not module:
        yield f"{op.name} stands inside a repeated body"
    if isinstance(op, RepeatOp) and not _has_body(op):
        yield "a repeated body is one block that takes one value and ends in a yield"


def _has_body(op: RepeatOp) -> bool:
    blocks = list(op.body.blocks)
    return len(blocks) == 1 and len(blocks[0].args) == 1 and isinstance(blocks[0].last_op, YieldOp)


def _rule(op: Operation) -> Iterator[str]:
    """xDSL's check of one operator; its own would append the text of the whole module to the message."""
    try:
        op.verify_()
    except Exception as error:  # rules of operators index their operands freely; whatever they trip over is a finding
        yield str(error) if str(error) and not isinstance(error, LookupError) else f"its rule cannot apply: {error!r}"


def _types(op: Operation, is_size: Callable[[Size], bool]) -> Iterator[str]:
    for result in op.results:
        if isinstance(result.type, TensorType):
            yield from _tensor(result.type.data, is_size)


def _tensor(tensor: Tensor, is_size: Callable[[Size], bool]) -> Iterator[str]:
    if len(set(tensor.names)) < len(tensor.names):
        yield f"a tensor names a dimension twice: {', '.join(tensor.names)}"
    for dim in tensor.dims:
        if not is_size(dim.size):
            yield f"{dim.name} = {dim.size} is no positive size"
        for order in map(orders.order_of, dim.cuts):
            if problem := orders.problem(order):
                yield f"{dim.name} is cut in order {order}, which {problem}"
            elif order == orders.UNEVEN:
                yield f"{dim.name} is cut {order}, which does not say how many units are dealt"


def _is_size(sizes: Sizes, size: Size) -> bool:
    """A positive number, as labels show it and as volumes count it, at least where all that is free is 1."""
    try:
        values = [_at_one(meaning(size)) for meaning in (sizes.shown, sizes.exact)]
    except ArithmeticError:
        return False
    return all(value is not None and value > 0 for value in values)


def _at_one(size: Size) -> Number | None:
    return as_number(substitute(size, {name: number(1) for name in free_symbols(size)}))
