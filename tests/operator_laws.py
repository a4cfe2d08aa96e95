"""The laws that every operator keeps, taken from its own declarations. Each gives what it finds wrong, in words.

split    cut any names that are not `whole` into uneven parts, and into every second index, compute the pieces, put them
         where their indices say and merge them by the kind of debt where the cut name is contracted: that is the whole;
         a name whose parts another numbers is cut into whole parts
form     the split form makes what the operator makes, and its steps (operators with laws of their own) may be cut
         where the operator may not; so does the form that keeps parts apart, with the operator that reads it
linear   over every operand set declared linear, op(3a − b) = 3 op(a) − op(b)
stack    the pieces of several devices at once make what each makes alone
index    indices and extents of names that are not `indexed` may be any

All hold in float64, and exactly in residues.
"""

from collections.abc import Callable, Iterator
from itertools import combinations, groupby, product

import numpy as np
from operator_examples import KINDS, Kind, numbers, tensor, totals
from xdsl.ir import Block

from dagc.ir import orders
from dagc.ir.debts import KINDS as KIND_OF_DEBT
from dagc.ir.evaluate import follow
from dagc.ir.op import Indices, Operator, tensor_of
from dagc.ir.ops.attention import ContextOp
from dagc.ir.ops.moe import SOURCES
from dagc.ir.ops.normalize import SoftmaxOp
from dagc.ir.ops.parts import Parted
from dagc.ir.ops.program import WeightOp
from dagc.ir.residues import Residues
from dagc.passes.verify.forms import apart, split

# Pieces of the joint space: per name the indices a device holds. A piece has no device axis, several stacked have.

Held = dict[str, np.ndarray]
Operands = list[np.ndarray]


def everything(op: Operator) -> Held:
    return {name: np.arange(size) for name, size in totals(op).items()}


def part(op: Operator, cut: Held) -> Held:
    """The joint space with some names cut; names that a relation derives follow."""
    held = everything(op) | cut
    for relation in op.derived().values():
        held[relation.name] = follow(relation, held, totals(op))
        if relation.counts:
            numbered = parts_of(op, relation.sources[0])
            assert numbered is not None
            held[relation.name] = np.flatnonzero(np.isin(numbered, held[relation.sources[0]]).all(axis=1))
    return held


def parts_of(op: Operator, name: str) -> np.ndarray | None:
    """The indices of each part of a name that another numbers; None of any other."""
    if any(relation.counts and name in relation.sources for relation in op.derived().values()):
        assert isinstance(op, Parted)
        return orders.indices(orders.parse(op.parts.data), totals(op)[name])
    return None


def taken(op: Operator, inputs: Operands, held: Held) -> Operands:
    """Of undivided operands the piece."""
    return [x[np.ix_(*(held[name] for name in op.operand_names(i).values()))] for i, x in enumerate(inputs)]


def stacked(op: Operator, pieces: list[Operands], held: list[Held], total: dict[str, int] | None = None) -> np.ndarray:
    """What devices make of their pieces, at once."""
    at = {name: np.stack([own[name] for own in held]) for name in held[0]}
    operands = [np.stack(each) for each in zip(*pieces, strict=True)]
    return plain(op.compute(operands, Indices(at, total or totals(op))))


def alone(op: Operator, piece: Operands, held: Held, total: dict[str, int] | None = None) -> np.ndarray:
    """What one device makes of its piece."""
    return stacked(op, [piece], [held], total)[0]


