"""Operators of the model that a program computes in their split form.

    model      softmax reads mask
    program    softmax.lse reads mask, softmax reads mask and softmax.lse

The form is what the operator's class declares, made here anew of the model's operator, and laws of operators hold the
two against each other. A program that has a step of the form is to have all of them, as they are declared and reading
what they are to read. What the last step makes is the operator's value; what the others make are values of the model
too, those that the form has undivided. What a program computes over slots is made first (`slots`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from xdsl.ir import Block, SSAValue

from ...ir.module import plain_path
from ...ir.op import Operator, tensor_of
from ...ir.types import TensorType
from . import slots
from .program import Identity, Step
from .slots import Found


def computed(model: Iterable[Step], found: Found) -> list[Step]:
    """The steps that a program is to have which computes `found`: of split operators all of the form."""
    return [one for step, form in _taken(slots.computed(model, found), found) for one in form or [step]]


def valued(model: Iterable[Step], found: Found) -> list[Step]:
    """Steps that make every value of such a program: of split operators the form's, and last the operator itself."""
    return [one for step, form in _taken(slots.valued(model, found), found) for one in (*form[:-1], step)]


def split(op: Operator) -> Block:
    """The undivided split form of an operator, its operands being the block's arguments; empty if it has none."""
    block = Block(arg_types=[TensorType(tensor_of(value).logical()) for value in op.operands])
    block.add_ops(op.split(*block.args))
    return block


def _taken(model: Iterable[Step], found: Found) -> Iterator[tuple[Step, list[Step]]]:
    """Every step with the steps of its split form, if any of these but the last is found."""
    form_of = cache(split)  # layers of a repeated body share their operators
    for step in model:
        form = list(_form(step, form_of(step.op)))
        yield step, form if any(one.identity in found for one in form[:-1]) else []


def _form(step: Step, block: Block) -> Iterator[Step]:
    reads: dict[SSAValue, Identity | None] = dict(zip(block.args, step.reads, strict=True))
    for op in block.ops:
        assert isinstance(op, Operator)
        identity = (step.identity[0], plain_path(op.path.data))
        yield Step(identity, op, tuple(reads[value] for value in op.operands))
        reads[op.out] = identity
