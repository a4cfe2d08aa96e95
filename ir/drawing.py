"""A drawn graph as its file says it: what `dagc lint` judges. Pure data; `frontends/dot` reads it, nothing writes it.

Every fact is three-valued: read, absent (None), or there but `Unreadable`. A rule is only broken by what was read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

from .deployment import EdgeKind, Kind

__all__ = [
    "Cluster", "Devices", "Drawing", "Edge", "EdgeKind", "Fact", "Family", "Form", "Kind", "Node", "Product", "Tensor",
    "Unreadable",
]  # fmt: skip

Size: TypeAlias = int | str
"""A number, or the text of what is not one."""


class Form(StrEnum):
    """What a shape says that a node is."""

    COMM = "ellipse"
    COMPUTE = "rectangle"
    ROUTE = "parallelogram"
    OTHER = "another shape"


class Family(StrEnum):
    """Operators that relate their dimensions in one way."""

    ALL_REDUCE = "all-reduce"
    ALL_GATHER = "all-gather"
    REDUCE_SCATTER = "reduce-scatter"
    ALL_TO_ALL = "all-to-all"
    TRANSFER = "send/recv"
    BROADCAST = "broadcast"
    PERMUTE = "collective-permute"
    EXCHANGE = "communication"
    DISPATCH = "dispatch"
    COMBINE = "combine"
    COUNT = "routing counts"
    TOP_K = "top-k"
    SPLIT = "split"
    CONCAT = "concat"
    GATHER = "gather"
    SCATTER = "scatter"
    ADD = "add"
    POINTWISE = "pointwise"
    ACTIVATION = "activation"
    SOFTMAX = "softmax"
    NORM = "norm"
    ROPE = "rotary embedding"
    EMBED = "embedding"
    SCORES = "scores"
    CONTEXT = "context"
    MERGE = "merge of parts"
    GATE = "gate"
    OUTPUT_GATE = "output gate"
    PROJECT = "projection"
    CACHE = "cache"
    RESHAPE = "reshape"
    MODULE = "module"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something is stated, in words that the reader does not know."""

    text: str


@dataclass(frozen=True)
class Product:
    """`batch_size·seq_len·top_k/experts`: what a merged dimension says that it multiplies and divides by."""

    times: tuple[str, ...]
    over: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Product | None:
        """None when the text is not a product of names and numbers."""
        words = re.split(r"\s*([·*×/])\s*", text.strip())
        if not all(re.fullmatch(r"\w+", word) for word in words[::2]):
            return None
        signed = list(zip(["·", *words[1::2]], words[::2], strict=True))
        over = tuple(word for sign, word in signed if sign == "/")
        return cls(tuple(word for sign, word in signed if sign != "/"), over)

    def value(self, sizes: Mapping[str, Size]) -> Fraction | None:
        """Its value for these sizes, where it has one."""
        result = Fraction(1)
        for word in (*self.times, *self.over):
            size = int(word) if word.isdecimal() else sizes.get(word)
            if not isinstance(size, int) or not size:
                return None
            result = result * size if word in self.times else result / size
        return result


@dataclass(frozen=True)
class Tensor:
    """`[batch_size=8, seq_len=1024]`: sizes by name. `unnamed` are numbers without a name, `unsized` names without one,
    `twice` names given twice, `merges` what a size says, inside the brackets, that it multiplies."""

    dims: Mapping[str, Size]
    unnamed: tuple[str, ...] = ()
    unsized: tuple[str, ...] = ()
    twice: tuple[str, ...] = ()
    merges: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def plain(self) -> bool:
        """Whether every number has its name, so that it can be compared."""
        return not (self.unnamed or self.unsized or self.twice)

    @cached_property
    def key(self) -> frozenset[tuple[str, Size]]:
        """Equal for tensors of equal names and sizes, in any order."""
        return frozenset(self.dims.items())

    @cached_property
    def volume(self) -> int | None:
        """Number of elements, where all sizes are numbers."""
        product = 1
        for size in self.dims.values():
            if isinstance(size, str):
                return None
            product *= size
        return product

    def __str__(self) -> str:
        named = (f"{name}={size}" for name, size in self.dims.items())
        return "[" + ", ".join([*named, *self.unnamed, *self.unsized]) + "]"


Tensors: TypeAlias = tuple[Tensor, ...]
Fact: TypeAlias = Tensors | Unreadable | None


