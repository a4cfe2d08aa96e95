"""Faults of lowered modules in what is computed: operators, constants, operands, weights and layers."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.dialects.builtin import BoolAttr, DenseArrayBase, FloatAttr, IntegerAttr, ModuleOp, StringAttr, f64, i1, i64
from xdsl.ir import Attribute, Operation

from dagc.ir.op import Operator, attribute
from dagc.ir.ops import COMPUTE
from dagc.ir.ops.program import RepeatOp, WeightOp

from . import copies
from .rewriting import Mutants, changed, drop, each, place


def left_out(module: ModuleOp) -> Mutants:
    """An operator that keeps its value's type is not run."""
    yield from each(module, COMPUTE, drop, suits=lambda op: op.operands[0].type == op.results[0].type)


def constants(module: ModuleOp) -> Mutants:
    """Another constant."""
    for number, op in enumerate(module.walk()):
        for name, value in op.properties.items() if isinstance(op, COMPUTE) else ():
            other = _other(name, value)
            if other is not None:
                yield place(op, number, name), lambda n=number, k=name, v=other: changed(module, n, _with(k, v))


def _with(name: str, value: Attribute) -> Callable[[Operation], None]:
    return lambda op: op.properties.update({name: value})


def _other(name: str, value: Attribute) -> Attribute | None:
    match value:
        case FloatAttr():
            return FloatAttr(float(value.value.data) * 2, f64)
        case IntegerAttr() if value.type == i1:
            return BoolAttr.from_bool(not value.value.data)
        case DenseArrayBase():
            return DenseArrayBase.from_list(i64, copies.swapped(value.get_values()))
        case IntegerAttr() if name in ("window", "best"):
            return attribute(value.value.data - 1)
        case StringAttr() if name == "function":
            return StringAttr("sigmoid" if value.data != "sigmoid" else "relu")
        case _:
            return None


def wrong_value(module: ModuleOp) -> Mutants:
    """An operand of the same type that was made before, in the same body."""
    ops = list(module.walk())
    for number, op in enumerate(ops):
        for slot, value in enumerate(op.operands if isinstance(op, COMPUTE) else ()):
            for earlier, other in enumerate(ops[:number]):
                same = isinstance(other, Operator) and other.parent is op.parent and other.out.type == value.type
                if same and other.results[0] is not value:
                    how = f"reads {place(other, earlier)}"
                    yield place(op, number, how), lambda n=number, s=slot, e=earlier: _reading(module, n, s, e)


def _reading(module: ModuleOp, number: int, slot: int, earlier: int) -> ModuleOp:
    copy = module.clone()
    ops = list(copy.walk())
    ops[number].operands[slot] = ops[earlier].results[0]
    return copy


RENAMED = {"up_proj": "gate_proj", "k_proj": "v_proj", "v_proj": "k_proj", "attention_norm": "ffn_norm"}


def other_weight(module: ModuleOp) -> Mutants:
    """A weight of another name, or a tied one that is its own."""

    def rename(op: Operation) -> None:
        assert isinstance(op, WeightOp)
        old = op.path.data
        new = next((old.replace(a, b) for a, b in RENAMED.items() if a in old), f"{old}.other")
        op.properties["path"] = StringAttr(new)

    yield from each(module, WeightOp, rename)
    yield from each(module, WeightOp, lambda op: op.properties.pop("tied"), "untied", lambda op: op.tied is not None)


SPANS: dict[str, Callable[[int, int, int], tuple[int, int]]] = {
    "one less": lambda first, last, period: (first, last - period),
    "one more": lambda first, last, period: (first, last + period),
    "one later": lambda first, last, period: (first + period, last + period),
    "not the first": lambda first, last, period: (first + period, last),
}


def wrong_layers(module: ModuleOp) -> Mutants:
    """Layers dropped, repeated or shifted."""
    for how, span in SPANS.items():

        def respan(op: Operation, span: Callable[[int, int, int], tuple[int, int]] = span) -> None:
            assert isinstance(op, RepeatOp)
            first, last = span(*op.span)
            op.properties.update({"first": attribute(first), "last": attribute(last)})

        def has_rounds(op: RepeatOp, span: Callable[[int, int, int], tuple[int, int]] = span) -> bool:
            first, last = span(*op.span)
            return first <= last

        yield from each(module, RepeatOp, respan, how, has_rounds)


def skipped_layers(module: ModuleOp) -> Mutants:
    """A repeated body is gone."""
    yield from each(module, RepeatOp, drop)
