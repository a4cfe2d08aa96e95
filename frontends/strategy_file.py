"""A strategy as a file holds it: named axes, some of them open, and rules that say what they cut where.

about: one or more experts per GPU; attention is data parallel on the same GPUs
needs: [ep divides batch_size and experts]  # what `dagc strategies` says of sizes; checked where they are bound
mesh: {ep: gpus}                        # axis: number, or `gpus` for what is left; outermost first
uses: [tp]                              # optional: rules of built-in strategies, before its own
rules:
  - {at: "*", cut: {ep: batch_size}}    # axis: one name, a list of names, or ~ to lift the axis
  - {at: "*", cut: {cp: {seq_len: zigzag}}}     # or names with an order: zigzag, strided, or a table of chunks
  - {at: "*.core", cut: {cp: {seq_len: contiguous, kv_len: ring}}}      # or parts that pass by: ring, ring zigzag …
  - {at: "*", cut: {dp: {batch_size: uneven}}}  # or in unequal parts: uneven, or {sizes: [86, 86, 85]}
  - {at: "*.core", cut: {cp: heads}, when: "seq_len > 4096"}    # only at such sizes: see `regimes`
  - {at: "*.core", cut: {tp: heads}, replicate: 2}      # in half as many parts, each on two GPUs side by side
  - {at: "*", store: {fsdp: [hidden, ffn]}}     # weights between uses: the first name that one has and that divides
  - {at: "*.scores", unpaid: ds}        # what is owed over ds is never paid: another function, refused but --as-written
stages: {axis: pp, layers: even}        # even, uneven, the layers of each stage, fit or flops (stages_text.py)
folds: {ffn: {tpf: 4, ep: gpus}}        # further meshes over the same GPUs (folds.py)
pools, place                            # several meshes instead of one (pools_text.py)
experts: {redundant: gpus}              # copies of experts, or which are where (slots_text.py)
micro_batches: 4                        # the batch goes through in so many equal parts, one after the other
micro_batches: {batch_size: 2, seq_len: 4}      # or also every sequence, in so many chunks of its tokens
alternatives: {…: {rules: […]}, …}      # ways to do it, each with what it says beside all of this (`alternatives.py`)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator

from ..diagnostics import Diagnostic, Refused, nearest
from ..ir import orders
from ..ir.plan import Placing, PoolAxes, Rule, Stages
from ..ir.slots import Slots
from .alternatives import variants
from .folds import Fold, Folds
from .parsed import Parsed, read_text, shown
from .pools_text import PlaceList, Pools, axes_of, folds_of, places_of, pools_of
from .pools_text import problems as pool_problems
from .regimes import When
from .schema import MAX_SIZE, Size, Strict, checked
from .slots_text import SlotsText, slots_of
from .stages_text import StagesText, stages_of, stages_problems
from .strategy_values import MAX_PARTS, AxisName, OneOrMore, Parts, Places, names
from .yaml_reader import parse_yaml

STRATEGIES = Path(__file__).parent / "strategies"

DIMENSIONS = (
    *("batch_size", "seq_len", "kv_len", "kv_parts", "hidden", "heads", "kv_heads", "d_k", "ffn"),
    *("vocab", "experts", "expert_tokens", "top_k", "q_rank", "kv_rank", "d_nope", "d_rope", "d_v"),
)
"""Names of dimensions that a rule may cut."""

_VERBS = ("cut", "store", "unpaid")
"""What a rule may say."""


@dataclass(frozen=True)
class Strategy:
    """A checked strategy. An axis of size None is open. `builtin` strategies leave the order of axes to dagc."""

    name: str
    about: str
    axes: tuple[tuple[str, int | None], ...]
    rules: tuple[Rule, ...]
    stages: Stages | None
    where: str
    builtin: bool = False
    stores: tuple[Rule, ...] = ()
    unpaid: tuple[Rule, ...] = ()
    needs: tuple[str, ...] = ()
    """In words, what sizes and models it takes; the compiler checks that, these are for readers."""
    micro_batches: int | None = None
    token_chunks: int | None = None
    alternative: str = ""
    alternatives: tuple[Strategy, ...] = ()
    """Whole strategies, each called `alternative`; this one then has the axes of all, and is else as the first."""
    pools: tuple[PoolAxes, ...] = ()
    places: tuple[Placing, ...] = ()
    folds: tuple[Fold, ...] = ()
    slots: Slots | None = None

    @property
    def meshes(self) -> tuple[tuple[str, ...], ...]:
        """The axes of every pool, or of the one mesh: GPUs are the sum of their products."""
        return tuple(pool.axes for pool in self.pools) or (tuple(a for a, _ in self.axes if a not in self.folded),)

    @property
    def folded(self) -> set[str]:
        """The axes of folds, which have no GPUs of their own."""
        return {axis for fold in self.folds for axis in fold.axes}


def _cuts(value: Any) -> dict[str, str]:
    """Dimensions with their orders, as text; none lifts the axis."""
    if value is None:
        return {}
    if isinstance(value, dict) and value and all(isinstance(name, str) and name for name in value):
        return {name: _order(order) for name, order in value.items()}
    what = "a dimension's name, a list of names, a mapping of names to orders, or ~ to lift the axis"
    return dict.fromkeys(names(value, what), orders.CONTIGUOUS)


def _kept(value: Any) -> dict[str, str]:
    """Dimensions of weights in order of preference; none stores them as they are used."""
    what = "a dimension's name, a list of names in order of preference, or ~ to store weights as they are used"
    return dict.fromkeys(() if value is None else names(value, what), orders.CONTIGUOUS)


def _axes(value: Any) -> dict[str, dict[str, str]]:
    """Axes; no dimension belongs to them."""
    return {axis: {} for axis in names(value, "an axis, or a list of axes")}


def _order(value: Any) -> str:
    if isinstance(value, str):
        return value
    whole = isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in value)
    if whole and len(value) <= orders.MAX_TABLE:
        return orders.table(value)
    if isinstance(value, dict) and set(value) == {"sizes"} and (sizes := _sizes(value["sizes"])):
        return orders.listed(sizes)
    named = ", ".join((*orders.ORDERS, orders.UNEVEN))
    raise ValueError(f"an order: {named}, a table of chunks such as [3, 0, 2, 1], or {{sizes: [86, 86, 85]}}")


def _sizes(value: Any) -> list[int]:
    """The sizes of parts that are not equal; none where they are no such list."""
    whole = isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in value)
    return value if whole and 0 < len(value) <= orders.MAX_TABLE and all(0 < n <= MAX_SIZE for n in value) else []


_Dimension = Annotated[str, Field(json_schema_extra={"enum": [*DIMENSIONS]})]
_Order = str | Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=orders.MAX_TABLE)] | dict[str, list[Size]]
_Cuts = OneOrMore[_Dimension] | Annotated[dict[_Dimension, _Order], Field(min_length=1)] | None


class RuleText(Strict):
    """What the axes of the mesh do to some modules. Of rules that address one place, the last decides."""

    at: Places
    """Paths of modules: *, *.experts, layers[0-15].attention; or a list of them."""
    cut: dict[str, Annotated[Any, PlainValidator(_cuts, json_schema_input_type=_Cuts)]] = {}
    """By axis the dimension that it cuts: a name, a list of names, names with orders ({seq_len: zigzag}), or ~."""
    store: dict[str, Annotated[Any, PlainValidator(_kept, json_schema_input_type=OneOrMore[_Dimension] | None)]] = {}
    """By axis the dimension along which weights are cut between uses: the first that one has and that divides."""
    unpaid: Annotated[Any, PlainValidator(_axes, json_schema_input_type=OneOrMore[str])] = {}
    """Axes over which what is owed is never paid: another function than the model."""
    when: When | None = None
    """Only at such sizes, as seq_len > 4096."""
    replicate: Annotated[int, Field(ge=1, le=MAX_PARTS)] = 1
    """Cut into so many times fewer parts, each on so many GPUs."""


Runs = Annotated[int, Field(ge=1, le=MAX_PARTS)]


class RunsText(Strict):
    """In how many equal parts dimensions go through, one after the other; a number is of the batch."""

    batch_size: Runs | None = None
    """Micro-batches."""
    seq_len: Runs | None = None
    """Chunks of a sequence's tokens, each over the cache of those before it."""


