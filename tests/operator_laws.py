"""The laws that every operator keeps, taken from its own declarations. Each gives what it finds wrong, in words.

split    cut any names that are not `whole` into uneven parts, and into every second index, compute the pieces, put them
         where their indices say and merge them by the kind of debt where the cut name is contracted: that is the whole
form     the split form makes what the operator makes, and its steps (operators with laws of their own) may be cut
         where the operator may not
linear   over every operand set declared linear, op(3a − b) = 3 op(a) − op(b)
stack    the pieces of several devices at once make what each makes alone
index    indices and extents of names that are not `indexed` may be any

All hold in float64, and exactly in residues.
"""

from collections.abc import Iterator
from itertools import combinations, groupby, product

import numpy as np
from operator_examples import KINDS, Kind, numbers, totals

from dagc.ir.debts import KINDS as KIND_OF_DEBT
from dagc.ir.evaluate import follow
from dagc.ir.op import Indices, Operator, tensor_of
from dagc.ir.ops.moe import SOURCES
from dagc.ir.residues import Residues
from dagc.passes.verify.forms import split

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
    return held


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
        parts = [way(np.arange(total[name])) for name in names]
        yield [
            dict(zip(names, combination, strict=True))
            for combination in product(*([p for p in ps if p.size] for ps in parts))
        ]


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
    inputs, form = numbers(op, kind), split(op)
    values = dict(zip(form.args, inputs, strict=True))
    for step in form.ops:
        assert isinstance(step, Operator)
        values[step.out] = alone(step, [values[value] for value in step.operands], everything(step))
        if kept := step.whole() & op.whole():
            yield f"{step.name} needs {min(kept)} whole, as the operator does"
    last = form.last_op
    if last is not None and not close(values[last.results[0]], alone(op, inputs, everything(op))):
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
            long = (total[name] + 1) // 2
            cut[name] = rng.integers(0, total[name] - long + 1) + np.arange(long)
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
