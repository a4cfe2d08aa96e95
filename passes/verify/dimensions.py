"""Local and global sizes agree. Guarantees, per value and dimension, with its proof:

* the sizes of the distinct parts add up to the global size, for ALL sizes: a cut size is written n = parts · m with
  a fresh m, the axes being symbols too, and `distinct parts · m == n` must hold as an identity of polynomials
* of parts that are not equal the units add up, n = units · m: so many of ⌈units/parts⌉ and so many of ⌊units/parts⌋
* that n is such a product is a precondition (`tp | heads`; `2·cp | seq_len` where cp cuts it zigzag), listed once, and
  held against the bound numbers
* result names and sizes follow from the operands by each operator's own rule (well-formed modules only)
* routing conserves rows (`conservation`)

Nothing is simplified and nothing is searched; what cannot be proven is an error that names the missing fact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir.dims import Size, Sizes, as_number, number, product, same, symbol, text
from ...ir.layout import Dim
from ...ir.mesh import Mesh
from ...ir.module import mesh_of, operators, sizes_of
from ...ir.op import Operator, tensor_of
from ...ir.orders import (
    UNEVEN,
    Levels,
    axes_of,
    axis_of,
    divisor,
    fits,
    is_unequal,
    listed_sizes,
    order_of,
    portions,
    still,
    table_of,
    unequal,
)
from . import conservation
from .division import Answer, Division, divide
from .findings import axes_text, finding

LISTED = 24
"""Divisors that a message lists."""


@dataclass(frozen=True)
class Precondition:
    """`tp | heads`, which `holds` for the bound numbers (None: an assumption on a size left free), and why."""

    text: str
    where: str
    holds: bool | None
    because: str


@dataclass(frozen=True)
class Proof:
    """What was proven of a module's dimensions, and on which conditions."""

    proven: tuple[str, ...]
    preconditions: tuple[Precondition, ...]


def check(module: ModuleOp) -> tuple[list[Diagnostic], Proof]:
    """Every dimension whose parts do not, or not provably, add up; and the proof for the others."""
    mesh, sizes = mesh_of(module), sizes_of(module)
    cuts = _cuts(module)
    judged = [_Judged(dim, op, *_judge(dim, mesh, sizes), _dealt(dim, mesh, sizes)) for dim, op in cuts.items()]
    lost, kept = conservation.check(module)
    found = [diagnostic for one in judged for diagnostic in one.diagnostics(mesh)]
    proven = tuple(one.fact() for one in judged if one.stands)
    preconditions = tuple(one.precondition() for one in judged if one.stands and one.conditional)
    standing = {one.dim for one in judged if one.stands}
    return [*found, *lost], Proof((*_rules(module, standing), *proven, *kept), preconditions)


def _cuts(module: ModuleOp) -> dict[Dim, Operator]:
    """Every cut dimension once (name, size, axes), with the first operator whose result has it."""
    first: dict[Dim, Operator] = {}
    for op, _ in operators(module):
        for dim in tensor_of(op.out).dims:
            if dim.cuts:
                first.setdefault(dim, op)
    return first


def _rules(module: ModuleOp, standing: set[Dim]) -> Iterator[str]:
    values = [tensor_of(op.out) for op, _ in operators(module)]
    proven = sum(not dim.cuts or dim in standing for value in values for dim in value.dims)
    yield f"{len(values)} operators: result names and sizes follow from the operands"
    yield f"{proven} dimensions of {len(values)} values: their parts' sizes add up to the global size"


def _judge(dim: Dim, mesh: Mesh, sizes: Sizes) -> tuple[bool, Division]:
    """Whether the parts add up, and whether they exist."""
    known = mesh.sizes
    if missing := [axis for axis in axes_of(dim.cuts) if axis not in known]:
        return True, Division(Answer.UNKNOWN, f"missing: the size of axis {missing[0]}")
    try:
        return adds_up(dim) and _units_add_up(dim, mesh), divide(_runs(dim, mesh), dim.size, sizes)
    except ValueError as error:
        return True, Division(Answer.UNKNOWN, str(error))


