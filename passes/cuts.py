"""Which axes cut which dimensions of an operator: a function of where it stands and what its dimensions are called.

Per axis, the rule that holds at the operator's path names dimensions; the axis cuts the one of them that the operator
has, or one that a relation derives from it, in the order that the rule says. Names that a relation ties to others of
the same operator follow them: as far as whole runs of the order divide them, routed tokens without any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from xdsl.dialects.builtin import ModuleOp

from ..diagnostics import Diagnostic
from ..ir import orders
from ..ir.debts import debtor
from ..ir.dims import Size, Sizes, as_number
from ..ir.layout import Tensor
from ..ir.mesh import Mesh
from ..ir.module import mesh_of, operators, sizes_of
from ..ir.op import Operator
from ..ir.ops import RELATIONS, UNORDERED
from ..ir.plan import Plan, Rule, user_axis
from .dealing import Dealt, said, undealt
from .rules import Rules

Joint = dict[str, tuple[str, ...]]
"""Per joint name what cuts it, outermost first."""


INSTEAD = {"seq_len": "another dimension: batch_size, heads, or in decode kv_len at *.core"}
"""What an axis may cut where it does not divide a dimension."""


@dataclass(frozen=True)
class Place:
    """Where an operator stands: its module path, its (first) layer if it is in one, and its pool."""

    path: str
    layer: int | None
    pool: str


def _apart(rule: Rule, name: str) -> set[str]:
    """The factors of a merged dimension that a rule cuts so that rows of one part do not lie together."""
    sources = RELATIONS[name].sources
    ordered = {source for source, order in rule.orders if source in sources and not orders.is_unequal(order)}
    return ordered | {cut for cut in rule.cuts if cut in sources[1:]}


def _last_in_time(cuts: tuple[str, ...]) -> tuple[str, ...]:
    return (*orders.in_space(cuts), *filter(orders.in_time, cuts))


@dataclass
class Cuts:
    """Answers for one plan on one mesh; collects what is wrong instead of stopping at the first."""

    plan: Plan
    mesh: Mesh
    sizes: Sizes
    problems: dict[tuple[str, ...], Diagnostic] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    dealt: Dealt = field(default_factory=Dealt)

    @staticmethod
    def of_module(module: ModuleOp, plan: Plan) -> Cuts:
        """Those of a placed module's mesh, sizes and operators."""
        sizes = sizes_of(module)
        return Cuts(plan, mesh_of(module), sizes, dealt=Dealt.of((op for op, _ in operators(module)), sizes))

    def __post_init__(self) -> None:
        self.rules = Rules(self.plan.rules, self.mesh.axes)

    def of(self, op: Operator, place: Place) -> Joint:
        """The layout of an operator's joint space, in which what must be whole is."""
        cuts = self.joint(op, place)
        self._check_whole(op, cuts, place)
        return cuts

    def joint(self, op: Operator, place: Place) -> Joint:
        """The layout that rules give an operator's joint space, whether or not it can be computed so."""
        space, tied = op.joint(), op.derived()
        cuts = self._free({n: s for n, s in space.items() if n not in tied}, place, op.whole())
        for name, relation in tied.items():
            carried = relation.carried(cuts)
            cuts[name] = carried if relation.counts else self._prefix(carried, space[name])
        return cuts

    def kept_apart(self, op: Operator, place: Place) -> str:
        """The order of the parts of the one name that an operator needs whole, if they are to be kept apart until they
        are merged: a rule also names what numbers them, or lets them pass by in time. Else nothing.
        """
        joint = self.joint(op, place)
        for name in op.whole():
            numbers = {relation.name for relation in RELATIONS.values() if relation.counts and name in relation.sources}
            rules = [self.rules.rule(axis, place.path, place.layer) for axis in orders.axes_of(joint.get(name, ()))]
            if any(numbers.intersection(rule.cuts) for rule in rules if rule) or any(map(orders.in_time, joint[name])):
                return orders.text(self._levels(orders.at_rest(cut) for cut in joint[name]))
        return ""

    def may_move(self, have: Tensor, need: Tensor, path: str) -> bool:
        """Refuse to hold still what passes by in time: only what accumulates it may end that."""
        for before, after in zip(have.dims, need.dims, strict=True):
            if before.times and before.times != after.times:
                axis = user_axis(before.times[0])
                self._refuse(
                    ("time", axis, before.name),
                    None,
                    Place(path, None, have.pool),
                    f"{before.name} passes by in time, a part of {axis} after the other, and is read otherwise",
                    expected="a merge of the parts, or an operator of every part",
                    actual=f"{before.name} / {' / '.join(after.cuts) or 'nothing'}",
                    hint=f"let {axis} pass over it in the whole of attention's core, and nowhere else",
                )
                return False
        return True

    def named(self, tensor: Tensor, place: Place) -> Joint:
        """The layout of a bare tensor at a place (what a repeat carries)."""
        return self._free({d.name: d.size for d in tensor.dims}, place)

    def ordered(self, owes: set[str]) -> tuple[str, ...]:
        """Debts in the order of the mesh's axes."""
        return tuple(sorted(owes, key=lambda owed: self.mesh.axes.index(debtor(owed))))

    def check_order(self, made: Tensor, have: Tensor, need: Tensor, place: Place) -> None:
        """Refuse to slice a merged dimension by an axis whose rows do not lie together.

        Those do that cut it where it was `made` and were gathered, and those of an outer factor, cut contiguously,
        unless rows of a cut outside of it are still elsewhere, or those of a cut inside of it are already taken.
        """
        for dim in need.dims:
            lies = () if dim.name not in UNORDERED else (*have.axes, *made.dim(dim.name).axes)
            for i, axis in enumerate(dim.axes if dim.name in UNORDERED else ()):
                rule = self.rules.rule(axis, place.path, place.layer)
                mine = set(have.dim(dim.name).axes)
                away = (set(dim.axes[:i]) & set(have.axes) - mine) | (set(dim.axes[i + 1 :]) & mine)
                divides = all(key[:2] != ("indivisible", user_axis(axis)) for key in self.problems)
                lost = axis not in lies and divides
                if lost and rule and (apart := _apart(rule, dim.name) or (away and {*rule.cuts})):
                    self._scattered(axis, rule, dim.name, ", ".join(sorted(apart)), place)

    def _free(self, space: dict[str, Size], place: Place, whole: frozenset[str] = frozenset()) -> Joint:
        """Cut names that are free: by a rule that names them, or that names all a relation derives them from.

        Of several that a rule names, not those that must be `whole`.
        """
        cuts: Joint = dict.fromkeys(space, ())
        for axis, rule in self.rules.at(place.path, place.layer, self.mesh.axes_of(place.pool)):
            hit = {self._source(name, rule.cuts) or name for name in space if self._hits(name, rule.cuts)}
            hit = {name for name in hit if not orders.in_time(orders.cut(axis, rule.order(name)))}
            spared = whole if len(hit) > 1 else frozenset()
            if len(hit - spared) > 1:
                self._conflict(axis, rule, hit, place)
                continue
            for name in (name for name in space if name not in spared):
                cut = self._cut(axis, rule, name, space, cuts)
                if self._hits(name, rule.cuts) and self._divides(cut, rule, name, space, cuts, place):
                    cuts[name] = (*cuts[name], cut)
        return {name: self._by_source(name, _last_in_time(cut), place) for name, cut in cuts.items()}

    def _cut(self, axis: str, rule: Rule, name: str, space: dict[str, Size], cuts: Joint) -> str:
        """The axis in the order that the rule gives to a name, or to what the name follows."""
        order = rule.order(name if name in rule.cuts else self._source(name, rule.cuts) or name)
        if orders.is_unequal(order):
            return orders.cut(axis, self._in_units(axis, rule, name, space, cuts))
        if name in UNORDERED:
            return axis
        if name in RELATIONS and RELATIONS[name].counts:
            order = orders.RING if orders.in_time(orders.cut(axis, order)) else orders.CONTIGUOUS
        siblings = [other for other in self.mesh.axes if user_axis(other) == user_axis(axis)]
        at = siblings.index(axis)
        return orders.cut(axis, orders.refined(order, at == 0, self.mesh.size(tuple(siblings[at + 1 :]))))

    def _in_units(self, axis: str, rule: Rule, name: str, space: dict[str, Size], cuts: Joint) -> str:
        """The unequal order that a rule gives to a name, or to what it follows, with the units that it deals."""
        of = name if name in rule.cuts else self._source(name, rule.cuts) or name
        order, size = rule.order(of), self.dealt.sizes.get(of) or as_number(self.sizes.shown(space[name]))
        if order != orders.UNEVEN or not isinstance(size, int):
            return order
        outer = self.mesh.size(orders.axes_of(cuts[name]))
        if size % (outer * self.mesh.size((axis,))) == 0 and not orders.unequal(self._levels(cuts[name])):
            return orders.CONTIGUOUS
        return orders.uneven((self.dealt.units(of) or size) // outer)

    def _by_source(self, name: str, cuts: tuple[str, ...], place: Place) -> tuple[str, ...]:
        """A merged dimension is cut by the axes of its outermost source first, as where it is made."""
        sources = RELATIONS[name].sources if name in RELATIONS else ()
        if len(sources) < 2:
            return cuts

        def rank(cut: str) -> int:
            rule = self.rules.rule(orders.axis_of(cut), place.path, place.layer)
            return next((i for i, source in enumerate(sources) if rule and source in rule.cuts), len(sources))

        return tuple(sorted(cuts, key=rank))

    def _hits(self, name: str, listed: tuple[str, ...]) -> bool:
        return name in listed or self._source(name, listed) is not None

    @staticmethod
    def _source(name: str, listed: tuple[str, ...]) -> str | None:
        """The listed name that a derived name follows."""
        relation = RELATIONS.get(name)
        return next((s for s in relation.sources if s in listed), None) if relation else None

    def _prefix(self, cuts: tuple[str, ...], size: Size) -> tuple[str, ...]:
        """The longest run of cuts, from the outermost, whose runs of indices divide a size."""
        whole, kept = as_number(size), ()
        for cut in cuts:
            parts = self.mesh.size((orders.axis_of(cut),))
            taken_apart = orders.runs(orders.order_of(cut), parts) is None
            if taken_apart or (isinstance(whole, int) and not orders.fits(self._levels((*kept, cut)), whole)):
                break
            kept = (*kept, cut)
        return kept

    def _chunks(self, cuts: tuple[str, ...]) -> int:
        """What a size must be a multiple of, to be cut so."""
        return orders.divisor(self._levels(cuts))

    def _levels(self, cuts: Iterable[str]) -> orders.Levels:
        return tuple((self.mesh.size((orders.axis_of(cut),)), orders.order_of(cut)) for cut in cuts)

    def _divides(self, cut: str, rule: Rule, name: str, space: dict[str, Size], cuts: Joint, place: Place) -> bool:
        """Does the cut divide what is left of a dimension? A derived one may stop being cut; a listed one may not."""
        axis = orders.axis_of(cut)
        self.used.add(axis)
        nested = (*cuts[name], cut)
        if name in RELATIONS and name not in rule.cuts:
            return self._prefix(nested, space[name])[-1:] == (cut,)
        parts = self.mesh.size(orders.axes_of(nested))
        size = as_number(self.sizes.shown(space[name]))
        if orders.unequal(self._levels(nested)):
            return self._deals(nested, rule, name, size, place)
        if problem := self._disorder(axis, rule, name):
            self._disordered(axis, rule, name, problem, place)
        elif isinstance(size, int) and size % parts:
            self._indivisible(axis, rule, name, size, parts, place)
        elif isinstance(size, int) and size % self._chunks(nested):
            self._unchunked(axis, rule, name, (size, self._chunks(nested)), place)
        else:
            return True
        return False

    def _deals(self, nested: tuple[str, ...], rule: Rule, name: str, size: int | Fraction | None, place: Place) -> bool:
        """Can a dimension be cut into parts that are not equal?"""
        whole, problem = user_axis(orders.axis_of(nested[-1])), undealt(self._levels(nested), size)
        if problem:
            self._refuse(
                ("order", whole, name),
                rule,
                place,
                f"{whole} cuts {name}{'' if size is None else f' = {size}'} into unequal parts, which {problem}",
                expected=f"as many sizes as {whole} has parts, that add up; or a part of at least one unit for each",
                actual=f"{rule.order(name)} over {self.plan.size(whole)} parts",
                hint=f"give {name} a size, list other sizes, or use a smaller --mesh {whole}",
            )
        return not problem

    def _disorder(self, axis: str, rule: Rule, name: str) -> str:
        """What is wrong with the order that a rule gives to a name, or nothing."""
        order = rule.order(name)
        if name in UNORDERED and order != orders.CONTIGUOUS:
            return "its parts cannot have: routed rows lie in any order, and carry what they stand for"
        return orders.problem(order, self.plan.size(user_axis(axis)))

    def _disordered(self, axis: str, rule: Rule, name: str, problem: str, place: Place) -> None:
        whole = user_axis(axis)
        named = orders.CONTIGUOUS if name in UNORDERED else ", ".join(orders.ORDERS)
        tables = "" if name in UNORDERED else f", or a table of {self.plan.size(whole)} chunks or a multiple"
        self._refuse(
            ("order", whole, name),
            rule,
            place,
            f"{whole} cuts {name} in an order that {problem}",
            expected=named + tables,
            actual=rule.order(name),
        )

    def _unchunked(self, axis: str, rule: Rule, name: str, counts: tuple[int, int], place: Place) -> None:
        whole, (size, chunks) = user_axis(axis), counts
        self._refuse(
            ("order", whole, name),
            rule,
            place,
            f"{whole} in the order {rule.order(name)} cuts {name} = {size} into {chunks} equal chunks, which it is not",
            expected=f"{name} a multiple of {chunks}",
            actual=str(size),
            hint=f"let {whole} cut {name} contiguously, or change --mesh {whole}",
        )

    def _indivisible(self, axis: str, rule: Rule, name: str, size: int, parts: int, place: Place) -> None:
        whole = user_axis(axis)
        works = [d for d in range(1, min(size, 4096) + 1) if size % d == 0]
        self._refuse(
            ("indivisible", whole, name),
            rule,
            place,
            f"axis {whole} does not divide {name} = {size} into {parts} equal parts",
            expected=f"a divisor of {size} ({', '.join(map(str, works[:24]))}{', …' * (len(works) > 24)})",
            actual=str(parts),
            hint=f"use --mesh {whole}={max(d for d in works if d <= parts)}, "
            f"or let the axis cut {INSTEAD.get(name, 'another dimension')}{self._offer(whole, name, size, parts)}",
        )

    def _offer(self, whole: str, name: str, size: int, parts: int) -> str:
        """What an uneven cut would make, if it can be."""
        units = self.dealt.units(name) or size
        if name in UNORDERED or units < parts or size % units:
            return ""
        return f", or cut {{{whole}: {{{name}: uneven}}}}: {said(units, parts, size // units)}"

    def _conflict(self, axis: str, rule: Rule, hit: set[str], place: Place) -> None:
        whole = user_axis(axis)
        self._refuse(
            ("conflict", whole, *sorted(hit)),
            rule,
            place,
            f"axis {whole} would cut {' and '.join(sorted(hit))} of one operator",
            expected="one dimension per axis and operator",
            actual=f"rule at {', '.join(rule.at)}: {whole} cuts {', '.join(rule.cuts)}",
            hint=f"add a rule for {place.path} that cuts one of them, or lifts the axis with ~",
        )

    def _scattered(self, axis: str, rule: Rule, name: str, inner: str, place: Place) -> None:
        whole = user_axis(axis)
        self._refuse(
            ("rule", whole, name),
            rule,
            place,
            f"axis {whole} cuts {inner} here, but {name} arrives whole: rows of one part do not lie together",
            expected=f"{name} cut by {whole} since it was made",
            actual=f"{name} whole",
            hint=f"let {whole} cut {inner} at the dispatch and the experts too",
        )

    def _check_whole(self, op: Operator, cuts: Joint, place: Place) -> None:
        for name in op.whole():
            found = cuts.get(name, ())
            for axis in orders.axes_of(orders.in_space(found) if name in op.RULE.accumulates else found):
                whole = user_axis(axis)
                self._refuse(
                    ("whole", whole, name, place.path),
                    self.rules.rule(axis, place.path, place.layer),
                    place,
                    f"{op.name.removeprefix('dag.')} needs {name} whole, axis {whole} cuts it",
                    expected=f"{name} uncut",
                    actual=f"{name} / {whole}",
                    hint=f"lift the axis there: {{at: {place.path}, cut: {{{whole}: ~}}}}",
                )

    def _refuse(self, key: tuple[str, ...], rule: Rule | None, place: Place, problem: str, **more: str) -> None:
        """Note a problem under its code, `key[0]`; the same one is said once, at the first place it is met."""
        where = f"{rule.where if rule else ''} at {place.path}".strip()
        self.problems.setdefault(key, Diagnostic(key[0], problem, where, **more))
