"""A vocabulary padded so that axes divide it, as Megatron does: rows that no token names are added.

50,257 tokens to a multiple of 128    →    50,304 rows of the embedding and of the head
"""

from __future__ import annotations

from dataclasses import replace

from .model import Model


def padded(model: Model, multiple: int) -> Model:
    """The model with its vocabulary rounded up to a multiple, and that said; one without a vocabulary as it is."""
    if model.vocab is None or model.vocab % multiple == 0:
        return model
    rows = -(-model.vocab // multiple) * multiple
    said = f"vocab = {rows} ({model.vocab} padded to a multiple of {multiple})"
    return replace(model, vocab=rows, assumed=(*model.assumed, said))