def _dealt(dim: Dim, mesh: Mesh, sizes: Sizes) -> str:
    """`4 · 86 + 8 · 85 = 1024`; nothing where parts are equal, or are none."""
    whole, cuts = as_number(sizes.shown(dim.size)), _nested(dim, mesh) if set(dim.axes) <= set(mesh.axes) else ()
    if not (isinstance(whole, int) and unequal(cuts) and fits(cuts, whole)):
        return ""
    units, held = portions(cuts)
    counts = Counter((held * whole // units).tolist())
    added = " + ".join(f"{count} · {size}" for size, count in sorted(counts.items(), reverse=True))
    return f"{added} = {sum(size * count for size, count in counts.items())}"


def _units_add_up(dim: Dim, mesh: Mesh) -> bool:
    """Of parts that are not equal: distinct sizes · their number == global size, for every size of a unit."""
    units, held = portions(_nested(dim, mesh))
    unit = symbol(f"{dim.name}'")
    counts = Counter(held.tolist())
    return same(sum((count * each * unit for each, count in counts.items()), start=number(0)), units * unit)


def _nested(dim: Dim, mesh: Mesh) -> Levels:
    return tuple((mesh.size((axis_of(cut),)), order_of(cut)) for cut in dim.cuts)


def _runs(dim: Dim, mesh: Mesh) -> int:
    """Into how many equal runs of indices the cuts divide a dimension: parts, or more where their order needs it."""
    return divisor(_nested(dim, mesh))


def _runs_text(cuts: tuple[str, ...]) -> str:
    """
    >>> _runs_text(("dp", "cp zigzag")), _runs_text(("ep [3, 0, 2, 1]", "tp"))
    ('dp·2·cp', 'lcm(4, ep·tp)')
    >>> _runs_text(("dp uneven 1024",)), _runs_text(("dp (3, 2, 2)", "cp"))
    ('1024', '7·cp')
    """
    if not cuts:
        return ""
    (axis, order), inner = (axis_of(cuts[0]), still(order_of(cuts[0]))), _runs_text(cuts[1:])
    if units := sum(listed_sizes(order)) or order.removeprefix(UNEVEN).strip() * is_unequal(order):
        return "·".join(filter(None, (str(units), inner)))
    if table := table_of(order):
        return f"lcm({len(table)}, {axis}·{inner})" if inner else str(len(table))
    return "·".join(filter(None, ("2" if order == "zigzag" else "", axis, inner)))


def adds_up(dim: Dim) -> bool:
    """distinct parts · local size == global size, for every size of the axes and of the part. Parts that pass by in
    time add up over the steps.

    >>> adds_up(Dim("heads", symbol("H"), ("ep", "tp"))), adds_up(Dim("heads", symbol("H"), ("tp", "tp")))
    (True, False)
    """
    local = symbol(f"{dim.name}'")
    axes = axes_of(dim.cuts)
    whole = product([_axis(axis) for axis in axes]) * local
    distinct = product([_axis(axis) for axis in dict.fromkeys(axes)])
    return same(distinct * local, whole)


def _axis(name: str) -> Size:
    return symbol(f"axis {name}")


@dataclass(frozen=True)
class _Judged:
    """One cut dimension and what is known of it."""

    dim: Dim
    op: Operator
    adds_up: bool
    division: Division
    dealt: str = ""
    """Of parts that are not equal, how they add up."""

    @property
    def stands(self) -> bool:
        return self.adds_up and self.division.answer in (Answer.PROVEN, Answer.HOLDS, Answer.ASSUMED)

    @property
    def conditional(self) -> bool:
        return self.division.answer in (Answer.HOLDS, Answer.ASSUMED)

    def fact(self) -> str:
        parts, cuts, name = axes_text(axes_of(self.dim.cuts)), axes_text(self.dim.cuts), self.dim.name
        says = f"{name} = {text(self.dim.size)}: {parts} parts of {name} / ({cuts}); {self.division.because}"
        return f"{says}; {self.dealt}" if self.dealt else says

    def precondition(self) -> Precondition:
        holds = True if self.division.answer is Answer.HOLDS else None
        says = f"{_runs_text(self.dim.cuts)} | {self.dim.name}"
        return Precondition(says, finding("unproven", self.op, says).where, holds, self.division.because)

    def diagnostics(self, mesh: Mesh) -> Iterator[Diagnostic]:
        axes, name = axes_text(self.dim.cuts), self.dim.name
        if not self.adds_up:
            used = axes_of(self.dim.cuts)
            twice = next(axis for axis in used if used.count(axis) > 1)
            problem = f"the parts of {name} do not add up: axis {twice} cuts it twice"
            yield finding("unproven", self.op, problem, actual=f"{name} / {axes}: {_gap(mesh.size((twice,)))}")
        elif self.division.value is not None and self.division.answer is Answer.REFUTED:
            yield _indivisible(self.op, self.dim, _runs(self.dim, mesh), self.division)
        elif not self.stands:
            problem = f"the parts of {name} = {text(self.dim.size)} over {axes} are not proven to add up"
            yield finding("unproven", self.op, problem, actual=self.division.because)


def _gap(parts: int) -> str:
    return f"of {parts * parts}, {parts} parts of 1 add up to {parts}"


def _indivisible(op: Operator, dim: Dim, parts: int, division: Division) -> Diagnostic:
    size = division.value or 0
    works = [d for d in range(1, min(size, 4096) + 1) if size % d == 0]
    listed = ", ".join(map(str, works[:LISTED])) + ", …" * (len(works) > LISTED)
    near = [str(d) for d in (max(d for d in works if d < parts), min((d for d in works if d > parts), default=0)) if d]
    return finding(
        "indivisible",
        op,
        f"{axes_text(dim.cuts)} ({parts} parts) does not divide {dim.name} = {size}: {division.because}",
        expected=f"a divisor of {size} ({listed})",
        actual=str(parts),
        hint=f"cut it into {' or '.join(near)} parts",
    )
