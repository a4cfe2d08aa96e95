"""How the pure data of the IR stands in xDSL: the tensor type, sizes and mesh, printed and parsed.

!dag.tensor<[batch_size = B / dp, seq_len = S / sp zigzag, heads = 64 / tp], bf16, owes sum over cp, on stage0>
#dag.sizes<[B = 128, S], [T = 16*ceildiv(2*B*S, 256) exactly B*S/8]>
#dag.mesh<[stage0 [tp = 8], stage1 [tp = 8]], stages pp>       a pool in the midst of others: p [dp = 2] from 1 by [4]
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import TypeVar

from xdsl.ir import Data, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from . import debts, dims, orders
from .layout import DTYPE_BITS, Dim, Tensor
from .mesh import Grid, Mesh
from .plan import Axis

T = TypeVar("T")


@irdl_attr_definition
class TensorType(Data[Tensor], TypeAttribute):
    """A value: named dimensions with the axes that cut them, dtype, debts, pool."""

    name = "dag.tensor"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Tensor:
        with parser.in_angle_brackets():
            dimensions = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, lambda: _parse_dim(parser))
            parser.parse_characters(",")
            dtype = one_of(parser, DTYPE_BITS)
            owes, pool = (), ""
            while parser.parse_optional_punctuation(","):
                if parser.parse_optional_keyword("owes"):
                    kind = one_of(parser, debts.KINDS)
                    parser.parse_keyword("over")
                    owes += tuple(debts.debt(axis, kind) for axis in items(parser, lambda: axis_name(parser)))
                else:
                    parser.parse_keyword("on")
                    pool = parser.parse_identifier()
        return Tensor(tuple(dimensions), dtype, owes, pool)

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(_tensor_text(self.data))


@lru_cache(maxsize=8192)
def _tensor_text(tensor: Tensor) -> str:
    owes = "".join(f", owes {kind} over [{', '.join(axes)}]" for kind, axes in debts.by_kind(tensor.owes))
    pool = f", on {tensor.pool}" if tensor.pool else ""
    return f"<[{', '.join(map(_dim_text, tensor.dims))}], {tensor.dtype}{owes}{pool}>"


def _dim_text(dim: Dim) -> str:
    return f"{dim.name} = {dims.text(dim.size)}" + "".join(f" / {axis}" for axis in dim.cuts)


def _parse_dim(parser: AttrParser) -> Dim:
    name = parser.parse_identifier()
    parser.parse_punctuation("=")
    size = _parse_size(parser)
    cuts = []
    while parser.parse_optional_characters("/"):
        cuts.append(orders.cut(axis_name(parser), parse_order(parser)))
    return Dim(name, size, tuple(cuts))


def parse_order(parser: AttrParser) -> str:
    """Nothing (contiguous), a name with or without a block (`strided 2`), a table, or sizes; `ring` before any."""
    at = parser.pos
    if parser.parse_optional_keyword(orders.RING):
        return _right(parser, at, orders.order_of(orders.passed(orders.cut("", parse_order(parser)))))
    chunks, sizes = (
        parser.parse_optional_comma_separated_list(kind, lambda: parser.parse_integer(allow_boolean=False))
        for kind in (parser.Delimiter.SQUARE, parser.Delimiter.PAREN)
    )
    if chunks is not None:
        order = orders.table(chunks)
    elif sizes is not None:
        order = orders.listed(sizes)
    elif (name := parser.parse_optional_identifier()) is not None:
        block = parser.parse_optional_integer(allow_boolean=False, allow_negative=False)
        order = name if block is None else f"{name} {block}"
    else:
        return orders.CONTIGUOUS
    return _right(parser, at, order)


def _right(parser: AttrParser, at: int, order: str) -> str:
    """An order that there is."""
    if problem := orders.problem(order):
        parser.raise_error(f"order {order} {problem}", at)
    return order


def _parse_size(parser: AttrParser) -> dims.Size:
    """sum := product (`+` product)*; product := factor (`*` factor)*"""
    total = _parse_product(parser)
    while parser.parse_optional_characters("+"):
        total = total + _parse_product(parser)
    return total


def _parse_product(parser: AttrParser) -> dims.Size:
    result = _parse_factor(parser)
    while parser.parse_optional_characters("*"):
        result = result * _parse_factor(parser)
    return result


def _parse_factor(parser: AttrParser) -> dims.Size:
    value = parser.parse_optional_integer(allow_boolean=False, allow_negative=False)
    if value is not None:
        return dims.number(value)
    if parser.parse_optional_punctuation("("):
        inner = _parse_size(parser)
        parser.parse_punctuation(")")
        return inner
    name = parser.parse_identifier()
    if name != "ceildiv":
        return dims.symbol(name)
    at = parser.pos
    arguments = parser.parse_comma_separated_list(parser.Delimiter.PAREN, lambda: _parse_size(parser))
    if len(arguments) != 2 or arguments[1].is_zero:
        parser.raise_error("expected ceildiv(size, positive size)", at)
    return dims.quotient_up(*arguments)


def axis_name(parser: AttrParser) -> str:
    """The name of an axis."""
    return parser.parse_identifier()


def one_of(parser: AttrParser, known: Collection[str]) -> str:
    """One of these words; an error at its place for any other."""
    at = parser.pos
    word = parser.parse_identifier()
    if word not in known:
        parser.raise_error(f"expected one of {', '.join(known)}", at)
    return word


def items(parser: AttrParser, item: Callable[[], T]) -> tuple[T, ...]:
    """A list in square brackets."""
    return tuple(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, item))


@irdl_attr_definition
class SizesAttr(Data[dims.Sizes]):
    """What the symbols of a module stand for."""

    name = "dag.sizes"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> dims.Sizes:
        with parser.in_angle_brackets():
            bound = items(parser, lambda: _parse_binding(parser))
            parser.parse_characters(",")
            return dims.Sizes(bound, items(parser, lambda: _parse_definition(parser)))

    def print_parameter(self, printer: Printer) -> None:
        bound = ", ".join(name if value is None else f"{name} = {value}" for name, value in self.data.bound)
        defined = ", ".join(
            f'{d.name} = "{dims.text(d.shown)}" exactly "{dims.text(d.exact)}"' for d in self.data.defined
        )
        printer.print_string(f"<[{bound}], [{defined}]>")


def _parse_binding(parser: AttrParser) -> tuple[str, int | None]:
    name = parser.parse_identifier()
    return name, parser.parse_integer() if parser.parse_optional_punctuation("=") else None


def _parse_definition(parser: AttrParser) -> dims.Definition:
    name = parser.parse_identifier()
    parser.parse_punctuation("=")
    shown = _parse_text_size(parser)
    parser.parse_keyword("exactly")
    return dims.Definition(name, shown, _parse_text_size(parser))


def _parse_text_size(parser: AttrParser) -> dims.Size:
    at = parser.pos
    text = parser.parse_str_literal()
    try:
        return dims.parse(text)
    except ValueError as error:
        parser.raise_error(str(error), at)


@irdl_attr_definition
class MeshAttr(Data[Mesh]):
    """The mesh a module was placed on."""

    name = "dag.mesh"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Mesh:
        with parser.in_angle_brackets():
            grids: list[Grid] = []
            parser.parse_comma_separated_list(parser.Delimiter.SQUARE, lambda: grids.append(_parse_grid(parser, grids)))
            stages = ""
            if parser.parse_optional_punctuation(","):
                parser.parse_keyword("stages")
                stages = axis_name(parser)
        return Mesh(tuple(grids), stages)

    def print_parameter(self, printer: Printer) -> None:
        begin, grids = 0, []
        for grid in self.data.grids:
            grids.append(_grid_text(grid, begin))
            begin = _end(grid)
        stages = f", stages {self.data.stages}" if self.data.stages else ""
        printer.print_string(f"<[{', '.join(grids)}]{stages}>")


def _end(grid: Grid) -> int:
    """Where the next pool begins if nothing is said."""
    return grid.first + grid.gpus


def _grid_text(grid: Grid, begin: int) -> str:
    axes = ", ".join(f"{name} = {size}" for name, size in grid.axes)
    first = f" from {grid.first}" if grid.first != begin else ""
    return f"{grid.name} [{axes}]{first}" + (f" by [{', '.join(map(str, grid.strides))}]" if grid.strides else "")


def _parse_grid(parser: AttrParser, before: list[Grid]) -> Grid:
    name = parser.parse_identifier()
    axes = tuple((axis.name, axis.size) for axis in items(parser, lambda: parse_axis(parser)))
    first = parser.parse_integer() if parser.parse_optional_keyword("from") else _end(before[-1]) if before else 0
    strides = items(parser, parser.parse_integer) if parser.parse_optional_keyword("by") else ()
    return Grid(name, axes, first, strides)


def parse_axis(parser: AttrParser) -> Axis:
    """`tp = 8`."""
    name = axis_name(parser)
    parser.parse_punctuation("=")
    return Axis(name, parser.parse_integer())
