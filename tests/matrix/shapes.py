"""Models of every kind, by the figures of their published configurations (not read through dagc)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent.parent / "data"


@dataclass(frozen=True)
class Shape:
    """`hidden`, query and KV `heads` of size `d`, `ffn` width (of an expert where there are `experts`, `top_k` of which
    see a token), `shared` width of a shared expert, `gated`: three matrices, not two. `gpus`: how many it is tried on.
    """

    source: str
    kind: str
    hidden: int
    heads: int
    kv_heads: int
    d: int
    ffn: int
    experts: int = 0
    top_k: int = 0
    shared: int = 0
    gated: bool = True
    gpus: int = 8


MODELS = {
    "dense GQA": Shape("llama-3.1-8b", "dense", 4096, 32, 8, 128, 14336),
    "MQA": Shape(str(DATA / "starcoder.yaml"), "dense", 6144, 48, 1, 128, 24576, gated=False),
    "MoE": Shape("mixtral-8x7b", "moe", 4096, 32, 8, 128, 14336, 8, 2),
    "MoE, shared expert": Shape("qwen1.5-moe-a2.7b", "moe", 2048, 16, 16, 128, 1408, 60, 4, 5632, gpus=4),
}
