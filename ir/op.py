"""What an operator is: its rule over named dimensions, its role, its cost and its meaning, in one class.

An operator matches its operands by name. The union of their names (after `RENAMES`) and the result's is its *joint
space*; the layout of the joint space is what a strategy decides, and operands need, results inherit, their share:

    q_proj   x [batch_size, seq_len, hidden] × w [hidden, heads, d_k] → [batch_size, seq_len, heads, d_k]
    joint    batch_size, seq_len, hidden, heads, d_k        hidden vanishes: contracted, so cutting it owes a sum

Adding an operator means one class in one file of `ops/`; `tests/test_operator_laws.py` runs over all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Self

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, BoolAttr, FileLineColLoc, IntAttr, IntegerAttr, StringAttr, i64
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import IRDLOperation, ParsePropInAttrDict, prop_def, result_def, traits_def, var_operand_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from .debts import SUM
from .dims import Size, same
from .layout import Tensor
from .orders import axis_of, in_time, only_sizes, passed
from .types import TensorType


class Role(StrEnum):
    """What an operator is for. Backends map it to a shape, measure counts by it."""

    MATMUL = "matmul"
    ATTENTION = "attention"
    NORM = "norm"
    POINTWISE = "pointwise"
    LOOKUP = "lookup"
    ROUTING = "routing"
    STATE = "state"
    MOVE = "move"
    HOST = "host"


@dataclass(frozen=True)
class Relation:
    """`name` indexes the same thing as `sources` do: their cuts carry over, outermost first, as far as they divide it.

    Tokens cut by dp (batch_size) and cp (seq_len) cut expert_tokens by dp, then cp. Heads cut by tp cut kv_heads by
    those of tp's sub-axes that divide kv_heads; the others hold copies.

    `unordered`: rows carry what they stand for, so that the order of a GPU's parts is free (routed tokens).
    `counts`: it numbers the parts of its source: whatever order these are in, it is cut by the same axes in runs.
    """

    name: str
    sources: tuple[str, ...]
    unordered: bool = False
    counts: bool = False

    def carried(self, cuts: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """What would cut it, of what cuts its sources."""
        found = tuple(cut for source in self.sources for cut in cuts.get(source, ()))
        if self.counts:
            return tuple(passed(axis_of(cut)) if in_time(cut) else axis_of(cut) for cut in found)
        return tuple(map(only_sizes, found)) if self.unordered else found


@dataclass(frozen=True)
class Rule:
    """What an operator does with names; methods of the operator refine it where properties matter.

    renames   per operand, names under which its dimensions enter the joint space (scores read keys' seq_len as kv_len)
    sums      names that vanish and may be cut: the result then owes a debt over the axes that cut them
    debt      the kind of that debt (`debts`)
    aligned   names that vanish and are cut as others are: nothing is summed over them
    relates   relations among names of the joint space
    linear    operand sets through which a sum that is owed may pass (all of a set must owe it); default: refuse
    accumulates  names that must be whole, whose parts may come in time, one after the other
    selects   operands that carry a routing decision (drawn as dashed gate edges)
    indexed   names whose global indices or extent the meaning reads (rotary positions, vocabulary, expert ids);
              of any other name it knows only how many indices a device holds: with other ones it computes the same
    flops     floating-point operations per point of `Operator.points`
    """

    role: Role = Role.POINTWISE
    renames: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    sums: frozenset[str] = frozenset()
    debt: str = SUM
    aligned: frozenset[str] = frozenset()
    relates: tuple[Relation, ...] = ()
    linear: tuple[tuple[int, ...], ...] = ()
    accumulates: frozenset[str] = frozenset()
    selects: tuple[int, ...] = ()
    indexed: frozenset[str] = frozenset()
    flops: int = 0


@dataclass(frozen=True)
class Indices:
    """Which part of the joint space each device holds: per name global indices [devices, n], and the global extents."""

    held: dict[str, np.ndarray]
    total: dict[str, int]


class Operator(IRDLOperation, ABC):
    """Base of all operators: any number of tensors in, one tensor out, a module path and a rule."""

    inputs = var_operand_def(TensorType)
    out = result_def(TensorType)
    path = prop_def(StringAttr)
    assembly_format = "`(` $inputs `)` `at` $path attr-dict `:` type($inputs) `->` type($out)"
    irdl_options = (ParsePropInAttrDict(),)

    RULE: ClassVar[Rule] = Rule()

    @classmethod
    def of(cls, *inputs: SSAValue, path: str, where: str = "", out: Tensor | None = None, **props: object) -> Self:
        """Make the operator: the result type follows from the operands by `infer` unless `out` gives its layout."""
        properties: dict[str, Attribute] = {"path": StringAttr(path)}
        properties |= {name: attribute(value) for name, value in props.items() if value is not None}
        made = cls.create(operands=inputs, result_types=[_UNKNOWN], properties=properties, location=location(where))
        retype(made.results[0], out or made.infer([tensor_of(value) for value in inputs]))
        made.results[0].name_hint = path.rsplit(".", 1)[-1]
        return made

    @abstractmethod
    def infer(self, inputs: Sequence[Tensor]) -> Tensor:
        """The undivided result of undivided operands: names, global sizes, dtype. ValueError where they do not fit."""

    @abstractmethod
    def compute(self, inputs: Sequence[np.ndarray], at: Indices) -> np.ndarray:
        """The numpy meaning: of the pieces of several devices at once, [devices, *operand] → [devices, *result].

        The same text serves floats and residues (`residues.py`).
        """

    def detail(self) -> str:
        """What a picture says of it beside its title: a number that its meaning has."""
        return ""

    def whole(self) -> frozenset[str]:
        """Joint names that must not be cut."""
        return frozenset()

    def split(self, *inputs: SSAValue) -> Split:
        """Operators that compute the same of these values where names of `whole` are cut; the last makes the result.

        The last has this operator's path, others stand beneath it. None: those names cannot be cut.
        """
        return ()

    def apart(self, reader: Operator, parts: str, inputs: Sequence[SSAValue], others: Sequence[SSAValue]) -> Split:
        """As `split`, of this operator and the only one that reads it: what a name of `whole` is cut into is kept apart
        until the last operator merges it. `parts` says in which order (`orders.text`), `inputs` are this operator's
        operands, `others` the reader's but for this one's result. None: the two cannot be replaced so.
        """
        return ()

    def sums(self) -> frozenset[str]:
        """Joint names that vanish and may be cut, leaving a debt."""
        return self.RULE.sums

    def indexed(self) -> frozenset[str]:
        """Names whose global indices or extent the meaning reads."""
        return self.RULE.indexed | self.beyond().keys()

    def operand_names(self, index: int) -> dict[str, str]:
        """Own name → joint name of one operand's dimensions."""
        renames = self.RULE.renames.get(index, {})
        return {name: renames.get(name, name) for name in tensor_of(self.operands[index]).names}

    def joint(self) -> dict[str, Size]:
        """Every name of the joint space with its global size. ValueError if two operands disagree on a size."""
        space: dict[str, Size] = {}
        for index, operand in enumerate(self.operands):
            names = self.operand_names(index)
            for dim in tensor_of(operand).dims:
                _join(space, names[dim.name], dim.size)
        for dim in tensor_of(self.results[0]).dims:
            _join(space, dim.name, dim.size)
        return space

    def beyond(self) -> dict[str, Size]:
        """Names outside the joint space whose extent the meaning reads, with their global sizes. Nothing cuts them."""
        return {}

    def derived(self) -> dict[str, Relation]:
        """Joint names that a relation ties to other joint names: they are not free to be cut on their own."""
        space = self.joint()
        return {
            r.name: r for r in self.RULE.relates if r.name in space and all(source in space for source in r.sources)
        }

    def points(self) -> tuple[str, ...]:
        """The names over which work is counted: all that are free."""
        tied = self.derived()
        counted = {source for relation in tied.values() for source in relation.sources}
        return tuple(n for n in self.joint() if n not in tied and (n in counted or n not in self.RULE.aligned))

    def verify_(self) -> None:
        try:
            self.joint()
            expected = self.infer([tensor_of(value).logical() for value in self.operands])
        except (ValueError, StopIteration) as error:
            raise VerifyException(f"{self.path.data}: {error}") from error
        if not expected.same_value(tensor_of(self.results[0])):
            raise VerifyException(
                f"{self.path.data}: result should be {TensorType(expected)}, is {self.results[0].type}"
            )


class Computation(Operator):
    """An operator without effects: equal ones may be shared, unused ones dropped."""

    traits = traits_def(Pure())


Split = tuple[Operator, ...]
"""Operators in place of others, in order."""

_UNKNOWN = TensorType(Tensor((), "f32"))


def _join(space: dict[str, Size], name: str, size: Size) -> None:
    if name in space and not same(space[name], size):
        raise ValueError(f"{name} is {space[name]} and {size} in one operator")
    space.setdefault(name, size)


def tensor_of(value: SSAValue) -> Tensor:
    """The tensor a value holds."""
    assert isinstance(value.type, TensorType), value.type
    return value.type.data


def retype(value: SSAValue, tensor: Tensor) -> None:
    """Give a value another layout."""
    value._type = TensorType(tensor)


def attribute(value: object) -> Attribute:
    """A Python value as an xDSL attribute."""
    match value:
        case Attribute():
            return value
        case bool():
            return BoolAttr.from_bool(value)
        case int():
            return IntegerAttr(value, i64)
        case str():
            return StringAttr(value)
        case tuple() | list():
            return ArrayAttr([attribute(item) for item in value])
    raise TypeError(f"no attribute for {value!r}")


def location(where: str) -> FileLineColLoc | None:
    """`file:line` as an xDSL location."""
    file, _, line = where.rpartition(":")
    if not line.isdigit():
        file, line = where, "0"
    return FileLineColLoc(StringAttr(file), IntAttr(int(line)), IntAttr(0)) if where else None


def where_of(op: IRDLOperation) -> str:
    """The file:line an operator came from, or nothing."""
    place = op.location
    if isinstance(place, FileLineColLoc):
        return f"{place.filename.data}:{place.line.data}" if place.line.data else place.filename.data
    return ""
