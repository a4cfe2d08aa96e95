"""The one grammar in which strategies are named: a name, a file, or a mesh.

ep                    a strategy of the description or of dagc
./mine.yaml           a file
tp=8,pp=2             a product: each key is a strategy's name or an axis that a strategy owns
ep  with  ep=8,tp=2   a strategy and, in the mesh, sizes of its axes and further strategies
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import Path

from ..diagnostics import Diagnostic, Refused, nearest
from .mesh_text import Mesh, parse_mesh
from .parsed import Parsed, shown
from .strategy_file import Strategy, builtin_names, builtin_strategy, parse_strategy
from .yaml_reader import read_yaml

FILES = (".yaml", ".yml")


@dataclass
class Component:
    """One strategy of a product and the sizes given for its axes; None opens an axis."""

    strategy: Strategy
    sizes: dict[str, int | None] = field(default_factory=dict)

    @property
    def axes(self) -> tuple[tuple[str, int | None], ...]:
        """The strategy's axes, sized as far as the user or the strategy's file sizes them."""
        return tuple((axis, self.sizes.get(axis, size)) for axis, size in self.strategy.axes)

    @property
    def ways(self) -> list[Component]:
        """One for each alternative that the strategy lists; itself where it lists none."""
        return [Component(way, dict(self.sizes)) for way in self.strategy.alternatives] or [self]


@dataclass
class Choice:
    """What a user named: the strategies, multiplied, and the name to call the product by."""

    name: str
    components: list[Component]

    @property
    def ways(self) -> dict[str, Choice]:
        """By name every combination of alternatives; itself, without a name, where none are listed."""
        combined = [list(each) for each in product(*(component.ways for component in self.components))]
        named = ["; ".join(c.strategy.alternative for c in each if c.strategy.alternative) for each in combined]
        return {name: Choice(self.name, each) for name, each in zip(named, combined, strict=True)}


def is_file_name(text: str) -> bool:
    return text.lower().endswith(FILES)


def check_choice(text: str, inline: Mapping[str, object], base: Path | None) -> None:
    """Refused if the text names no strategy; says nothing of sizes."""
    choose(text, None, inline, base)


def choose(text: str, mesh: str | None, inline: Mapping[str, object], base: Path | None) -> Choice:
    """The strategies that a text and a mesh name."""
    chooser = _Chooser(text, inline)
    named = chooser.strategy(text, base)
    if named is not None:
        chooser.components.append(Component(named))
        name = named.name
    else:
        entries = chooser.product(text)
        chooser.multiply(entries)
        name = _written(entries)
    if mesh:
        chooser.multiply(chooser.mesh(mesh), override=True)
        name = _product_name(chooser.components)
    chooser.check_owners()
    return Choice(name, chooser.components)


class _Chooser:
    """Collects the components of one choice."""

    def __init__(self, text: str, inline: Mapping[str, object]) -> None:
        self.where, self.inline = shown(text, quoted=False), inline
        self.components: list[Component] = []

    def strategy(self, text: str, base: Path | None) -> Strategy | None:
        """The strategy of this name or in this file."""
        if text in self.inline:
            return _inline(text, self.inline[text])
        if text.strip().lower() in builtin_names():
            return builtin_strategy(text.strip().lower())
        path = (base or Path()) / text
        if is_file_name(text):
            return parse_strategy(read_yaml(path), path.stem)
        return None

    def product(self, text: str) -> Mesh:
        """The mesh that names a strategy. A text without the form of one is an unknown strategy, not a bad mesh."""
        try:
            return self.mesh(text)
        except Refused:
            if "=" in text or "," in text:
                raise
            raise Refused(self._unknown(text)) from None

    def mesh(self, text: str) -> Mesh:
        """Keys and sizes. Refused where a key is no strategy and no axis."""
        known = [*self.inline, *builtin_names()]
        entries = parse_mesh(text, known)
        asked = [key for key, _ in entries if key not in known and self._component(key) is None]
        unknown = [key for key in asked if self._owner(key) is None]
        if unknown:
            raise Refused(*map(self._unknown, unknown))
        return entries

    def multiply(self, entries: Mesh, override: bool = False) -> None:
        """Size the axes that are there (if they may be) and append the strategies of the others."""
        for key, size in entries:
            mine = self._component(key)
            if mine is not None and (override or key not in mine.sizes):
                mine.sizes.update(_sized(mine.strategy, key, size))
            else:
                owner = self.strategy(key, None) if key in self.inline or key in builtin_names() else self._owner(key)
                assert owner is not None, "mesh() refuses unknown keys"
                self.components.append(Component(owner, _sized(owner, key, size)))

    def check_owners(self) -> None:
        """Every axis belongs to one strategy."""
        owners: dict[str, str] = {}
        problems = []
        for component in self.components:
            for axis, _ in component.strategy.axes:
                if axis in owners:
                    both = f"{owners[axis]} and {component.strategy.name}"
                    problem = f"axis {axis} is given twice, by {both}"
                    problems.append(Diagnostic("mesh", problem, self.where, hint="name each axis once"))
                owners[axis] = component.strategy.name
        if problems:
            raise Refused(*problems)

    def _component(self, key: str) -> Component | None:
        """The component that has this axis, or this name."""
        found = (c for c in self.components if key in dict(c.strategy.axes) or key == c.strategy.name)
        return next(found, None)

    def _owner(self, axis: str) -> Strategy | None:
        """The strategy that an axis stands for: the one named after it, else the first that has it."""
        candidates = [_inline(name, body) for name, body in self.inline.items()]
        candidates += [builtin_strategy(name) for name in builtin_names()]
        owners = [s for s in candidates if axis in dict(s.axes)]
        return min(owners, key=lambda s: (s.name != axis, not s.builtin, len(s.axes)), default=None)

    def _unknown(self, text: str) -> Diagnostic:
        hint = nearest(text.lower()[:200], [*self.inline, *builtin_names()])
        problem = f"no strategy, file or axis is called {shown(text)}"
        return Diagnostic(
            "unknown-strategy", problem, self.where, "a name, a file, or a mesh such as tp=8,pp=2", hint=hint
        )


def _inline(name: str, body: object) -> Strategy:
    """A strategy written inside a description, as parsed text or as plain data."""
    return parse_strategy(body if isinstance(body, Parsed) else Parsed(name, body), name)


def _sized(strategy: Strategy, key: str, size: int | None) -> dict[str, int | None]:
    """Sizes that `key=size` gives: to the axis of that name, or to the open axis of a strategy of `size` parts."""
    axes = dict(strategy.axes)
    if key in axes:
        return {key: size}
    axes = {axis: parts for axis, parts in axes.items() if axis not in strategy.folded}
    open_axes = [axis for axis, parts in axes.items() if parts is None]
    fixed = prod(parts for parts in axes.values() if parts)
    if len(open_axes) != 1 or size is None or strategy.pools:
        return {}
    if size % fixed:
        problem = f"{key} has {fixed} parts or a multiple of them"
        raise Refused(Diagnostic("mesh", problem, f"{key}={size}", f"a multiple of {fixed}", str(size)))
    return {open_axes[0]: size // fixed}


def _written(entries: Mesh) -> str:
    return ",".join(key if size is None else f"{key}={size}" for key, size in entries)


def _product_name(components: list[Component]) -> str:
    """A product's name: `ep=8,tp=2`; a strategy of several axes shows them: `two-level(hg=8,ds=2)`."""
    return ",".join(map(_component_name, components))


def _component_name(component: Component) -> str:
    name, axes = component.strategy.name, component.axes
    if len(axes) == 1:
        return _written(((name, axes[0][1]),))
    return f"{name}({_written(axes)})" if component.sizes else name
