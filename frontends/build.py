"""The only way a frontend makes IR: a described transformer becomes a LOGICAL module.

    %x = dag.input …            global dimensions, no devices
    %h = dag.lookup(%x, %w)
    %y = dag.repeat %h layers 0 to 31 period 1 { attention, feed-forward }
    dag.output(%logits)

A decode step is a program of its own: its seq_len new tokens are appended to a resident cache of kv_len tokens, of
which they are the last, and attention reads all of it. A prompt in chunks of tokens is such a program, too, run once a
chunk (`ir/chunks.py`).

Layers stay rolled: runs of equal layers (or of an equal pattern of layers) become one `dag.repeat` each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, SSAValue

from ..ir.chunks import at_chunk
from ..ir.dims import Definition, Sizes, number
from ..ir.layout import Tensor
from ..ir.ops.linear import ProjectOp
from ..ir.ops.lookup import LookupOp
from ..ir.ops.moe import EXPERT_TOKENS
from ..ir.ops.pointwise import AddOp
from ..ir.ops.program import InputOp, OutputOp, RepeatOp, YieldOp
from ..ir.types import SizesAttr
from .attend import attention
from .feed_forward import feed_forward
from .maker import BATCH, KV, SEQ, Maker, dims_of
from .model import Model, Phase

MAX_PERIOD = 8


def build(model: Model, phase: Phase = Phase.PREFILL, leaves: bool = False, chunks: int = 1) -> ModuleOp:
    """The logical module of a model, with batch_size = B, seq_len = S and, in decode, kv_len = K left symbolic.

    A prefill that `leaves` its caches to a program of its own for decode keeps them for it. One in `chunks` of tokens
    is what runs for each; S are its tokens, K is all of them.
    """
    return _module(Maker(model, phase, leaves, chunks))


def runs(layers: tuple[str, ...]) -> Iterator[tuple[int, int, int]]:
    """Cut a sequence of layer kinds into (first, last, period): each run repeats its first `period` kinds.

    >>> list(runs(("dense", "moe", "moe", "moe")))
    [(0, 0, 1), (1, 3, 1)]
    >>> list(runs(("dense", "moe", "dense", "moe")))
    [(0, 3, 2)]
    """
    first = 0
    while first < len(layers):
        period, rounds = _longest(layers[first:])
        yield first, first + period * rounds - 1, period
        first += period * rounds


def _longest(layers: tuple[str, ...]) -> tuple[int, int]:
    """(period, rounds) covering most layers from the start; a period above one must come round at least twice."""
    best = (1, 1)
    for period in range(1, min(MAX_PERIOD, len(layers)) + 1):
        rounds = 1
        while layers[period * rounds : period * (rounds + 1)] == layers[:period]:
            rounds += 1
        if (rounds > 1 or period == 1) and period * rounds > best[0] * best[1]:
            best = (period, rounds)
    return best


def _module(make: Maker) -> ModuleOp:
    model = make.model
    hidden = dims_of(batch_size=BATCH, seq_len=SEQ, hidden=number(model.hidden))
    if model.vocab is None:
        x = make.add(InputOp, "input", out=Tensor(hidden, model.dtype))
    else:
        ids = make.add(InputOp, "input", out=Tensor(hidden[:2], "i32"))
        table = make.weight("embed.weight", {"vocab": model.vocab, "hidden": model.hidden})
        x = make.add(LookupOp, "embed", ids, table)
    for first, last, period in runs(model.layers):
        x = _repeat(make, x, first, last, period)
    if model.vocab is not None:
        x = _head(make, x, model.vocab)
    make.add(OutputOp, "output", x)
    return ModuleOp(make.ops, {"dag.sizes": SizesAttr(_sizes(make))})


def _sizes(make: Maker) -> Sizes:
    moe = make.model.moe
    sizes = Sizes(tuple((str(size), None) for size in (BATCH, SEQ, *[KV] * make.decodes)))
    if moe is not None:
        rows = BATCH * SEQ * moe.top_k / moe.experts
        sizes = replace(sizes, defined=(Definition(str(EXPERT_TOKENS), rows, rows),))
    return at_chunk(sizes, make.chunks - 1) if make.chunks > 1 else sizes


def _repeat(make: Maker, x: SSAValue, first: int, last: int, period: int) -> SSAValue:
    block = Block(arg_types=[x.type])
    block.args[0].name_hint = "x"
    y = block.args[0]
    for layer in range(first, first + period):
        inner = replace(make, ops=[], prefix="layers." if period == 1 else f"layers.{layer - first}.")
        y = _layer(inner, y, make.model.layers[layer])
        block.add_ops(inner.ops)
    block.add_op(YieldOp.create(operands=[y]))
    repeat = RepeatOp.of(x, block, first, last, period, make.where("layers"))
    make.ops.append(repeat)
    return repeat.out


def _layer(make: Maker, x: SSAValue, kind: str) -> SSAValue:
    x = make.add(AddOp, "attention_residual", x, attention(make, make.norm("attention_norm", x)))
    return make.add(AddOp, "ffn_residual", x, feed_forward(make, make.norm("ffn_norm", x), kind))


def _head(make: Maker, x: SSAValue, vocab: int) -> SSAValue:
    hidden, x = make.model.hidden, make.norm("final_norm", x)
    if not make.model.tied:
        return make.project("head", x, "hidden", hidden=hidden, vocab=vocab)
    table = make.weight("head.weight", {"vocab": vocab, "hidden": hidden}, tied="embed.weight")
    return make.add(ProjectOp, "head", x, table, over=("hidden",))
