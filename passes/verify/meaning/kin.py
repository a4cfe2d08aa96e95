"""Which dimensions of a model are one, and which follow from which: found in its operators, by union and by relation.

scores    keys' seq_len is kv_len: one dimension of the model, and the tokens' seq_len with it
relation  kv_heads groups heads; expert_tokens and sources number the tokens
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from math import lcm, prod

from ....ir.dims import Size, number
from ....ir.op import Operator, tensor_of
from ....ir.ops.assign import AssignOp
from ..parts import Extent

FIXED = ("top_k", "expert_groups", "kv_parts")
"""Names whose extent operators have as a property."""
LEAST = {"experts": "top_k", "kv_len": "seq_len"}
"""A name of which there must be more than of another: a token chooses so many different experts, a cache has rows of
earlier tokens."""
EQUAL = {"experts": "expert_groups"}
"""A name that another takes apart in equal groups, of more than one."""


@dataclass
class Kin:
    """Dimensions as ports state them, by what ties them. `parts`: into how many each is cut, at its finest."""

    parts: Mapping[Extent, int]
    parent: dict[Extent, Extent] = field(default_factory=dict)
    groups: dict[Extent, Extent] = field(default_factory=dict)
    """Of a name that groups another (kv_heads of heads): the other."""
    merged: dict[Extent, tuple[Extent, ...]] = field(default_factory=dict)
    fixed: dict[Extent, int] = field(default_factory=dict)

    @staticmethod
    def of(model: Iterable[Operator], key: Callable[[str, Size], Extent], parts: Mapping[Extent, int]) -> Kin:
        """Of the model's operators; `key` states a dimension as ports do."""
        kin = Kin(parts)
        for op in model:
            kin._add(op, key)
            kin._slots(op, key)
        for extent in parts:
            kin.root(extent)
        return kin

    def root(self, key: Extent) -> Extent:
        """One for all dimensions that are the same."""
        while self.parent.setdefault(key, key) != key:
            key = self.parent[key]
        return key

    def _slots(self, op: Operator, key: Callable[[str, Size], Extent]) -> None:
        """Of experts in slots there are as many as the table says, of both."""
        if isinstance(op, AssignOp):
            sizes = (len(set(op.table)), len(op.table))
            self.fixed |= {key("experts", number(size)): size for size in sizes}

    def _add(self, op: Operator, key: Callable[[str, Size], Extent]) -> None:
        joint = {name: key(name, size) for name, size in op.joint().items()}
        for index, operand in enumerate(op.operands):
            names = op.operand_names(index)
            for dim in tensor_of(operand).dims:
                self._join(key(dim.name, dim.size), joint[names[dim.name]])
        for dim in tensor_of(op.results[0]).dims:
            self._join(key(dim.name, dim.size), joint[dim.name])
        for name, size in op.beyond().items():
            self.root(key(name, size))
        for name, relation in op.derived().items():
            sources = tuple(joint[source] for source in relation.sources)
            if relation.unordered:
                self.merged[joint[name]] = sources
            elif joint[name] not in self.fixed:
                self.groups[joint[name]] = sources[0]

    def _join(self, key: Extent, joint: Extent) -> None:
        self.parent[self.root(key)] = self.root(joint)
        if key[0] in FIXED and isinstance(key[1], int):
            self.fixed[key] = key[1]

    def cut(self, root: Extent) -> int:
        """Into how many parts these dimensions are cut, at their finest."""
        return lcm(*(self.parts.get(key, 1) for key in self.parent if self.root(key) == root))

    def free(self) -> set[Extent]:
        """Roots that follow from nothing."""
        bound = {self.root(key) for key in (*self.fixed, *self.merged, *self.groups.values())}
        return {self.root(key) for key in self.parent} - bound

    def chosen_by(self, key: Extent) -> tuple[Extent, ...]:
        """The free roots that decide a dimension."""
        root = self.root(key)
        for of, sources in self.merged.items():
            if self.root(of) == root:
                return tuple(self.root(source) for source in sources)
        return (next((self.root(of) for of, source in self.groups.items() if self.root(source) == root), root),)

    def extents(self, local: Mapping[Extent, int], group: int) -> dict[Extent, int]:
        """Every dimension: free ones are cut · local, heads `group` times their KV heads, rows all tokens (of which
        there are as many more as rows are cut finer than tokens).
        """
        made = {self.root(key): size for key, size in self.fixed.items()}
        for root, count in local.items():
            made[root] = self.cut(root) * count
        for name, other in LEAST.items():
            few, many = self._named(other), self._named(name)
            least = max((made.get(root, 0) for root in few), default=0) + 1
            for root in (many - few) & made.keys():
                made[root] *= -(-least // made[root])
        for name, other in EQUAL.items():
            self._grouped_alike(made, self._named(name) & made.keys(), self._named(other))
        for key, source in self.groups.items():
            made[self.root(source)] = self._grouped(made[self.root(key)], self.root(source), key[1] != source[1], group)
        for key, sources in self.merged.items():
            rows = prod(made[self.root(source)] for source in sources)
            made[self.root(sources[0])] *= lcm(rows, self.cut(self.root(key))) // rows
        for key, sources in self.merged.items():
            made[self.root(key)] = prod(made[self.root(source)] for source in sources)
        return {key: made[self.root(key)] for key in self.parent}

    def _grouped_alike(self, made: dict[Extent, int], members: set[Extent], groups: set[Extent]) -> None:
        """Members come in groups of two or more; where a table fixes how many there are, the groups are the model's."""
        fixed = members & {self.root(key) for key in self.fixed}
        if fixed:
            made |= {root: max(s for _, s in self.same(root) if isinstance(s, int)) for root in groups}
        for root, group in product(members - fixed, groups):
            made[root] = lcm(made[root], 2 * made[group])

    def same(self, root: Extent) -> list[Extent]:
        """The dimensions that are one."""
        return [key for key in self.parent if self.root(key) == root]

    def _named(self, name: str) -> set[Extent]:
        """The roots of dimensions of this name."""
        return {self.root(key) for key in self.parent if key[0] == name}

    def _grouped(self, outer: int, root: Extent, grouped: bool, group: int) -> int:
        """A multiple of the groups that every GPU has at least two of."""
        cut = self.cut(root)
        whole = lcm(outer * (group if grouped else 1), cut)
        return whole * 2 if grouped and whole == cut else whole