def _runs(value: Any) -> Any:
    return value if isinstance(value, dict) else {"batch_size": value}


class StrategyText(Strict):
    """A parallel strategy: named axes over the GPUs, and rules of what each cuts where."""

    about: Annotated[str, Field(max_length=300)] = ""
    """One line that says what it is."""
    needs: Annotated[list[Annotated[str, Field(max_length=300)]], Field(max_length=16)] = []
    """In words, what sizes and models it takes."""
    mesh: Annotated[dict[AxisName, Parts], Field(max_length=16)] | None = None
    """Axes with sizes, outermost first; `gpus`: what is left of the GPUs."""
    folds: Folds = {}
    """Further meshes over the same GPUs, by name."""
    pools: Pools = {}
    """GPUs apart, each with a mesh of its own, instead of one mesh."""
    place: PlaceList = []
    """Which modules run on which pool; later entries win."""
    uses: Annotated[list[str], Field(max_length=16)] = []
    """Strategies of dagc whose rules come before these."""
    rules: Annotated[list[RuleText], Field(max_length=1000)] = []
    """What each axis cuts where."""
    stages: StagesText | None = None
    """How layers are cut into pipeline stages."""
    experts: SlotsText | None = None
    """Copies of experts, or which are where."""
    micro_batches: Annotated[RunsText, BeforeValidator(_runs, json_schema_input_type=Runs | RunsText)] = RunsText()
    """The batch goes through in so many equal parts, one after the other; or also every sequence."""

    @property
    def axes(self) -> dict[str, int | None]:
        """The axes of the one mesh, or of all pools, and of what is folded over them."""
        own = axes_of(self.pools) if self.mesh is None else self.mesh
        folds = [self.folds, *(pool.folds for pool in self.pools.values())]
        return own | {axis: size for each in folds for mesh in each.values() for axis, size in mesh.items()}


