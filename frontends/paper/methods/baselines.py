"""The deployment that a paper compares with: its degrees where they are written, however far apart.

    ### Baseline: TP=8, PP=2                                           tp=8,pp=2
    | 4-layer dense | TP=8, PP=2 | 1,210,000 | 0.34 |                  the same again
    The baseline cuts every matrix over the eight GPUs of a node …     tp=8, and two stages: 16 GPUs / 8

A row of a table that names other degrees is a baseline of its own; other degrees in prose contradict, and lose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from ..document import RANK, Kind
from ..facts import Method, Remark, Source, Verdict
from .mechanisms import Mechanism
from .notation import degrees
from .parameters import parameters_of
from .recognising import weighed
from .statements import Role, Statement
from .templates import filled, missing

PLAIN = ("tp", "pp", "dp")
"""What a baseline is made of where no degrees are written."""


@dataclass(frozen=True)
class Degrees:
    """Sizes of axes that one statement writes side by side."""

    sizes: Mapping[str, int]
    statement: Statement
    source: Source = field(compare=False)

    @property
    def text(self) -> str:
        return ",".join(f"{axis}={size}" for axis, size in self.sizes.items())

    def within(self, other: Degrees) -> bool:
        return set(self.sizes.items()) <= set(other.sizes.items())

    def against(self, other: Degrees) -> bool:
        """Does it give an axis of the other another size?"""
        return any(other.sizes.get(axis, size) != size for axis, size in self.sizes.items())


def written(statements: Sequence[Statement], *roles: Role) -> list[Degrees]:
    """Degrees in statements of these roles, those that weigh most first."""
    found = []
    for statement in statements:
        own = [d for d in degrees(statement.text) if statement.role_at(d.start) in roles]
        if own:
            sizes = {d.axis: d.size for d in reversed(own)}
            source = statement.source(own[0].start, own[-1].end)
            found.append(Degrees(dict(sorted(sizes.items(), key=lambda s: -_place(own, s[0]))), statement, source))
    return sorted(found, key=lambda one: RANK[one.statement.block.part])


def _place(own: Sequence[object], axis: str) -> int:
    return -next(i for i, d in enumerate(own) if getattr(d, "axis", "") == axis)


def baselines(statements: Sequence[Statement], known: Mapping[str, object]) -> tuple[list[Method], list[Remark]]:
    """Every baseline that a paper names, the main one first; none where it names none."""
    found = written(statements, Role.BASELINE)
    if not found:
        return _described(statements, known)
    main = max(found, key=lambda one: (len(one.sizes), -RANK[one.statement.block.part]))
    sizes, remarks = _whole(_joined(main, found), known, main.source)
    others = [one for one in found if one.against(main)]
    rows = [one for one in others if one.statement.block.kind is Kind.ROW]
    remarks += [_contradiction(main, one) for one in others if one not in rows]
    agreeing = tuple(one.source for one in found if not one.against(main))
    methods = [Method("baseline", "baseline", text_of(sizes), _sources(main.source, *agreeing), mechanism="degrees")]
    for text, one in {one.text: one for one in rows}.items():
        methods.append(Method(text, "compared", text, (one.source,), mechanism="degrees"))
    return methods, remarks


def _joined(main: Degrees, found: Sequence[Degrees]) -> dict[str, int]:
    """The sizes of the main statement, and of axes that only another of the same part gives."""
    sizes = dict(main.sizes)
    for one in found:
        if one.statement.block.part is main.statement.block.part and not one.against(main):
            sizes = {**one.sizes, **sizes} if len(one.sizes) > len(sizes) else {**sizes, **one.sizes}
    return sizes


def _whole(sizes: dict[str, int], known: Mapping[str, object], source: Source) -> tuple[dict[str, int], list[Remark]]:
    """The sizes with the axis that makes them all GPUs, where they are a part of these."""
    gpus, total = known.get("gpus"), prod(sizes.values())
    if not isinstance(gpus, int) or total >= gpus or gpus % total or "ep" in sizes:
        return sizes, []
    axis, other = ("dp", "pp") if "dp" not in sizes and "pp" in sizes else ("pp", "dp")
    axis = axis if axis not in sizes or "tp" in sizes else "tp"
    rest = gpus // total
    text = f"the baseline is {text_of(sizes)}, {total} of {gpus} GPUs; the rest is taken as {axis}={rest}"
    remark = Remark(
        Verdict.CHOSEN,
        "baseline",
        text,
        (source,),
        f"{gpus} / {total} = {rest}",
        (f"{other}={rest}: --baseline {text_of(sizes)},{other}={rest}",),
    )
    return {**sizes, axis: sizes.get(axis, 1) * rest}, [remark]


def _described(statements: Sequence[Statement], known: Mapping[str, object]) -> tuple[list[Method], list[Remark]]:
    """A baseline whose mechanism is said, without a degree."""
    found = [one for one in weighed(statements, (Role.BASELINE,)) if one.score >= 3]
    if not found:
        return [], []
    names = [one.mechanism.name for one in found]
    plain = [name for name in PLAIN if name in names]
    if names[0] in PLAIN and len(plain) > 1:
        return _spread(plain, known, tuple(s for one in found if one.mechanism.name in plain for s in one.sources[:1]))
    return _alone(found[0].mechanism, statements, known, found[0].sources[:3])


def _alone(
    mechanism: Mechanism, statements: Sequence[Statement], known: Mapping[str, object], sources: tuple[Source, ...]
) -> tuple[list[Method], list[Remark]]:
    values = {**known, **{p.name: p.value for p in parameters_of(mechanism, [], known).values()}}
    if not mechanism.strategy or missing(mechanism.strategy, values):
        return [], []
    text = filled(mechanism.strategy, values)
    remark = Remark(Verdict.CHOSEN, "baseline", f"the baseline gives no degree: {text}, all GPUs", sources)
    return [Method("baseline", "baseline", text, sources, mechanism=mechanism.name)], [remark]


def _spread(
    plain: Sequence[str], known: Mapping[str, object], sources: tuple[Source, ...]
) -> tuple[list[Method], list[Remark]]:
    """Tensor parallel as far as a node goes, the other across nodes."""
    gpus, node = known.get("gpus"), known.get("gpus_per_node", 8)
    if not isinstance(gpus, int) or not isinstance(node, int):
        return [], []
    inside = max(size for size in range(1, min(gpus, node) + 1) if gpus % size == 0)
    text = text_of({axis: size for axis, size in zip(plain, (inside, gpus // inside), strict=False) if size > 1})
    said = f"the baseline gives no degrees: {text} ({plain[0]} inside a node, {plain[1]} across)"
    remark = Remark(Verdict.CHOSEN, "baseline", said, sources, f"{gpus} / {inside} = {gpus // inside}")
    return [Method("baseline", "baseline", text, sources, mechanism="degrees")], [remark]


def _contradiction(main: Degrees, other: Degrees) -> Remark:
    parts = main.statement.block.part, other.statement.block.part
    text = f"the baseline is {main.text} in the {parts[0]}, {other.text} in the {parts[1]}: {main.text} is taken"
    return Remark(
        Verdict.CONTRADICTION, "baseline", text, (main.source, other.source), "", (f"--baseline {other.text}",)
    )


def _sources(*sources: Source) -> tuple[Source, ...]:
    return tuple({(s.line, s.file): s for s in reversed(sources)}.values())[::-1]


def text_of(sizes: Mapping[str, int]) -> str:
    return ",".join(f"{axis}={size}" for axis, size in sizes.items())


def usual(known: Mapping[str, object]) -> list[Method]:
    """Tensor parallel as far as a node and the heads allow, pipeline parallel across; none without a number of GPUs."""
    gpus, node, heads = (known.get(key, default) for key, default in (("gpus", 0), ("gpus_per_node", 8), ("heads", 0)))
    if not (isinstance(gpus, int) and isinstance(node, int) and isinstance(heads, int) and gpus):
        return []
    tp = max(size for size in range(1, min(gpus, node) + 1) if gpus % size == heads % size == 0)
    return [Method("baseline", "baseline", text_of({"tp": tp, "pp": gpus // tp}), ())]


def gpus_of(method: Method) -> int:
    """How many GPUs the degrees of a method make."""
    return prod(int(entry.partition("=")[2] or 1) for entry in method.strategy.split(","))


def comparing(statements: Sequence[Statement], compared: Sequence[Method]) -> list[Statement]:
    """Statements, those that repeat the degrees of a baseline without saying so made the baseline's: a row of results
    with all of them, prose with several.
    """
    taken = [set(method.strategy.split(",")) for method in compared]
    return [replace(s, role=Role.BASELINE) if _repeats(s, taken) else s for s in statements]


def _repeats(statement: Statement, taken: Sequence[set[str]]) -> bool:
    own = {f"{d.axis}={d.size}" for d in degrees(statement.text)}
    needed = 1 if statement.block.kind is Kind.ROW else 2
    return statement.role is Role.NEUTRAL and len(own) >= needed and any(own == sizes for sizes in taken)
