"""The deployment graph: every operator on every GPU, in arrays. What verify, measure and the backends read.

A `Row` is one operator of the lowered program. It stands for one node on each of its places: a computation has one
place per GPU, a collective one per group, a transfer one per group of senders and receivers, and what the host does has
one place without GPUs. Edges are `Link`s between rows; two nodes are joined when their places share a GPU, or when one
side is the host. Rows are O(operators of one layer); only arrays grow with the GPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, overload

import numpy as np

from . import slots
from .debts import SUM
from .orders import Levels, unequal

if TYPE_CHECKING:
    from .op import Operator

Size = int | str
"""A dimension's size: a number, or the text of an expression where `batch_size` or `seq_len` is left unbound."""


class Kind(StrEnum):
    """What a node is; decides its shape and colour."""

    INPUT = "input"
    OUTPUT = "output"
    COMPUTE = "compute"
    COMM = "comm"
    ROUTE = "route"


class EdgeKind(StrEnum):
    DATA = "data"
    SELECT = "select"
    ORDER = "order"


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """Which of `parts` parts each GPU has: `of` is int64 [gpus], by GPU id, -1 where it has none.

    `order` says of n indices which ones a part holds: item `of` of `orders.pieces(order, n)`; empty: the parts are
    equal consecutive runs. Its levels multiply to `parts`. Where parts are not equal, `of` is -1 on GPUs that hold
    more or less than the port says.

    `merged`, of addends of a debt: bool [gpus, parts], which of them each GPU has merged already, in the midst of a
    collective (`of` is the first of them); None: it has its own alone, and together the GPUs of the row have all.

    `steps` of them pass by each GPU in time, its own first: of every run of so many parts, at step i the one that lies
    i before its own, cyclically. A node states what it holds at one step.
    """

    parts: int
    of: np.ndarray
    order: Levels = ()
    merged: np.ndarray | None = None
    steps: int = 1

    def visited(self, gpus: np.ndarray) -> np.ndarray:
        """The parts that pass by these GPUs, in their order: int64 [gpus, steps]."""
        own = self.of[gpus][:, None]
        return own - own % self.steps + (own - np.arange(self.steps)) % self.steps


@dataclass(frozen=True, slots=True)
class Port:
    """A tensor as a node states it: per dimension its name, local size on one GPU and global size.

    `shares` says per dimension which part each GPU holds (None: all of it). `addend`: each GPU holds only this addend
    of the value; how addends are merged, `debt` says. A port of a value in unequal parts is one of several, each of the
    GPUs (`holds`) that have parts of one size. `parameter` names the weight that a resident tensor is (of a tied one,
    the first), or the cache (`cached`) as the step finds it; `slots`: along its first dimension it has copies of the
    parameter's indices listed.
    """

    tensor: str
    names: tuple[str, ...]
    local: tuple[Size, ...]
    whole: tuple[Size, ...]
    dtype: str
    merges: str = ""
    """For a dimension that merges others, what it merges: `expert_tokens = batch_size·seq_len·top_k/experts`."""
    shares: tuple[Share | None, ...] = ()
    addend: Share | None = None
    parameter: str = ""
    debt: str = SUM
    cached: bool = False
    slots: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """In how many steps a GPU passes over it."""
        return prod(share.steps for share in self.shares if share)

    def holds(self, gpus: np.ndarray) -> np.ndarray:
        """Which of these GPUs the port speaks of: bool, like `gpus`."""
        spoken = np.ones(gpus.shape, dtype=bool)
        for share in self.shares:
            if share is not None and unequal(share.order):
                spoken &= share.of[gpus] >= 0
        return spoken

    def text(self, whole: bool = False) -> str:
        """`[batch_size=8, seq_len=1024, hidden=4096]`, of the local sizes or of the global ones."""
        sizes = self.whole if whole else self.local
        return "[" + ", ".join(f"{name}={size}" for name, size in zip(self.names, sizes, strict=True)) + "]"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the program: of which micro-batch, and of which chunk of its tokens. None where there is but one."""

    micro_batch: int | None = None
    chunk: int | None = None

    def __str__(self) -> str:
        """`micro-batch 1, chunk 0`."""
        named = {"micro-batch": self.micro_batch, "chunk": self.chunk}
        return ", ".join(f"{name} {number}" for name, number in named.items() if number is not None)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A body of `period` layers drawn once, that stands for layers `first` to `last`; in which `run` of the program,
    where its runs are drawn apart.
    """

    first: int
    last: int
    period: int = 1
    run: Run | None = None

    @property
    def count(self) -> int:
        """Rounds."""
        return (self.last - self.first + 1) // self.period

    @property
    def layers(self) -> str:
        return f"{self.first}-{self.last}" if self.last > self.first else str(self.first)

    @property
    def id(self) -> str:
        run = "" if self.run is None else "_" + str(self.run).replace(", ", "_").replace("-", "_").replace(" ", "_")
        return f"layers_{self.layers.replace('-', '_')}{run}"


