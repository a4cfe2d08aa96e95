"""The flags that say which deployments are meant, for every command that compiles some."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any

import click

from .sizes import DTYPES, POSITIVE, SIZE

if TYPE_CHECKING:
    from ..job import Request

PHASE = "Prompts (default), or a step of new tokens against a KV cache. May be given twice."

OPTIONS: tuple[Callable[[Callable[..., Any]], Callable[..., Any]], ...] = (
    click.option(
        "--strategy", "-s", "strategies", multiple=True, help="Name, file or mesh (tp=8,pp=2). May be repeated."
    ),
    click.option("--baseline", help="Name, file, mesh, or none. Default: tp inside a node, pp across."),
    click.option("--mesh", help="Sizes of the strategy's axes, or more axes: ep=8,tp=2."),
    click.option("--tensor-parallel-size", "--tensor-model-parallel-size", "tp", type=POSITIVE, help="Short for tp=N."),
    click.option(
        "--pipeline-parallel-size", "--pipeline-model-parallel-size", "pp", type=POSITIVE, help="Short for pp=N."
    ),
    click.option("--data-parallel-size", "dp", type=POSITIVE, help="Short for dp=N."),
    click.option("--gpus", type=POSITIVE, help="Number of GPUs; sizes the one axis left open."),
    click.option("--stages", help="Layers per pipeline stage: even, uneven, fit, flops, or 24,24,23,23."),
    click.option(
        "--num-layers-per-virtual-pipeline-stage",
        "layers_per_chunk",
        type=POSITIVE,
        help="Interleaved stages: runs of so many layers are dealt out to the stages in turn.",
    ),
    click.option(
        "--micro-batches", type=POSITIVE, help="The batch goes through in so many equal parts, one after the other."
    ),
    click.option(
        "--token-chunks", type=POSITIVE, help="And every sequence in so many chunks of tokens, which read caches."
    ),
    click.option(
        "--num-redundant-experts",
        "--ep-num-redundant-experts",
        "redundant_experts",
        type=click.IntRange(min=0),
        help="So many slots more than experts, whatever the strategy says of them; its replicas come first.",
    ),
    click.option("--batch-size", type=SIZE, help="Sequences in the batch, or symbolic."),
    click.option(
        "--seq-len", "--max-model-len", type=SIZE, help="Tokens per sequence (in decode: new ones), or symbolic."
    ),
    click.option("--phase", "phases", type=click.Choice(["prefill", "decode"]), multiple=True, help=PHASE),
    click.option("--kv-len", type=SIZE, help="Tokens in the cache of a decode step, its new ones included."),
    click.option("--dtype", type=click.Choice(list(DTYPES)), help="Element type of weights and values."),
    click.option(
        "--make-vocab-size-divisible-by",
        type=POSITIVE,
        help="Pad the vocabulary to a multiple of this, so that axes divide it.",
    ),
    click.option(
        "--fused-attention/--no-fused-attention", default=True, help="Scores are drawn, but not stored. Default."
    ),
    click.option("--all-regimes", is_flag=True, help="Lower all regimes of a strategy, not only that of the sizes."),
    click.option(
        "--unroll-micro-batches", "unroll", is_flag=True, help="Draw every micro-batch, and chunk, by itself."
    ),
    click.option("--per-expert", is_flag=True, help="Draw every expert of a GPU apart, not one grouped operator."),
    click.option(
        "--collectives",
        type=click.Choice(["hub", "paths"]),
        default="hub",
        show_default=True,
        help="Draw a collective as one node per group, or as the transfers of its algorithm.",
    ),
    click.option(
        "--algorithm",
        multiple=True,
        metavar="COLLECTIVE=NAME",
        help="all-reduce=ring|tree, all-to-all=two-hops|pairwise. Default: the first that suits. May be repeated.",
    ),
    click.option("--max-imbalance", type=click.FloatRange(min=1), help="Refuse a load of largest/mean above this."),
    click.option("--numeric", is_flag=True, help="Check meaning in float64, not over a finite field."),
    click.option("--as-written", is_flag=True, help="Draw what computes another function, too: marked, never valid."),
)


def asked(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these flags."""
    return reduce(lambda made, option: option(made), reversed(OPTIONS), command)


def request_of(source: str | None, flags: dict[str, Any]) -> Request:
    """Flags as the driver takes them: sizes of single axes join the mesh; a mesh alone is a strategy."""
    from ..job import Request

    axes = [f"{axis}={flags[axis]}" for axis in ("tp", "pp", "dp") if flags[axis]]
    mesh = ",".join(filter(None, (flags["mesh"], *axes))) or None
    strategies, dtype = flags["strategies"], flags["dtype"]
    if mesh and not strategies:
        strategies, mesh = (mesh,), None
    known = {name: flags[name] for name in Request.__dataclass_fields__ if name in flags}
    return Request(**{**known, "source": source, "strategies": strategies, "mesh": mesh, "dtype": DTYPES.get(dtype)})
