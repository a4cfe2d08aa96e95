"""A transformer, described: what every frontend produces and `build.py` turns into IR.

Sizes are numbers of elements; names follow Hugging Face where they exist. Nothing here knows a file format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ..ir.gpus import Gpus


class Phase(StrEnum):
    """Which of the two programs that serve a request: all tokens of the prompts, or a step against their cache."""

    PREFILL = "prefill"
    DECODE = "decode"


@dataclass(frozen=True)
class FeedForward:
    """One MLP: `hidden → width → hidden`; gated (three matrices: gate, up, down) or plain (two: up, down)."""

    width: int
    activation: str
    gated: bool
    bias: bool = False


@dataclass(frozen=True)
class MixtureOfExperts:
    """A router over `experts` copies of `expert`, `top_k` of which see each token, and optionally a shared expert.

    `normalize`: the chosen weights are divided by their sum; then they are multiplied by `scale`. `shared_gate`: the
    shared expert's output is scaled by the sigmoid of a projection of its own (Qwen2-MoE).

    `scoring` makes scores of the gate's logits. `correction`: a bias of every expert counts for the choice, not for the
    weight (DeepSeek-V3). With `groups` of experts, a token's are those of its `top_groups` best ones; a group's score
    is the sum of its `group_best` highest.
    """

    experts: int
    top_k: int
    expert: FeedForward
    normalize: bool
    shared: FeedForward | None = None
    shared_gate: bool = False
    scoring: str = "softmax"
    scale: float = 1.0
    correction: bool = False
    groups: int = 1
    top_groups: int = 1
    group_best: int = 1


@dataclass(frozen=True)
class Latent:
    """What heads of latent attention share (DeepSeek-V2): keys and values are made of one latent of `kv_rank`.

    A query is `d_nope` + `d_rope` wide, made through `q_rank` if that is given; a value `d_v`. The rotated part of a
    key is one for all heads.
    """

    q_rank: int | None
    kv_rank: int
    d_nope: int
    d_rope: int
    d_v: int


@dataclass(frozen=True)
class Attention:
    """Grouped-query attention: `heads` query heads of `d_k`, in groups that share one of `kv_heads` KV heads; or,
    where `latent` is given, heads that share that (`d_k` is then d_nope + d_rope, and every head has keys of its own).

    `window` limits the mask to the last `window` positions. `qk_norm`: an RMS norm over d_k of q and of k.
    """

    heads: int
    kv_heads: int
    d_k: int
    rope: bool
    causal: bool = True
    window: int | None = None
    qkv_bias: bool = False
    o_bias: bool = False
    rope_theta: float = 10000.0
    rope_factor: float = 1.0
    """Cosines and sines are times this."""
    score_factor: float = 1.0
    """Scores are times this, beside 1/√d_k."""
    qk_norm: bool = False
    latent: Latent | None = None


@dataclass(frozen=True)
class Model:
    """A decoder-only transformer. `layers[i]` is "dense" or "moe": which feed-forward layer i has.

    `vocab` None means that hidden states go in and come out (no embedding, final norm or head). `where` is the file
    the description came from; `assumed` lists, in words, everything it did not state.
    """

    name: str
    hidden: int
    layers: tuple[str, ...]
    attention: Attention
    norm: str
    dtype: str
    dense: FeedForward | None = None
    moe: MixtureOfExperts | None = None
    vocab: int | None = None
    norm_eps: float = 1e-6
    tied: bool = False
    where: str = ""
    assumed: tuple[str, ...] = ()
    origin: dict[str, str] = field(default_factory=dict, hash=False, compare=False)
    """Field → file:line or key it was read from, for locations in the IR and in messages."""


@dataclass(frozen=True)
class Cluster:
    """GPUs and their links. `memory` and `cache` (0: unknown) in bytes per GPU, `flops` (0: unknown) its peak of dense
    BF16 per second; links in bytes per second per GPU, one direction. `stated`: the description says what memory it is.

    `gpus` is None where the description leaves it to the mesh.
    """

    gpu: str
    gpus: int | None
    gpus_per_node: int
    memory: int
    link_inside: float
    link_across: float
    cache: int = 0
    flops: float = 0
    stated: bool = False
    several: tuple[Gpus, ...] = ()
    """The kinds of GPUs where they are not all alike, in the order of their ids."""

    @property
    def kinds(self) -> tuple[Gpus, ...]:
        """The kinds of GPUs there are."""
        return self.several or (Gpus(self.gpu, self.gpus or 1, self.memory, self.cache, self.flops),)


@dataclass(frozen=True)
class Experiment:
    """A whole description: what to lower, on what. Strategy texts are in the one grammar of `strategy.py`.

    Sizes are None where the description does not say, "symbolic" where they are to stay unbound; `phases` are empty;
    `baseline` is None where the default (tensor parallel inside a node, pipeline parallel across) applies and "none"
    where there is to be none.
    """

    models: tuple[Model, ...]
    cluster: Cluster
    strategies: tuple[str, ...]
    baseline: str | None = None
    batch_size: int | str | None = None
    seq_len: int | str | None = None
    kv_len: int | str | None = None
    phases: tuple[str, ...] = ()
    inline: dict[str, object] = field(default_factory=dict, hash=False)
    """Strategies written inside the description: name → the parsed body, as a strategy file would hold it."""
    setting: dict[str, int | str] = field(default_factory=dict, hash=False)
    """Of several experiments of one description, what is this one's: `gpus`, `batch_size`, `seq_len` or `kv_len`."""
    assumed: tuple[str, ...] = ()