@dataclass(frozen=True, slots=True)
class Move:
    """What a communication row moves. Bytes and elements are what ONE member sends (bandwidth-optimal algorithm:
    ring all-gather and reduce-scatter (p-1)/p of the whole, ring all-reduce twice that, direct all-to-all
    (p-1)/p of the local tensor, send/recv the payload); `received`: what one receiver gets, where that is not as much.
    Where members hold unequal parts, they are what the one sends that sends most; `least` elements the one that sends
    least, `total` the group.
    """

    collective: str
    axes: tuple[str, ...]
    elements: Size
    bytes: Size
    received: tuple[Size, Size] | None = None
    least: Size | None = None
    total: Size | None = None


class Experts(Sequence[str]):
    """Per place of a row, the experts it computes, as text: `experts 4-7`. Made on demand: GPUs can be a million.

    `part` says which item of `held`, the experts of every part, a place has. Where experts have slots, items hold
    these, and `table` says which expert each is: `experts 4-7, 12 (copy 2/3 of 12)`.
    """

    def __init__(self, part: np.ndarray, held: Sequence[np.ndarray], table: Sequence[int] = ()) -> None:
        self._part, self._held, self._table = part, held, table
        copy, copies = slots.copies(table) if len(table) else (np.empty(0), np.empty(0))
        self._experts = [np.asarray(table)[own] for own in held] if len(table) else list(held)
        self._copy = [copy[own] for own in held] if len(table) else list(held)
        self._copies = [copies[own] for own in held] if len(table) else [own * 0 + 1 for own in held]

    def __len__(self) -> int:
        return len(self._part)

    def only(self, which: int) -> Experts:
        """Of every place's experts just the `which`-th."""
        return Experts(self._part, [own[which : which + 1] for own in self._held], self._table)

    @property
    def ends(self) -> tuple[str, str]:
        """What says of all places together which experts they compute: the first one's text and the last one's."""
        every = np.concatenate([self._experts[part] for part in np.unique(self._part)])
        if (np.diff(every) == 1).all():
            return self[0], self[-1]
        return f"expert {every.min()}", f"expert {every.max()}"

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        part = int(self._part[place])
        held = self._experts[part]
        runs = np.split(held, np.flatnonzero(np.diff(held) != 1) + 1)
        text = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
        return f"experts {text}{self._copied(part)}" if len(held) > 1 else f"expert {text}{self._copied(part)}"

    def _copied(self, part: int) -> str:
        """Which copies of its experts a part holds, where they have several."""
        held, copy, copies = self._experts[part], self._copy[part], self._copies[part]
        several = [(copy[i], copies[i], held[i]) for i in np.flatnonzero(copies > 1)]
        if len(held) == 1:
            return "".join(f" (copy {rank}/{count})" for rank, count, _ in several)
        return (
            f" (copy {', '.join(f'{rank}/{count} of {expert}' for rank, count, expert in several)})" if several else ""
        )


