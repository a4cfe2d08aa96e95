"""What frames a program: resident weights and caches, the total input and output on the host, repeated layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import BoolAttr, DenseArrayBase, IntegerAttr, StringAttr, i64
from xdsl.ir import Block, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    lazy_traits_def,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import HasParent, IsTerminator, RecursiveMemoryEffect, SingleBlockImplicitTerminator
from xdsl.utils.exceptions import VerifyException

from ..dims import as_number
from ..layout import Tensor
from ..op import Computation, Indices, Operator, Role, Rule, attribute, location, tensor_of
from ..types import TensorType


class Source(Operator):
    """A value that no operator computes; its type is its definition."""

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        return tensor_of(self.results[0]).logical()

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        raise ValueError(f"{self.path.data} is given, not computed")


class Resident(Source, Computation):
    """A value that lives on the GPUs that use it, and never moves. In a repeated body it stands for one per layer."""

    RULE: ClassVar[Rule] = Rule(role=Role.STATE)

    @property
    def identity(self) -> str:
        """The path of the value that it is, with the layer numbers of its body."""
        return self.path.data

    @property
    def table(self) -> tuple[int, ...]:
        """What index of the value each index of the first dimension is; empty: itself."""
        return ()


@irdl_op_definition
class WeightOp(Resident):
    """A parameter. `tied` names the weight it is one identity with (a head tied to the embedding).

    A `buffer` is kept and loaded like a parameter, but is not counted as one (a router's correction bias). `slots`:
    along its first dimension it holds copies of the parameter's indices that are listed.
    """

    name = "dag.weight"
    tied = opt_prop_def(StringAttr)
    buffer = opt_prop_def(BoolAttr)
    slots = opt_prop_def(DenseArrayBase.constr(i64))

    @property
    def identity(self) -> str:
        return (self.tied or self.path).data

    @property
    def table(self) -> tuple[int, ...]:
        return self.slots.get_values() if self.slots else ()

    def verify_(self) -> None:
        super().verify_()
        first = next(iter(tensor_of(self.out).dims), None)
        if self.slots and (first is None or as_number(first.size) != len(self.table)):
            raise VerifyException(f"{self.path.data}: {len(self.table)} slots, but its type is {self.out.type}")


@irdl_op_definition
class StateOp(Resident):
    """A cache as this step finds it: kv_len rows, of which the last ones are still to be written."""

    name = "dag.state"


@irdl_op_definition
class InputOp(Source):
    """The total input, whole, on the host."""

    name = "dag.input"
    RULE: ClassVar[Rule] = Rule(role=Role.HOST)


@irdl_op_definition
class OutputOp(Operator):
    """The total output, whole, on the host."""

    name = "dag.output"
    RULE: ClassVar[Rule] = Rule(role=Role.HOST)

    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[0]

    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        return inputs[0]


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends a repeated body with the value that goes into the next round."""

    name = "dag.yield"
    value = operand_def(TensorType)
    traits = lazy_traits_def(lambda: (IsTerminator(), HasParent(RepeatOp)))
    assembly_format = "$value attr-dict `:` type($value)"


@irdl_op_definition
class RepeatOp(IRDLOperation):
    """`count` rounds of a body of `period` layers, drawn once; round i runs layers first + i·period ….

        %y = dag.repeat %h = %x layers 3 to 60 period 1 : !dag.tensor<…> { …; dag.yield %z : !dag.tensor<…> }

    The carried value has one type on entry, between rounds and on exit, and owes nothing there.
    """

    name = "dag.repeat"
    init = operand_def(TensorType)
    first = prop_def(IntegerAttr)
    last = prop_def(IntegerAttr)
    period = prop_def(IntegerAttr)
    out = result_def(TensorType)
    body = region_def("single_block")
    traits = lazy_traits_def(lambda: (SingleBlockImplicitTerminator(YieldOp), RecursiveMemoryEffect()))

    @classmethod
    def of(cls, init: SSAValue, block: Block, first: int, last: int, period: int, where: str = "") -> RepeatOp:
        """Make a repeat of `block`, which has one argument and ends in a yield, over layers first … last."""
        properties = {"first": attribute(first), "last": attribute(last), "period": attribute(period)}
        made = cls.create(
            operands=[init],
            result_types=[init.type],
            properties=properties,
            regions=[Region(block)],
            location=location(where),
        )
        made.results[0].name_hint = block.args[0].name_hint
        return made

    @property
    def span(self) -> tuple[int, int, int]:
        """First layer, last layer, layers per round."""
        return self.first.value.data, self.last.value.data, self.period.value.data

    @property
    def count(self) -> int:
        first, last, period = self.span
        return (last - first + 1) // period

    @property
    def yielded(self) -> SSAValue:
        last = self.body.block.last_op
        assert isinstance(last, YieldOp)
        return last.value

    def verify_(self) -> None:
        first, last, period = self.span
        if period < 1 or first > last or (last - first + 1) % period:
            raise VerifyException(f"repeat: layers {first} to {last} are no whole number of rounds of {period}")
        types = [self.init.type, self.body.block.args[0].type, self.yielded.type, self.out.type]
        if any(t != types[0] for t in types):
            raise VerifyException(f"repeat: the carried value changes its type: {', '.join(map(str, types))}")

    def print(self, printer: Printer) -> None:
        first, last, period = self.span
        argument = self.body.block.args[0]
        printer.print_string(" ")
        printer.print_ssa_value(argument)
        printer.print_string(" = ")
        printer.print_ssa_value(self.init)
        printer.print_string(f" layers {first} to {last} period {period} : ")
        printer.print_attribute(self.init.type)
        printer.print_string(" ")
        printer.print_region(self.body, print_entry_block_args=False)

    @classmethod
    def parse(cls, parser: Parser) -> RepeatOp:
        argument = parser.parse_argument(expect_type=False)
        parser.parse_punctuation("=")
        init = parser.parse_unresolved_operand()
        numbers = []
        for keyword in ("layers", "to", "period"):
            parser.parse_keyword(keyword)
            numbers.append(parser.parse_integer())
        parser.parse_punctuation(":")
        kind = parser.parse_type()
        region = parser.parse_region([argument.resolve(kind)])
        value = parser.resolve_operand(init, kind)
        first, last, period = map(attribute, numbers)
        properties = {"first": first, "last": last, "period": period}
        return cls.create(operands=[value], result_types=[kind], properties=properties, regions=[region])