@dataclass(frozen=True)
class Devices:
    """The GPUs that a text names: `ids`, or all of them, or the host. `groups` where it names several sets of them;
    `senders` and `receivers` where it names pairs. `vague`: some are named, but not which (`… 6 more`)."""

    ids: frozenset[int] = frozenset()
    all: bool = False
    host: bool = False
    groups: tuple[frozenset[int], ...] = ()
    senders: frozenset[int] = frozenset()
    receivers: frozenset[int] = frozenset()
    vague: bool = False

    @property
    def known(self) -> bool:
        """Whether the GPUs can be counted and compared."""
        return bool(self.ids) and not self.vague

    @property
    def members(self) -> int | None:
        """How many GPUs communicate with one another, where that is said."""
        sizes = {len(group) for group in self.groups} or ({len(self.ids)} if self.known else set[int]())
        return next(iter(sizes)) if len(sizes) == 1 else None

    def __str__(self) -> str:
        if self.host:
            return "host"
        ids = sorted(self.ids)
        named = ", ".join(map(str, ids[:8])) + (" …" if len(ids) > 8 or self.vague else "")
        if self.all:
            return f"all GPUs ({named})" if ids else "all GPUs"
        return f"GPU {named}" if len(ids) == 1 else f"GPUs {named}"


_ENDS = (Kind.INPUT, Kind.OUTPUT)
_NOWHERE = frozenset[int]()


@dataclass(slots=True, eq=False)
class Node:
    """One node. `kinds`: what its title allows it to be (none: not recognised); `kind`: what its attribute states,
    or the one of those that its shape shows; `families`: the operators its title names, `family` the one where it
    is exactly one. `devices` are its own or those of the cluster around it, `placed` whether its label or that
    cluster's title names them, `gpus` those it runs on, where they can be counted. `clashes`: (code, attribute,
    label) where they differ; `steps`: in how many it runs, on another part at each; `unsaid`: which of inputs and
    outputs only attributes state, which no one sees; `alike`: the same object for nodes that state the same, but
    for where they are."""

    id: str
    line: int
    declared: bool
    title: str
    shape: str
    form: Form
    kinds: frozenset[Kind]
    kind: Kind | None
    families: tuple[Family, ...]
    devices: Devices | Unreadable | None
    placed: bool
    inputs: Fact
    outputs: Fact
    weights: Fact
    state: Fact
    whole_inputs: Fact
    whole_outputs: Fact
    merges: Mapping[str, str]
    collective: bool
    bytes: str
    repeat: str
    path: str
    part: tuple[int, int] | None
    experts: frozenset[int]
    is_expert: bool
    elided: bool
    steps: int = 1
    unsaid: tuple[str, ...] = ()
    clashes: tuple[tuple[str, str, str], ...] = ()
    clusters: tuple[Cluster, ...] = ()
    alike: object = None
    family: Family | None = field(init=False)
    is_comm: bool = field(init=False)
    is_host: bool = field(init=False)
    gpus: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        place = self.devices
        self.family = self.families[0] if len(self.families) == 1 else None
        self.is_comm = self.kind is Kind.COMM
        self.is_host = place.host if isinstance(place, Devices) else place is None and self.kind in _ENDS
        self.gpus = place.ids if isinstance(place, Devices) and place.known else _NOWHERE


@dataclass(slots=True, eq=False)
class Edge:
    source: Node
    target: Node
    kind: EdgeKind
    tensor: str
    line: int


@dataclass(slots=True, eq=False)
class Cluster:
    """A drawn boundary; `devices` where its title or its name names GPUs, `shown` whether the title does, which people
    see; `repeat` where it says how often it repeats."""

    id: str
    title: str
    line: int
    devices: Devices | None
    shown: bool
    repeat: str
    parent: Cluster | None = None

    @property
    def around(self) -> tuple[Cluster, ...]:
        """Itself and the clusters it lies in, innermost first."""
        found, at = list[Cluster](), self
        while at is not None:
            found.append(at)
            at = at.parent
        return tuple(found)


@dataclass(eq=False)
class Drawing:
    """One graph of a file. Legends, notes and what is invisible are not among `nodes` and `edges`. `gpus`: how many the
    file says there are; `partial`: it says that it leaves some out; `title`: what is written above or below it."""

    file: str
    line: int
    name: str
    directed: bool
    nodes: list[Node]
    edges: list[Edge]
    clusters: list[Cluster]
    gpus: int | None = None
    partial: bool = False
    title: str = ""

    @cached_property
    def into(self) -> dict[Node, list[Edge]]:
        """Data and gate edges by their target."""
        return self._by(source=False)

    @cached_property
    def out_of(self) -> dict[Node, list[Edge]]:
        """Data and gate edges by their source."""
        return self._by(source=True)

    @cached_property
    def all_gpus(self) -> frozenset[int]:
        """Every GPU that a node runs on."""
        return frozenset[int]().union(*{node.gpus for node in self.nodes})

    def _by(self, source: bool) -> dict[Node, list[Edge]]:
        found: dict[Node, list[Edge]] = {node: [] for node in self.nodes}
        for edge in self.edges:
            if edge.kind is not EdgeKind.ORDER:
                found[edge.source if source else edge.target].append(edge)
        return found