def parse_strategy(parsed: Parsed, name: str, builtin: bool = False) -> Strategy:
    """A checked strategy. Refused with everything that is wrong in it, or in any of its alternatives."""
    ways = variants(parsed)
    return _of_all(ways, parsed, name, builtin) if ways else _parsed(parsed, name, builtin)


def _of_all(ways: dict[str, Parsed], parsed: Parsed, name: str, builtin: bool) -> Strategy:
    made: list[Strategy] = []
    problems: list[Diagnostic] = []
    for way, file in ways.items():
        try:
            one = _parsed(file, name, builtin)
            made.append(replace(one, alternative=way, about=f"{one.about}: {way}" if one.about else way))
        except Refused as refused:
            problems += refused.diagnostics
    if problems:
        raise Refused(*dict.fromkeys(problems))
    axes = dict(pair for one in reversed(made) for pair in one.axes)
    ordered = tuple((axis, axes[axis]) for axis in dict.fromkeys(axis for one in made for axis, _ in one.axes))
    return replace(made[0], axes=ordered, about=parsed.data.get("about", ""), alternative="", alternatives=tuple(made))


def _parsed(parsed: Parsed, name: str, builtin: bool) -> Strategy:
    text, problems = checked(StrategyText, parsed)
    if text is None:
        raise Refused(*problems)
    problems = list(_problems(text, parsed))
    if problems:
        raise Refused(*problems)
    used = [builtin_strategy(other) for other in text.uses]
    return Strategy(
        name=name,
        about=text.about,
        axes=tuple(text.axes.items()),
        rules=(*(rule for other in used for rule in other.rules), *_rules(text, parsed, "cut")),
        stores=(*(rule for other in used for rule in other.stores), *_rules(text, parsed, "store")),
        unpaid=(*(rule for other in used for rule in other.unpaid), *_rules(text, parsed, "unpaid")),
        stages=_stages(text.stages, parsed) or next((other.stages for other in used if other.stages), None),
        where=parsed.where(),
        builtin=builtin,
        needs=tuple(text.needs),
        micro_batches=text.micro_batches.batch_size,
        token_chunks=text.micro_batches.seq_len,
        pools=pools_of(text.pools, parsed),
        places=places_of(text.place, parsed),
        folds=tuple(_folds(text, parsed)),
        slots=slots_of(text.experts, parsed) if text.experts else next((o.slots for o in used if o.slots), None),
    )


@cache
def builtin_names() -> tuple[str, ...]:
    """Names of the strategies that come with dagc."""
    return tuple(sorted(path.stem for path in STRATEGIES.glob("*.yaml")))


@cache
def builtin_strategy(name: str) -> Strategy:
    """A strategy that comes with dagc, its locations relative to the package."""
    return parse_strategy(parse_yaml(builtin_text(name), f"strategies/{name}.yaml"), name, builtin=True)


def builtin_text(name: str) -> str:
    """The file of a strategy that comes with dagc, to copy. Refused, naming the nearest, where there is none."""
    if name not in builtin_names():
        problem, hint = f"no strategy of dagc is called {shown(name)}", nearest(name, builtin_names())
        raise Refused(Diagnostic("unknown-strategy", problem, hint=hint), usage=True)
    return read_text(STRATEGIES / f"{name}.yaml")


