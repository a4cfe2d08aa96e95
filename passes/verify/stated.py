"""What ports state, row by row. Guarantees:

* DIM2: in every port, local size × distinct parts = global size (of a merged dimension rounded up), as polynomials; a
  global size that is a number is a multiple of the runs that its order is made of; where parts are not equal, the local
  size is that of the part of every GPU that the port speaks of
* DIM3: names, global sizes and type of a row's result follow from those of its operands by its operator's own rule;
  what only moves, splits or joins changes none of them
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Deployment, Port, Row, Size
from ...ir.dims import Size as Symbolic
from ...ir.dims import Sizes, number, parse, same
from ...ir.layout import Dim, Tensor
from ...ir.local import plain
from ...ir.op import Operator, tensor_of
from ...ir.orders import divisor, portions, unequal
from .rows import about


def check(deployment: Deployment, sizes: Sizes) -> list[Diagnostic]:
    """Every port whose sizes do not fit. `sizes`: what the model's symbols stand for."""
    found: list[Diagnostic] = []
    for row in deployment.rows:
        for port, gpus in _ports(row):
            found += _parts(row, port)
            found += _unequal(row, port, gpus)
        found += _rule(row, sizes)
    return found


def _ports(row: Row) -> list[tuple[Port, np.ndarray]]:
    """Every port once, with the GPUs that it may speak of."""
    found = dict.fromkeys((*row.outputs, *row.weights), row.making) | dict.fromkeys(row.inputs, row.reading)
    return list(found.items())


def _unequal(row: Row, port: Port, gpus: np.ndarray) -> Iterator[Diagnostic]:
    """Of parts that are not equal: is the local size that of each GPU's, and does anyone have such a part?"""
    for name, local, whole, share in zip(port.names, port.local, port.whole, port.shares, strict=False):
        if share is not None and unequal(share.order):
            among = gpus[port.holds(gpus)] if gpus.size else np.flatnonzero(share.of >= 0)
            parts, held = portions(share.order)
            for each in np.unique(held[share.of[among]]).tolist():
                if not same(_size(local) * number(parts), _size(whole) * number(each)):
                    problem = f"{port.tensor}: {each}/{parts} of {name}={whole} are not {local}"
                    yield about("DIM2", row, problem, expected=f"{name}={whole}·{each}/{parts}", actual=str(local))
            if not among.size:
                yield about("DIM2", row, f"{port.tensor}: no GPU holds {name}={local} of {whole}")


def _parts(row: Row, port: Port) -> Iterator[Diagnostic]:
    for name, local, whole, share in zip(port.names, port.local, port.whole, port.shares, strict=False):
        parts = share.parts if share else 1
        equal = share is None or not unequal(share.order)
        if equal and not _fills(local, parts, whole, port.merges.startswith(f"{name} =")):
            problem = f"{port.tensor}: {parts} parts of {name}={local} are not {whole}"
            yield about("DIM2", row, problem, expected=f"{name}={whole} in all", actual=f"{parts} · {local}")
        if share and isinstance(whole, int) and whole % (runs := divisor(share.order)):
            problem = f"{port.tensor}: {name}={whole} is not cut into {runs} runs, of which its order is made"
            yield about("DIM2", row, problem, expected=f"a multiple of {runs}", actual=str(whole))


def _fills(local: Size, parts: int, whole: Size, merged: bool) -> bool:
    if isinstance(local, int) and isinstance(whole, int):
        return local == -(-whole // parts) if merged else local * parts == whole
    return same(_size(local) * number(parts), _size(whole))


def _size(size: Size) -> Symbolic:
    return number(size) if isinstance(size, int) else parse(size)


def _rule(row: Row, sizes: Sizes) -> Iterator[Diagnostic]:
    for port in row.outputs:
        expected = _expected(row, port, sizes)
        actual = f"[{', '.join(_dims(port.names, port.whole))}] {port.dtype}"
        if expected != actual:
            yield about("DIM3", row, "its result does not follow from its operands", expected=expected, actual=actual)


def _expected(row: Row, port: Port, sizes: Sizes) -> str:
    """The result that the operator's rule gives, or what the rule says against the operands."""
    if row.operator is None:
        source = row.inputs[0] if row.inputs else port
        return f"[{', '.join(_dims(source.names, source.whole))}] {source.dtype}"
    operands = {index: row.reads[slot] for slot, index in enumerate(row.operands)}
    if odd := _types(row.operator, operands) or _joint(row.operator, operands):
        return odd
    try:
        made = row.operator.infer([_tensor(operands[index]) for index in sorted(operands)])
    except (ValueError, StopIteration, KeyError, IndexError) as error:
        return str(error) or "operands that fit its rule"
    whole = tuple(plain(sizes.shown(dim.size)) for dim in made.dims)
    return f"[{', '.join(_dims(made.names, whole))}] {made.dtype}"


def _types(op: Operator, operands: dict[int, Port]) -> str:
    """Where an operand is of another element type than the operator takes."""
    wanted = {index: tensor_of(value).dtype for index, value in enumerate(op.operands)}
    odd = (index for index, port in operands.items() if port.dtype != wanted.get(index))
    return next((f"operand {index} in {wanted.get(index)}, not {operands[index].dtype}" for index in odd), "")


def _joint(op: Operator, operands: dict[int, Port]) -> str:
    """Where operands give one name of the joint space two sizes."""
    sizes: dict[str, Size] = {}
    for index, port in operands.items():
        joint = op.operand_names(index)
        for name, size in zip(port.names, port.whole, strict=True):
            if sizes.setdefault(joint.get(name, name), size) != size:
                return f"one {joint.get(name, name)} in all operands, not {sizes[joint.get(name, name)]} and {size}"
    return ""


def _tensor(port: Port) -> Tensor:
    dims = zip(port.names, port.whole, strict=True)
    return Tensor(tuple(Dim(name, _size(size)) for name, size in dims), port.dtype)


def _dims(names: tuple[str, ...], sizes: tuple[Size, ...]) -> list[str]:
    return [f"{name}={size}" for name, size in zip(names, sizes, strict=True)]