def plain(result: np.ndarray) -> np.ndarray:
    """Routing decisions as ordinary numbers: expert and weight side by side."""
    return np.stack([result["expert"], result["weight"]], axis=-1) if result.dtype.names else result


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Residues are equal or not; floats nearly."""
    if isinstance(a, Residues) or isinstance(b, Residues):
        return type(a) is type(b) and np.array_equal(a, b)
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-12)


WRONG = (ValueError, IndexError, KeyError, TypeError, ArithmeticError)
"""What an operator may raise on pieces that it cannot compute."""


# The split law.


def divisions(op: Operator, names: tuple[str, ...]) -> Iterator[list[Held]]:
    """Ways to cut these names all at once: into two uneven parts each, into three, and into odd and even indices.

    Tokens that do not lie together are no run of those that routing counts are kept for.
    """
    total = totals(op)
    ways = [lambda own: np.split(own, [len(own) * 2 // 5]), lambda own: np.split(own, [1, len(own) - 1])]
    ways += [lambda own: [own[1::2], own[::2]]] if SOURCES.name not in op.derived() else []
    for way in ways:
        parts = [_cut(op, name, total[name], way) for name in names]
        yield [
            dict(zip(names, combination, strict=True))
            for combination in product(*([p for p in ps if p.size] for ps in parts))
        ]


def _cut(op: Operator, name: str, size: int, way: Callable[[np.ndarray], list[np.ndarray]]) -> list[np.ndarray]:
    numbered = parts_of(op, name)
    if numbered is None:
        return way(np.arange(size))
    return [np.sort(numbered[own].reshape(-1)) for own in way(np.arange(len(numbered)))]


def free(op: Operator) -> list[str]:
    """Names that may be cut on their own."""
    return [name for name in op.joint() if name not in op.whole() and name not in op.derived()]


def split_violations(op: Operator, kind: Kind) -> Iterator[str]:
    """Cut every free name, and every two."""
    names = [(name,) for name in free(op)] + list(combinations(free(op), 2))
    for cut in names:
        if totals(op)[cut[0]] > 1:
            yield from cut_violations(op, cut, kind)


def cut_violations(op: Operator, names: tuple[str, ...], kind: Kind) -> Iterator[str]:
    """Is the whole what its pieces make?"""
    if undeclared := [name for name in names if not (seen(op, name) or name in op.sums() | op.RULE.aligned)]:
        yield f"{undeclared[0]} vanishes undeclared"
        return
    for parts in divisions(op, names):
        if problem := unlike_whole(op, parts, kind):
            yield f"cut {' and '.join(names)}: {problem}"
            return


def unlike_whole(op: Operator, parts: list[Held], kind: Kind) -> str:
    """What is wrong if operands are cut into these parts."""
    inputs = numbers(op, kind)
    whole = alone(op, inputs, everything(op))
    try:
        return "" if joins(op, inputs, whole, parts) else "pieces do not make the whole"
    except WRONG as error:
        return f"cannot be computed: {error!r}"


def seen(op: Operator, name: str) -> bool:
    """Does cutting this name cut the result?"""
    names = tensor_of(op.results[0]).names
    return name in names or any(r.name in names and name in r.sources for r in op.derived().values())


def joins(op: Operator, inputs: Operands, whole: np.ndarray, parts: list[Held]) -> bool:
    """Put the pieces where their indices say, merged; those that differ in an aligned name only are copies."""
    names = tensor_of(op.results[0]).names
    copied = {n for n in parts[0] if n in op.RULE.aligned - op.sums() and not seen(op, n)}
    joined, copies, merge = np.zeros_like(whole), {}, KIND_OF_DEBT[op.RULE.debt].merge
    filled = np.zeros(whole.shape, dtype=bool)
    for cut in parts:
        held = part(op, cut)
        made = alone(op, taken(op, inputs, held), held)
        where = [held[name] for name in names]
        first = copies.setdefault(tuple(cut[n][0] for n in cut if n not in copied), made)
        if made.shape[: len(names)] != tuple(map(len, where)) or not close(made, first):
            return False
        if first is made:
            at = np.ix_(*where)
            joined[at] = merge(np.stack([joined[at], made]), 0) if filled[at].any() else made
            filled[at] = True
    return close(joined, whole)


# The law of split forms.


def form_violations(op: Operator, kind: Kind) -> Iterator[str]:
    """Is the split form, undivided, the operator, and may it be cut where the operator may not?"""
    yield from _unlike_form(op, split(op), numbers(op, kind), lambda inputs: alone(op, inputs, everything(op)))
    reader = reading(op)
    if reader is not None:
        both = [*numbers(op, kind), *numbers(reader, kind, 1)[1:]]
        for parts in ("7 contiguous", "7 zigzag"):
            yield from _unlike_form(op, apart(op, reader, (1,), parts), both, lambda given: _read(op, reader, given))


def reading(op: Operator) -> Operator | None:
    """The operator that the example of a form of two is read by."""
    if not isinstance(op, SoftmaxOp) or op.over.data != "kv_len" or totals(op)["kv_len"] % 14:
        return None
    values = WeightOp.of(path="v", out=tensor("batch_size seq_len=14 kv_heads d_k"))
    return ContextOp.of(op.out, values.out, path="core.reader")


def _read(op: Operator, reader: Operator, inputs: Operands) -> np.ndarray:
    return alone(reader, [alone(op, inputs[:1], everything(op)), *inputs[1:]], everything(reader))


def _unlike_form(op: Operator, form: Block, inputs: Operands, whole: Callable[[Operands], np.ndarray]) -> Iterator[str]:
    values = dict(zip(form.args, inputs, strict=True)) if form.first_op else {}
    for step in form.ops:
        assert isinstance(step, Operator)
        values[step.out] = alone(step, [values[value] for value in step.operands], everything(step))
        if kept := (step.whole() - step.RULE.accumulates) & op.whole():
            yield f"{step.name} needs {min(kept)} whole, as the operator does"
    last = form.last_op
    if last is not None and not close(values[last.results[0]], whole(inputs)):
        yield "the split form makes something else"


# The other laws.


def linear_violations(op: Operator, kind: Kind) -> Iterator[str]:
    """op(3a − b) = 3 op(a) − op(b) over every operand set declared linear, the others fixed."""
    fixed, a, b = (numbers(op, kind, seed) for seed in range(3))
    both = [3 * x - y if _is_number(x) else x for x, y in zip(a, b, strict=True)]
    for operands in op.RULE.linear:
        total, first, second = (
            alone(op, [xs[i] if i in operands else fixed[i] for i in range(len(fixed))], everything(op))
            for xs in (both, a, b)
        )
        if not close(total, 3 * first - second):
            yield f"not linear in operands {operands}"


def _is_number(x: np.ndarray) -> bool:
    """Not an index, not a routing decision."""
    return x.dtype == np.float64 or (isinstance(x, Residues) and x.dtype.names is None)


def windows(op: Operator, kind: Kind) -> list[tuple[Operands, Held]]:
    """Pieces of several devices: half of every free name from a random place on, each of other numbers."""
    rng, total, made = np.random.default_rng(0), totals(op), []
    for device in range(8):
        cut = {}
        for name in free(op):
            numbered = parts_of(op, name)
            size = total[name] if numbered is None else len(numbered)
            long = (size + 1) // 2
            own = rng.integers(0, size - long + 1) + np.arange(long)
            cut[name] = own if numbered is None else np.sort(numbered[own].reshape(-1))
        held = part(op, cut)
        made.append((taken(op, numbers(op, kind, device), held), held))
    return made


def alike(op: Operator, kind: Kind) -> Iterator[tuple[list[Operands], list[Held]]]:
    """Windows grouped by their shape."""

    def shape(window: tuple[Operands, Held]) -> list[int]:
        return [len(own) for own in window[1].values()]

    for _, group in groupby(sorted(windows(op, kind), key=shape), key=shape):
        pieces, held = zip(*group, strict=True)
        yield list(pieces), list(held)


def stack_violations(op: Operator, kind: Kind) -> Iterator[str]:
    """Devices whose pieces have the same shape, at once and one by one."""
    for pieces, held in alike(op, kind):
        try:
            together = stacked(op, pieces, held)
            good = all(close(together[i], alone(op, pieces[i], held[i])) for i in range(len(held)))
        except WRONG as error:
            good = f"cannot be computed: {error!r}"
        if good is not True:
            yield f"{len(held)} devices at once: {good or 'not what each makes alone'}"
            return


def index_violations(op: Operator, kind: Kind, known: frozenset[str] | None = None) -> Iterator[str]:
    """Indices of names that are not `indexed`, and their extents, are replaced by others."""
    known = op.indexed() if known is None else known
    for piece, held in windows(op, kind)[:3]:
        others = {name: own if name in known else 5 * own[::-1] + 1000 for name, own in held.items()}
        total = {name: size if name in known else size + 7 for name, size in totals(op).items()}
        try:
            with np.errstate(all="raise"):
                good = close(alone(op, piece, others, total), alone(op, piece, held))
        except WRONG as error:
            good = f": {error!r}"
        if good is not True:
            yield f"reads indices that are not declared{good or ''}"
            return


LAWS = {
    "split": split_violations,
    "form": form_violations,
    "linear": linear_violations,
    "stack": stack_violations,
    "index": index_violations,
}


def violations(op: Operator, *laws: str, kinds: tuple[str, ...] = tuple(KINDS)) -> list[str]:
    """What these laws, or all, find in any kind of number, or these."""
    return [found for kind in kinds for law in laws or LAWS for found in LAWS[law](op, KINDS[kind])]
