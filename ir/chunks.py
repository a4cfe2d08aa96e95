"""A prompt in chunks of tokens: one program, run once a chunk, on the next S tokens of every sequence.

    run 0   seq_len = S   kv_len = S        what it appends to caches is all they hold
    run 1   seq_len = S   kv_len = 2*S      and so on; a module is that of the last run, where kv_len is all tokens

So the symbol K of a program that appends to caches is no size of its own here: it is so many S.
"""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp

from .dims import Sizes, number, symbol
from .module import plan_of, sizes_of

NEW, CACHED = symbol("S"), "K"


def at_chunk(sizes: Sizes, chunk: int) -> Sizes:
    """What symbols stand for in a run: `chunk` others were before it."""
    tokens = NEW * number(chunk + 1)
    return sizes.define(CACHED, tokens, tokens)


def chunk_sizes(module: ModuleOp) -> list[Sizes]:
    """What a module's symbols stand for in each run over a prompt; in the only one of a prompt that is whole."""
    plan, sizes = plan_of(module), sizes_of(module)
    chunks = plan.token_chunks if plan else 1
    return [at_chunk(sizes, chunk) for chunk in range(chunks)] if chunks > 1 else [sizes]