def _problems(text: StrategyText, parsed: Parsed) -> Iterator[Diagnostic]:
    """What does not fit together: unknown axes, dimensions and strategies."""
    yield from _either(text, parsed)
    yield from pool_problems(text.pools, text.place, parsed)
    yield from _unsaid(text, parsed)
    for rule in _rules(text, parsed, *_VERBS):
        yield from _axis_problems(rule.axis, text, rule.where)
        for cut in rule.cuts:
            if cut not in DIMENSIONS:
                yield Diagnostic("rule", f"unknown dimension {shown(cut)}", rule.where, hint=nearest(cut, DIMENSIONS))
            yield from _order_problems(rule.axis, cut, rule.order(cut), rule.where)
    if text.stages:
        yield from _axis_problems(text.stages.axis, text, parsed.where("stages", "axis"))
        yield from stages_problems(text.stages, parsed.under("stages"))
    for i, other in enumerate(text.uses):
        if other not in builtin_names():
            problem, hint = f"unknown strategy {shown(other)}", nearest(other, builtin_names())
            yield Diagnostic("unknown-strategy", problem, parsed.where("uses", i), hint=hint)
        else:
            for axis, _ in builtin_strategy(other).axes:
                yield from _axis_problems(axis, text, parsed.where("uses", i))


def _unsaid(text: StrategyText, parsed: Parsed) -> Iterator[Diagnostic]:
    """Rules that say nothing, or say copies of something that is not cut."""
    for i, rule in enumerate(text.rules):
        if not any(getattr(rule, verb) for verb in _VERBS):
            yield Diagnostic("rule", "the rule says nothing", parsed.where("rules", i), " or ".join(_VERBS))
        if rule.replicate > 1 and (not rule.cut or rule.store or rule.unpaid):
            said = "replicate is said of what a rule cuts, and of nothing else"
            yield Diagnostic("rule", said, parsed.where("rules", i, "replicate"), hint="put it in a rule of its own")


def _folds(text: StrategyText, parsed: Parsed) -> Iterator[Fold]:
    """The folds of the mesh, which leave its stages as they are, and those of the pools."""
    stages = text.stages.axis if text.stages else ""
    yield from folds_of(text.folds, tuple(axis for axis in text.mesh or {} if axis != stages), parsed)
    for name, pool in text.pools.items():
        yield from folds_of(pool.folds, tuple(pool.mesh), parsed, "pools", name)


def _either(text: StrategyText, parsed: Parsed) -> Iterator[Diagnostic]:
    """One mesh or pools; stages cut one mesh."""
    if (text.mesh is None) != bool(text.pools):
        yield Diagnostic("missing-key", "a strategy has either a mesh or pools", parsed.where(), "mesh or pools")
    if text.pools and text.stages:
        hint = "place ranges of layers, such as layers[0-15], on pools"
        yield Diagnostic("stages", "a strategy has either stages or pools", parsed.where("stages"), hint=hint)


def _order_problems(axis: str, cut: str, order: str, where: str) -> Iterator[Diagnostic]:
    if problem := orders.problem(order):
        said = f"{axis} cuts {shown(cut, quoted=False)} in an order that {problem}"
        hint = "" if order.startswith("[") else nearest(order, (*orders.ORDERS, orders.UNEVEN))
        yield Diagnostic("order", said, where, "a name, or a table that lists each chunk once", shown(order), hint)


def _axis_problems(axis: str, text: StrategyText, where: str) -> Iterator[Diagnostic]:
    if axis not in text.axes:
        hint = nearest(axis, text.axes) if text.axes else "the mesh has no axes"
        yield Diagnostic("rule", f"axis {shown(axis)} is not in the mesh", where, hint=hint)


def _rules(text: StrategyText, parsed: Parsed, *keys: str) -> Iterator[Rule]:
    """What rules say under these keys."""
    for i, rule, key in ((i, rule, key) for i, rule in enumerate(text.rules) for key in keys):
        for axis, cuts in getattr(rule, key).items():
            ordered = tuple((name, order) for name, order in cuts.items() if order != orders.CONTIGUOUS)
            where = parsed.where("rules", i, key, axis)
            yield Rule(rule.at, axis, tuple(cuts), where, ordered, rule.when or "", rule.replicate)


def _stages(text: StagesText | None, parsed: Parsed) -> Stages | None:
    return stages_of(text, parsed.where("stages")) if text else None
