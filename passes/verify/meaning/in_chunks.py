"""The undivided program, run over a prompt at once and chunk after chunk. Guarantees:

* at small size, over residues, every value of every chunk is that part of the value of the whole prompt, for any input
  and weights, where a run finds in caches what the runs before it left and nothing else

Layers are run body by body, whatever comes into them, as in `meaning`; what comes into a chunk's body is its part of
that. It is a test, not a proof. Values without tokens of their own (rows of experts) are held by those made of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from ....ir.deployment import Deployment
from ....ir.dims import Sizes
from ....ir.op import Operator, tensor_of
from ....ir.ops.attention import AppendOp
from ....ir.ops.program import InputOp, OutputOp, Resident, StateOp
from ..program import Identity, Step
from .extents import Extents, choose
from .numbers import Numbers
from .reference import Reference

TOKENS, CACHED = "seq_len", "kv_len"


@dataclass(frozen=True)
class Difference:
    """An operator that makes something else of a chunk than of the whole prompt."""

    op: Operator
    chunk: int


@dataclass(frozen=True)
class Prompt:
    """The operators of one body, and a prompt of so many chunks of `each` tokens."""

    steps: Sequence[Step]
    first: int | None
    extents: Extents
    numbers: Numbers
    each: int
    chunks: int

    @staticmethod
    def of(
        steps: Sequence[Step], first: int | None, empty: Deployment, sizes: Sizes, numbers: Numbers, chunks: int
    ) -> Prompt:
        """At small size; `empty` is a graph without nodes, for nothing is cut."""
        extents = choose([step.op for step in steps], empty, sizes, 0)
        each = next((size for (name, _), size in extents.of.items() if name == TOKENS), 1)
        return Prompt(steps, first, extents, numbers, each, chunks)

    def difference(self) -> Difference | None:
        """The first value of the first chunk that differs."""
        left: dict[Identity, np.ndarray] = {}
        for chunk in range(self.chunks):
            made = self._reference(self.each, chunk + 1)
            made.made |= dict(self._coming(chunk)) | dict(self._found(left, chunk))
            for step in self._computed:
                if self._differs(step, made.value(step.identity), chunk):
                    return Difference(step.op, chunk)
            left = {step.identity: made.value(step.identity) for step in self._appending}
        return None

    @cached_property
    def _whole(self) -> Reference:
        """Of all tokens in one run, with nothing but unwritten rows in caches."""
        return self._reference(self.each * self.chunks, 1)

    @property
    def _computed(self) -> Iterator[Step]:
        return (step for step in self.steps if not isinstance(step.op, Resident | InputOp | OutputOp))

    @property
    def _appending(self) -> Iterator[Step]:
        return (step for step in self.steps if isinstance(step.op, AppendOp))

    def _reference(self, tokens: int, chunks: int) -> Reference:
        """The operators for so many new tokens, that are the last of so many chunks of as many."""
        given = {TOKENS: tokens, CACHED: tokens * chunks}
        kin, of = self.extents.kin, {key: given.get(key[0], size) for key, size in self.extents.of.items()}
        for rows, sources in kin.merged.items():
            of |= dict.fromkeys(kin.same(kin.root(rows)), prod(of[source] for source in sources))
        return Reference.of(self.steps, self.first, replace(self.extents, of=of), self.numbers)

    def _coming(self, chunk: int) -> Iterator[tuple[Identity, np.ndarray]]:
        """What a chunk's body reads from before it: its part of what the whole prompt's reads."""
        own = {step.identity for step in self.steps}
        for step in self.steps:
            if isinstance(step.op, InputOp):
                yield step.identity, self._part(self._whole.value(step.identity), step.op, chunk)
            for read, value in zip(step.reads, step.op.operands, strict=True):
                if read is not None and read not in own:
                    names = tensor_of(value).names
                    shape = tuple(
                        self._whole.extents.of[self.extents.key(d.name, d.size)] for d in tensor_of(value).dims
                    )
                    yield read, self._cut(self._whole.outside(read, shape), names, chunk)

    def _found(self, left: dict[Identity, np.ndarray], chunk: int) -> Iterator[tuple[Identity, np.ndarray]]:
        """What a run finds in each cache: the rows that the runs before it left, and room that none has written."""
        states = {step.identity: step for step in self.steps if isinstance(step.op, StateOp)}
        for step in self._appending:
            state = states[next(read for read in step.reads if read in states)]
            axis = 1 + tensor_of(state.op.results[0]).names.index(CACHED)
            room = self._reference(self.each, chunk + 1).value(state.identity)
            if chunk:
                empty = np.take(room, range(chunk * self.each, (chunk + 1) * self.each), axis=axis)
                room = np.concatenate([left[step.identity], empty], axis=axis)
            yield state.identity, room

    def _differs(self, step: Step, value: np.ndarray, chunk: int) -> bool:
        if not {TOKENS, CACHED} & set(tensor_of(step.op.results[0]).names):
            return False
        return bool(self.numbers.differ(value, self._part(self._whole.value(step.identity), step.op, chunk)).any())

    def _part(self, value: np.ndarray, op: Operator, chunk: int) -> np.ndarray:
        return self._cut(value, tensor_of(op.results[0]).names, chunk)

    def _cut(self, value: np.ndarray, names: Sequence[str], chunk: int) -> np.ndarray:
        """A chunk's part of a value of the whole prompt: its tokens, and of what is cached those up to its last."""
        end = (chunk + 1) * self.each
        cuts = {TOKENS: slice(end - self.each, end), CACHED: slice(end)}
        return value[(slice(None), *(cuts.get(name, slice(None)) for name in names))]