@dataclass(frozen=True)
class Row:
    """One operator of the lowered program and the places it runs at.

    `places`: int64 [nodes, members]: one member for a computation, the group in order for a collective, of a transfer
    first its `senders`, then its receivers (`pairs`, int64 [pairs, 2], says who of them sends to whom), none for the
    host. `spread` says, per node, what only the place decides (`experts 4-7`).

    `weights` are what it reads of what lives on the GPU: parameters and caches; `state` is the cache that it keeps.

    `operator` is what each node does to its pieces, its operands being (*inputs, *weights) in the order `operands`;
    None where a node only splits or joins what it holds. An operator whose GPUs hold parts of several sizes is as many
    rows; a collective or the host among them has an input (or output) for each size. `turns`, int64 like `places`: when
    each member runs the node in its program; None: in the order of the rows. `run`: of which run of the program it is,
    where these are drawn apart.
    """

    index: int
    op: str
    title: str
    kind: Kind
    path: str
    places: np.ndarray
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    weights: tuple[Port, ...] = ()
    state: tuple[Port, ...] = ()
    repeat: Repeat | None = None
    move: Move | None = None
    spread: Sequence[str] = ()
    where: str = ""
    operator: Operator | None = None
    operands: tuple[int, ...] = ()
    turns: np.ndarray | None = None
    senders: int = 0
    pairs: np.ndarray | None = None
    run: Run | None = None

    @property
    def on_host(self) -> bool:
        return self.places.shape[1] == 0

    @property
    def reads(self) -> tuple[Port, ...]:
        """The operands' ports, in the order of `operands`: what flows in, then what is resident."""
        return (*self.inputs, *self.weights)

    @property
    def parameters(self) -> tuple[Port, ...]:
        """The weights that are no caches."""
        return tuple(port for port in self.weights if not port.cached)

    @property
    def is_transfer(self) -> bool:
        return self.move is not None and self.move.collective == "send/recv"

    @property
    def reading(self) -> np.ndarray:
        """Per node the GPUs that have its inputs: of a transfer the senders."""
        return self.places[:, : self.senders] if self.is_transfer else self.places

    @property
    def making(self) -> np.ndarray:
        """Per node the GPUs that have its outputs: of a transfer the receivers."""
        return self.places[:, self.senders :]

    def times(self, ports: tuple[Port, ...]) -> tuple[int, ...]:
        """Of several ports of one side, of how many parts each speaks (in the first node): copies count once."""
        if len(ports) == 1 or self.operator is None or len(self.operator.operands) != 1:
            return (1,) * len(ports)
        found = []
        for port in ports:
            shares = [share for share in port.shares if share is not None]
            gpus = self.places[:1].reshape(-1) if self.places.size else np.flatnonzero(shares[0].of >= 0)
            own = gpus[port.holds(gpus)]
            found.append(np.unique(np.stack([share.of[own] for share in shares]), axis=1).shape[1] if shares else 1)
        return tuple(found)

    @cached_property
    def steps(self) -> int:
        """How often a node runs before it has seen all that passes by."""
        return max((port.steps for port in (*self.inputs, *self.outputs)), default=1)

    @cached_property
    def gpus(self) -> np.ndarray:
        """Every GPU that takes part, ascending: each stands in one place only."""
        return np.sort(self.places, axis=None)


@dataclass(frozen=True, slots=True)
class Link:
    """An edge between two rows: output `output` of `source` feeds input `input` of `target`.

    One of kind ORDER feeds nothing: `target` only waits for `source`.
    """

    source: int
    target: int
    output: int
    input: int
    kind: EdgeKind
    tensor: str


@dataclass(frozen=True)
class Pool:
    """GPUs that run the same program: a pipeline stage, or all of them."""

    name: str
    gpus: np.ndarray


@dataclass(frozen=True)
class Deployment:
    """The whole graph of one model under one strategy. `facts` are the lines of the picture's title block.

    All of it is run `micro_batches` times, one after the other, each time on an equal part of the batch; and for each
    of these `token_chunks` times, on one chunk of its tokens after the other, of which this is the last.
    """

    model: str
    strategy: str
    facts: tuple[str, ...]
    gpus: int
    pools: tuple[Pool, ...]
    rows: tuple[Row, ...]
    links: tuple[Link, ...]
    micro_batches: int = 1
    token_chunks: int = 1

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs of it, in their order."""
        each = [[*range(count)] if count > 1 else [None] for count in (self.micro_batches, self.token_chunks)]
        return tuple(Run(micro_batch, chunk) for micro_batch, chunk in product(*each))

    @property
    def nodes(self) -> int:
        return sum(len(row.places) for row in self.rows)

    @cached_property
    def edges(self) -> int:
        return sum(len(self.join(link)[0]) for link in self.links)

    def join(self, link: Link) -> tuple[np.ndarray, np.ndarray]:
        """The node pairs of a link, as positions in the two rows' places: int64 [edges] each."""
        source, target = self.rows[link.source], self.rows[link.target]
        if source.on_host or target.on_host:
            first, second = np.indices((len(source.places), len(target.places))).reshape(2, -1)
            return first, second
        return _shared(source.making, target.reading, self.gpus)


def _shared(left: np.ndarray, right: np.ndarray, gpus: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows of `left` and `right` that hold a common GPU; every GPU stands in at most one row of `right`."""
    holder = np.full(gpus, -1, dtype=np.int64)
    holder[right.ravel()] = np.repeat(np.arange(len(right)), right.shape[1])
    first = np.repeat(np.arange(len(left)), left.shape[1])
    second = holder[left.ravel()]
    kept = second >= 0
    if left.shape[1] == 1 or right.shape[1] == 1:
        return first[kept], second[kept]
    keys = np.unique(first[kept] * len(right) + second[kept])
    return keys // len(right), keys % len(right)
