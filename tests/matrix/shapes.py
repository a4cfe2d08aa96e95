"""Models of every kind, by the figures of their published configurations (not read through dagc)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent.parent / "data"


@dataclass(frozen=True)
class Latent:
    """What heads of latent attention share: keys and values are made of `rank` elements a token, and of one rotated key
    of `rope`; queries are `nope` + `rope` wide.
    """

    rank: int
    nope: int
    rope: int


@dataclass(frozen=True)
class Shape:
    """`hidden`, query and KV `heads` of size `d` (with a `latent`, values'), `ffn` width (of an expert where there are
    `experts`, `top_k` of which see a token), `dense` width of layers without experts, `shared` width of a shared
    expert, `gated`: three matrices, not two. `gpus`: how many it is tried on.
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
    qkv_bias: bool = False
    layer_norm: bool = False
    rope: bool = True
    latent: Latent | None = None
    dense: int = 0
    shared_gate: bool = True

    @property
    def queries(self) -> list[int]:
        """Widths of the parts that queries are made in."""
        if self.latent:
            return [self.heads * self.latent.nope, self.heads * self.latent.rope]
        return [self.heads * self.d]

    @property
    def kept(self) -> list[int]:
        """Widths of what is kept of a token."""
        return [self.latent.rank, self.latent.rope] if self.latent else 2 * [self.kv_heads * self.d]

    @property
    def read(self) -> list[int]:
        """Widths of keys and values as heads meet them."""
        if self.latent:
            return [self.heads * self.latent.nope, self.latent.rope, self.heads * self.d]
        return self.kept

    @property
    def context(self) -> int:
        """Width of what attention makes of the values."""
        return self.heads * self.d

    @property
    def norms(self) -> list[int]:
        """Elements of the gains of a layer's two norms, and of the offsets that layer norms have."""
        return [self.hidden] * (4 if self.layer_norm else 2)

    @property
    def projections(self) -> list[int]:
        """Elements of each matrix of attention between hidden states and queries, what is kept, and context."""
        return [self.hidden * width for width in (*self.queries, *self.kept, self.context)]

    @property
    def inside(self) -> list[int]:
        """Elements of what else latent attention has: a norm, and the matrices that make keys and values."""
        if self.latent is None:
            return []
        rank = self.latent.rank
        return [rank, rank * self.heads * self.latent.nope, rank * self.heads * self.d]

    @property
    def biases(self) -> list[int]:
        """Elements of each bias of attention."""
        return [self.heads * self.d, self.kv_heads * self.d, self.kv_heads * self.d] if self.qkv_bias else []

    def network(self, width: int, copies: int = 1) -> list[int]:
        """Elements of each matrix of feed-forward networks of a width."""
        return [copies * self.hidden * width] * (3 if self.gated else 2)

    @property
    def routed(self) -> list[int]:
        """Elements of each matrix of all experts."""
        return self.network(self.ffn, self.experts)

    def weights(self, kind: str) -> list[int]:
        """Elements of every weight of a layer."""
        attention = [*self.norms, *self.projections, *self.inside, *self.biases]
        if kind == "dense":
            return [*attention, *self.network(self.dense or self.ffn)]
        beside = [*self.network(self.shared), *[self.hidden] * self.shared_gate] if self.shared else []
        return [*attention, self.hidden * self.experts, *self.routed, *beside]


MODELS = {
    "dense GQA": Shape("llama-3.1-8b", "dense", 4096, 32, 8, 128, 14336),
    "MQA": Shape(
        str(DATA / "starcoder.yaml"), "dense", 6144, 48, 1, 128, 24576, gated=False, layer_norm=True, rope=False
    ),
    "MoE": Shape("mixtral-8x7b", "moe", 4096, 32, 8, 128, 14336, 8, 2),
    "MoE, shared expert": Shape(
        "qwen1.5-moe-a2.7b", "moe", 2048, 16, 16, 128, 1408, 60, 4, 5632, gpus=4, qkv_bias=True
    ),
    "MLA": Shape(
        *("deepseek-v2-lite", "moe", 2048, 16, 16, 128, 1408, 64, 6, 2816),
        latent=Latent(512, 128, 64),
        dense=10944,
        shared_gate=False,
    ),
}
