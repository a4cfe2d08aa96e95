"""The program runs once per chunk of a prompt's tokens, over caches that grow. Guarantees that this is the model:

* chunk after chunk it computes what it computes of the whole prompt in one run (`meaning/in_chunks`): no operator looks
  at a token that comes later, none takes a chunk's tokens for the first, and none keeps them from the next
* caches grow in place: what a GPU keeps of a cache in one run is what it has of it in the next, for every size of which
  every run's caches can be cut so

That the program, run over all tokens at once, is the model's prefill is what the frontend says; a test holds one
against the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ...diagnostics import Diagnostic
from ...ir import orders
from ...ir.deployment import Deployment, Port, Row, Share
from ...ir.dims import Sizes
from ...ir.module import operators
from ...ir.ops.attention import CacheOp
from .findings import finding
from .meaning.in_chunks import CACHED, Prompt
from .meaning.numbers import Numbers
from .program import Step, spans, steps
from .rows import about

SEEDS, MOST = 3, 4
"""Random inputs; chunks that are run, where there are more (each is to those before it as the last one is)."""
CODE, WHOLE = "token-chunks", "run the whole prompt at once (--token-chunks 1)"


@dataclass(frozen=True)
class Body:
    """The operators of one round of a repeat, or those around the layers; the first layer it is counted from."""

    steps: list[Step]
    first: int | None


def check(
    deployment: Deployment, model: ModuleOp, sizes: Sizes, numbers: Callable[[int], Numbers]
) -> Iterator[Diagnostic]:
    """Every body of the logical module that is not the same in chunks, every cache that does not or cannot grow."""
    forgetful = [op for op, _ in operators(model) if isinstance(op, CacheOp)]
    if forgetful:
        yield from (finding(CODE, op, "does not find what the chunks before left", hint=WHOLE) for op in forgetful)
        return
    chunks = min(deployment.token_chunks, MOST)
    empty = replace(deployment, rows=(), links=())
    for body in _bodies(model):
        prompts = (Prompt.of(body.steps, body.first, empty, sizes, numbers(seed), chunks) for seed in range(SEEDS))
        found = next((difference for prompt in prompts if (difference := prompt.difference())), None)
        if found is not None:
            problem = f"makes something else of chunk {found.chunk} than of the whole prompt"
            yield finding(CODE, found.op, problem, hint=WHOLE)
    yield from _growth(deployment)


def _bodies(model: ModuleOp) -> Iterator[Body]:
    first_rounds = {first: range(first, first + period) for first, _, period in spans(model)}
    found = steps(model, frozenset(layer for layers in first_rounds.values() for layer in layers))
    yield Body([step for step in found if step.identity[0] is None], None)
    for first, layers in first_rounds.items():
        yield Body([step for step in found if step.identity[0] in layers], first)


def _growth(deployment: Deployment) -> Iterator[Diagnostic]:
    seen: set[tuple[int, str | int]] = set()
    for row in deployment.rows:
        for port in (port for port in row.weights if port.cached):
            share, size = port.shares[port.names.index(CACHED)], port.whole[port.names.index(CACHED)]
            if share is not None and (id(share), size) not in seen:
                seen.add((id(share), size))
                yield from _grows(row, port, share, size, deployment.token_chunks)


def _grows(row: Row, port: Port, share: Share, size: int | str, chunks: int) -> Iterator[Diagnostic]:
    """Has every part of a cache in a run the rows that it had in the run before?"""
    levels = share.order or ((share.parts, orders.CONTIGUOUS),)
    each = size // chunks if isinstance(size, int) else orders.divisor(levels)
    if not orders.fits(levels, each):
        what = f"a multiple of {orders.divisor(levels)}"
        yield about(CODE, row, f"{port.tensor} is cut otherwise than chunks divide", expected=what, actual=str(each))
        return
    last = orders.pieces(levels, each * chunks)
    for chunk in range(1, chunks):
        now = orders.pieces(levels, each * chunk)
        kept = [part[part < each * chunk] for part in last]
        if not all(np.array_equal(a, b) for a, b in zip(now, kept, strict=True)):
            problem = f"{port.tensor} does not stay where it is when the cache grows"
            yield about(CODE, row, problem, hint="cut kv_len strided, or not at all")
            return
