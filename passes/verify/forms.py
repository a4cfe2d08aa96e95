"""Operators of the model that a program computes in their split form.

    model      softmax reads mask
    program    softmax.lse reads mask, softmax reads mask and softmax.lse

    model      softmax reads mask, context reads softmax and v_cache
    program    softmax.part_lse, softmax.part, context.part, merge: the parts' outputs and log-sum-exps

The form is what the operator's class declares, made here anew of the model's operator (and the one that reads it, where
it takes both), and laws of operators hold the two against each other. A program that has a step of the form is to have
all of them, as they are declared and reading what they are to read; into which parts, its first step says. What the
last step makes is the operator's value; what the others make are values of the model too, those that the form has
undivided. What a program computes over slots is made first (`slots`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Block, SSAValue

from ...ir.module import plain_path
from ...ir.op import Operator, tensor_of
from ...ir.types import TensorType
from . import slots
from .program import Identity, Step
from .slots import Found

WHOLE = "1 contiguous"
"""One part of everything."""
Apart = Callable[[Operator, Operator, tuple[int, ...], str], Block]


def computed(model: Iterable[Step], found: Found) -> list[Step]:
    """The steps that a program is to have which computes `found`: of split operators all of the form."""
    made: list[Step] = []
    renamed: dict[Identity | None, Identity] = {}
    for chain, form in _taken(slots.computed(model, found), found):
        made += (replace(one, reads=tuple(renamed.get(read, read) for read in one.reads)) for one in form or chain)
        renamed |= {chain[-1].identity: form[-1].identity} if form else {}
    return made


def valued(model: Iterable[Step], found: Found) -> list[Step]:
    """Steps that make every value of such a program: of split operators the form's, and last the operator itself."""
    made: list[Step] = []
    for chain, form in _taken(slots.valued(model, found), found):
        made += [*chain[:-1], *form[:-1], chain[-1]]
        if form and form[-1].identity != chain[-1].identity:
            made.append(replace(chain[-1], identity=form[-1].identity))
    return made


def split(op: Operator) -> Block:
    """The undivided split form of an operator, its operands being the block's arguments; empty if it has none."""
    block = Block(arg_types=[TensorType(tensor_of(value).logical()) for value in op.operands])
    block.add_ops(op.split(*block.args))
    return block


def _may_split(op: Operator) -> bool:
    return type(op).split is not Operator.split


def apart(op: Operator, reader: Operator, others: tuple[int, ...], parts: str) -> Block:
    """The same of an operator and the one that reads it; arguments: its operands, then the reader's others."""
    values = [*op.operands, *(reader.operands[index] for index in others)]
    block = Block(arg_types=[TensorType(tensor_of(value).logical()) for value in values])
    count = len(op.operands)
    block.add_ops(op.apart(reader, parts, block.args[:count], block.args[count:]))
    return block


def _taken(model: Iterable[Step], found: Found) -> Iterator[tuple[list[Step], list[Step]]]:
    """Every step, or two that are taken together, with the steps of their split form if the program has any of them."""
    steps = list(model)
    form_of, apart_of = cache(split), cache(apart)  # layers of a repeated body share their operators
    readers = _readers(steps)
    pending: dict[Identity, tuple[Step, list[Step]]] = {}
    for step in steps:
        if step.identity in pending:
            first, form = pending.pop(step.identity)
            yield [first, step], form
            continue
        form = list(_form(step.identity, step.reads, form_of(step.op))) if _may_split(step.op) else []
        if any(one.identity in found for one in form[:-1]):
            yield [step], form
        elif len(reading := readers[step.identity]) == 1 and step.op.whole():
            form = _apart(step, reading[0], found, apart_of)
            if form:
                pending[reading[0].identity] = step, form
            else:
                yield [step], []
        else:
            yield [step], []


def _readers(steps: list[Step]) -> Mapping[Identity, list[Step]]:
    readers: dict[Identity, list[Step]] = defaultdict(list)
    for step in steps:
        for read in step.reads:
            if read is not None:
                readers[read].append(step)
    return readers


def _apart(step: Step, reader: Step, found: Found, apart_of: Apart) -> list[Step]:
    """The form of two steps, in the parts that the program has them in; empty if it has none of its steps."""
    others = tuple(index for index, read in enumerate(reader.reads) if read != step.identity)
    reads = (*step.reads, *(reader.reads[index] for index in others))
    form = _form(step.identity, reads, apart_of(step.op, reader.op, others, WHOLE))
    known = next((op for one in form if (op := found.get(one.identity)) is not None), None)
    parts = known.properties.get("parts") if known is not None else None
    if not isinstance(parts, StringAttr):
        return []
    return list(_form(step.identity, reads, apart_of(step.op, reader.op, others, parts.data)))


def _form(which: Identity, read: Iterable[Identity | None], block: Block) -> Iterator[Step]:
    """The steps of a form, of values that the model has under these names."""
    reads: dict[SSAValue, Identity | None] = dict(zip(block.args, read, strict=True))
    for op in block.ops:
        assert isinstance(op, Operator)
        identity = (which[0], plain_path(op.path.data))
        yield Step(identity, op, tuple(reads[value] for value in op.operands))
        reads[op.out] = identity
