"""How the pure data of the IR stands in xDSL: the tensor type and the module's attributes, printed and parsed.

!dag.tensor<[batch_size = B / dp, seq_len = S / sp zigzag, heads = 64 / tp], bf16, owes sum over cp, on stage0>
#dag.sizes<[B = 128, S], [T = 16*ceildiv(2*B*S, 256) exactly B*S/8]>
#dag.mesh<[stage0 [tp = 8], stage1 [tp = 8]], stages pp>       a pool in the midst of others: p [dp = 2] from 1 by [4]
#dag.plan<"ep", [ep = 2], [["*"] : ep cuts [batch_size], ["*.experts"] : ep cuts [experts [1, 0]]], micro_batches 4>
#dag.plan<"afd", [dp = 4, ep = 8], […], pools [attention [dp], experts [ep]], places [["*"] on attention, …]>
then `slots redundant gpus`, `slots total 288 replicas [3 = 4]` or `slots placement [[0, 1], [2, 1]]`, where it says so
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, TypeVar

from xdsl.ir import Data, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from . import debts, dims, orders
from .layout import DTYPE_BITS, Dim, Tensor
from .mesh import Grid, Mesh
from .plan import Axis, Placing, Plan, PoolAxes, Rule, Stages
from .slots import EACH_GPU, Slots

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
            dtype = _one_of(parser, DTYPE_BITS)
            owes, pool = (), ""
            while parser.parse_optional_punctuation(","):
                if parser.parse_optional_keyword("owes"):
                    kind = _one_of(parser, debts.KINDS)
                    parser.parse_keyword("over")
                    owes += tuple(debts.debt(axis, kind) for axis in _list(parser, lambda: _axis(parser)))
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
        cuts.append(orders.cut(_axis(parser), _parse_order(parser)))
    return Dim(name, size, tuple(cuts))


def _parse_order(parser: AttrParser) -> str:
    """Nothing (contiguous), a name with or without a block (`strided 2`), or a table; `ring` before any of these."""
    at = parser.pos
    if parser.parse_optional_keyword(orders.RING):
        return orders.order_of(orders.passed(orders.cut("", _parse_order(parser))))
    chunks = parser.parse_optional_comma_separated_list(
        parser.Delimiter.SQUARE, lambda: parser.parse_integer(allow_boolean=False)
    )
    if chunks is not None:
        order = orders.table(chunks)
    elif (name := parser.parse_optional_identifier()) is not None:
        block = parser.parse_optional_integer(allow_boolean=False, allow_negative=False)
        order = name if block is None else f"{name} {block}"
    else:
        return orders.CONTIGUOUS
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


def _axis(parser: AttrParser) -> str:
    return parser.parse_identifier()


def _one_of(parser: AttrParser, known: Collection[str]) -> str:
    at = parser.pos
    word = parser.parse_identifier()
    if word not in known:
        parser.raise_error(f"expected one of {', '.join(known)}", at)
    return word


def _list(parser: AttrParser, item: Callable[[], T]) -> tuple[T, ...]:
    return tuple(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, item))


@irdl_attr_definition
class SizesAttr(Data[dims.Sizes]):
    """What the symbols of a module stand for."""

    name = "dag.sizes"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> dims.Sizes:
        with parser.in_angle_brackets():
            bound = _list(parser, lambda: _parse_binding(parser))
            parser.parse_characters(",")
            return dims.Sizes(bound, _list(parser, lambda: _parse_definition(parser)))

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
                stages = _axis(parser)
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
    axes = tuple((axis.name, axis.size) for axis in _list(parser, lambda: _parse_axis(parser)))
    first = parser.parse_integer() if parser.parse_optional_keyword("from") else _end(before[-1]) if before else 0
    strides = _list(parser, parser.parse_integer) if parser.parse_optional_keyword("by") else ()
    return Grid(name, axes, first, strides)


def _parse_axis(parser: AttrParser) -> Axis:
    name = _axis(parser)
    parser.parse_punctuation("=")
    return Axis(name, parser.parse_integer())


@irdl_attr_definition
class PlanAttr(Data[Plan]):
    """The strategy a module is to be lowered by."""

    name = "dag.plan"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Plan:
        with parser.in_angle_brackets():
            name = parser.parse_str_literal()
            parser.parse_characters(",")
            axes = _list(parser, lambda: _parse_axis(parser))
            parser.parse_characters(",")
            rules = _list(parser, lambda: _parse_rule(parser))
            more: dict[str, Any] = {}
            while parser.parse_optional_punctuation(","):
                word = _one_of(parser, _MORE)
                more["stores" if word == "stored" else word] = _MORE[word](parser)
        return Plan(name, axes, rules, **more)

    def print_parameter(self, printer: Printer) -> None:
        plan = self.data
        printer.print_string("<")
        printer.print_string_literal(plan.name)
        printer.print_string(f", [{', '.join(f'{a.name} = {a.size}' for a in plan.axes)}], [")
        printer.print_list(plan.rules, lambda rule: _print_rule(printer, rule))
        printer.print_string("]")
        for keyword, rules in (("stored", plan.stores), ("unpaid", plan.unpaid)):
            if rules:
                printer.print_string(f", {keyword} [")
                printer.print_list(rules, lambda rule: _print_rule(printer, rule))
                printer.print_string("]")
        printer.print_string(", as_written" if plan.as_written else "")
        printer.print_string(_stages_text(plan.stages) if plan.stages else "")
        if plan.slots:
            _print_slots(printer, plan.slots)
        several = f", micro_batches {plan.micro_batches}" if plan.micro_batches > 1 else ""
        printer.print_string(several)
        if plan.pools:
            printer.print_string(f", pools [{', '.join(map(_pool_text, plan.pools))}], places [")
            printer.print_list(plan.places, lambda placing: _print_placing(printer, placing))
            printer.print_string("]")
        if plan.folds:
            printer.print_string(f", folds [{', '.join(map(_fold_text, plan.folds))}]")
        printer.print_string(">")


def _fold_text(mesh: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    return "[" + ", ".join(f"{axis} [{', '.join(own)}]" for axis, own in mesh) + "]"


def _parse_fold(parser: AttrParser) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return _list(parser, lambda: (_axis(parser), _list(parser, lambda: _axis(parser))))


def _pool_text(pool: PoolAxes) -> str:
    return f"{pool.name} [{', '.join(pool.axes)}]" + " idle" * pool.idle


def _parse_pool(parser: AttrParser) -> PoolAxes:
    name, axes = parser.parse_identifier(), _list(parser, lambda: _axis(parser))
    return PoolAxes(name, axes, parser.parse_optional_keyword("idle") is not None)


def _print_placing(printer: Printer, placing: Placing) -> None:
    printer.print_string("[")
    printer.print_list(placing.at, printer.print_string_literal)
    printer.print_string(f"] on {placing.on}")


def _parse_placing(parser: AttrParser) -> Placing:
    at = _list(parser, parser.parse_str_literal)
    parser.parse_keyword("on")
    return Placing(at, parser.parse_identifier())


def _stages_text(stages: Stages) -> str:
    layers = f"[{', '.join(map(str, stages.layers))}]" if isinstance(stages.layers, tuple) else str(stages.layers)
    return f", stages {stages.axis} {layers}" + (f" chunks {stages.chunks}" if stages.chunks > 1 else "")


def _parse_stages(parser: AttrParser) -> Stages:
    axis = _axis(parser)
    layers = parser.parse_optional_identifier() or _list(parser, parser.parse_integer)
    interleaved = parser.parse_optional_keyword("chunks")
    return Stages(axis, layers, chunks=parser.parse_integer(allow_negative=False) if interleaved else 1)


def _print_slots(printer: Printer, of: Slots) -> None:
    said = [f"{name} {n}" for name, n in (("total", of.total), ("redundant", of.redundant)) if n is not None]
    if of.replicas:
        said.append(f"replicas [{', '.join(f'{expert} = {count}' for expert, count in of.replicas)}]")
    if of.placement:
        said.append(f"placement [{', '.join(str(list(own)) for own in of.placement)}]")
    printer.print_string(f", slots {' '.join(said)}")
    _print_where(printer, of.where)


def _parse_slots(parser: AttrParser) -> Slots:
    total = _parse_count(parser) if parser.parse_optional_keyword("total") else None
    redundant = _parse_count(parser) if parser.parse_optional_keyword("redundant") else None
    replicas, placement = (), ()
    if parser.parse_optional_keyword("replicas"):
        replicas = _list(parser, lambda: _parse_replicas(parser))
    if parser.parse_optional_keyword("placement"):
        placement = _list(parser, lambda: _list(parser, parser.parse_integer))
    return Slots(total, redundant, replicas, placement, _parse_where(parser))


def _parse_count(parser: AttrParser) -> int | str:
    return parser.parse_integer() if parser.parse_optional_keyword(EACH_GPU) is None else EACH_GPU


def _parse_replicas(parser: AttrParser) -> tuple[int, int]:
    expert = parser.parse_integer()
    parser.parse_punctuation("=")
    return expert, parser.parse_integer()


def _print_where(printer: Printer, where: str) -> None:
    if where:
        printer.print_string(" from ")
        printer.print_string_literal(where)


def _parse_where(parser: AttrParser) -> str:
    return parser.parse_str_literal() if parser.parse_optional_keyword("from") else ""


def _print_rule(printer: Printer, rule: Rule) -> None:
    printer.print_string("[")
    printer.print_list(rule.at, printer.print_string_literal)
    cuts = ", ".join(orders.cut(name, rule.order(name)) for name in rule.cuts)
    printer.print_string(f"] : {rule.axis} cuts [{cuts}]")
    _print_where(printer, rule.where)


def _parse_rule(parser: AttrParser) -> Rule:
    at = _list(parser, parser.parse_str_literal)
    parser.parse_punctuation(":")
    axis = _axis(parser)
    parser.parse_keyword("cuts")
    cuts = _list(parser, lambda: (parser.parse_identifier(), _parse_order(parser)))
    where = _parse_where(parser)
    ordered = tuple((name, order) for name, order in cuts if order != orders.CONTIGUOUS)
    return Rule(at, axis, tuple(name for name, _ in cuts), where, ordered)


_MORE: dict[str, Callable[[AttrParser], Any]] = {
    "stored": lambda parser: _list(parser, lambda: _parse_rule(parser)),
    "unpaid": lambda parser: _list(parser, lambda: _parse_rule(parser)),
    "as_written": lambda parser: True,
    "stages": _parse_stages,
    "slots": _parse_slots,
    "micro_batches": lambda parser: parser.parse_integer(allow_boolean=False, allow_negative=False),
    "pools": lambda parser: _list(parser, lambda: _parse_pool(parser)),
    "folds": lambda parser: _list(parser, lambda: _parse_fold(parser)),
    "places": lambda parser: _list(parser, lambda: _parse_placing(parser)),
}
"""What a plan may say further, each after its name."""
