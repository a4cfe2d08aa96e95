"""How a plan stands in xDSL, printed and parsed.

#dag.plan<"ep", [ep = 2], [["*"] : ep cuts [batch_size], ["*.experts"] : ep cuts [experts [1, 0]]], micro_batches 4>
#dag.plan<"afd", [dp = 4, ep = 8], […], pools [attention [dp], experts [ep]], places [["*"] on attention, …]>
then `slots redundant gpus`, `slots total 288 replicas [3 = 4]` or `slots placement [[0, 1], [2, 1]]`, where it says so
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xdsl.ir import Data
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from . import orders
from .plan import Placing, Plan, PoolAxes, Rule, Stages
from .slots import EACH_GPU, Slots
from .types import axis_name, items, one_of, parse_axis, parse_order


@irdl_attr_definition
class PlanAttr(Data[Plan]):
    """The strategy a module is to be lowered by."""

    name = "dag.plan"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Plan:
        with parser.in_angle_brackets():
            name = parser.parse_str_literal()
            parser.parse_characters(",")
            axes = items(parser, lambda: parse_axis(parser))
            parser.parse_characters(",")
            rules = items(parser, lambda: _parse_rule(parser))
            more: dict[str, Any] = {}
            while parser.parse_optional_punctuation(","):
                word = one_of(parser, _MORE)
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
        for keyword, runs in (("micro_batches", plan.micro_batches), ("token_chunks", plan.token_chunks)):
            printer.print_string(f", {keyword} {runs}" if runs > 1 else "")
        if plan.pools:
            printer.print_string(f", pools [{', '.join(map(_pool_text, plan.pools))}], places [")
            printer.print_list(plan.places, lambda placing: _print_placing(printer, placing))
            printer.print_string("]")
        if plan.keeps:
            printer.print_string(", keeps [")
            printer.print_list(plan.keeps, lambda placing: _print_placing(printer, placing))
            printer.print_string("]")
        if plan.folds:
            printer.print_string(f", folds [{', '.join(map(_fold_text, plan.folds))}]")
        printer.print_string(">")


def _fold_text(mesh: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    return "[" + ", ".join(f"{axis} [{', '.join(own)}]" for axis, own in mesh) + "]"


def _parse_fold(parser: AttrParser) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return items(parser, lambda: (axis_name(parser), items(parser, lambda: axis_name(parser))))


def _pool_text(pool: PoolAxes) -> str:
    return f"{pool.name} [{', '.join(pool.axes)}]" + " idle" * pool.idle


def _parse_pool(parser: AttrParser) -> PoolAxes:
    name, axes = parser.parse_identifier(), items(parser, lambda: axis_name(parser))
    return PoolAxes(name, axes, parser.parse_optional_keyword("idle") is not None)


def _print_placing(printer: Printer, placing: Placing) -> None:
    printer.print_string("[")
    printer.print_list(placing.at, printer.print_string_literal)
    printer.print_string(f"] on {placing.on}")


def _parse_placing(parser: AttrParser) -> Placing:
    at = items(parser, parser.parse_str_literal)
    parser.parse_keyword("on")
    return Placing(at, parser.parse_identifier())


def _stages_text(stages: Stages) -> str:
    layers = f"[{', '.join(map(str, stages.layers))}]" if isinstance(stages.layers, tuple) else str(stages.layers)
    return f", stages {stages.axis} {layers}" + (f" chunks {stages.chunks}" if stages.chunks > 1 else "")


def _parse_stages(parser: AttrParser) -> Stages:
    axis = axis_name(parser)
    layers = parser.parse_optional_identifier() or items(parser, parser.parse_integer)
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
        replicas = items(parser, lambda: _parse_replicas(parser))
    if parser.parse_optional_keyword("placement"):
        placement = items(parser, lambda: items(parser, parser.parse_integer))
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
    at = items(parser, parser.parse_str_literal)
    parser.parse_punctuation(":")
    axis = axis_name(parser)
    parser.parse_keyword("cuts")
    cuts = items(parser, lambda: (parser.parse_identifier(), parse_order(parser)))
    where = _parse_where(parser)
    ordered = tuple((name, order) for name, order in cuts if order != orders.CONTIGUOUS)
    return Rule(at, axis, tuple(name for name, _ in cuts), where, ordered)


_MORE: dict[str, Callable[[AttrParser], Any]] = {
    "stored": lambda parser: items(parser, lambda: _parse_rule(parser)),
    "unpaid": lambda parser: items(parser, lambda: _parse_rule(parser)),
    "as_written": lambda parser: True,
    "stages": _parse_stages,
    "slots": _parse_slots,
    "micro_batches": lambda parser: parser.parse_integer(allow_boolean=False, allow_negative=False),
    "token_chunks": lambda parser: parser.parse_integer(allow_boolean=False, allow_negative=False),
    "pools": lambda parser: items(parser, lambda: _parse_pool(parser)),
    "folds": lambda parser: items(parser, lambda: _parse_fold(parser)),
    "places": lambda parser: items(parser, lambda: _parse_placing(parser)),
    "keeps": lambda parser: items(parser, lambda: _parse_placing(parser)),
}
"""What a plan may say further, each after its name."""
