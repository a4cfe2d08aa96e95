"""What one GPU sends in one layer, by formula: elements per collective, bandwidth-optimal algorithms.

all-gather and reduce-scatter (p−1)/p of the whole, all-reduce twice that (ring; Thakur et al. 2005), all-to-all
(p−1)/p of what a GPU holds, send/recv the payload. Symbols: B batch, L tokens of a sequence, D hidden, H and K query
and KV heads of size d, F width of a feed-forward network, E experts of which k see a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from .shapes import Shape

Sends = list[tuple[str, Fraction]]
"""Collectives of a layer in any order: the kind, and the elements that one GPU sends."""


@dataclass(frozen=True)
class Case:
    """A layer of `kind` (dense or moe) of a model, `batch` sequences of `tokens` new tokens each that see `context`
    tokens, on a mesh of these axes.
    """

    model: Shape
    kind: str
    batch: int
    tokens: int
    context: int
    axes: Mapping[str, int]

    @property
    def rows(self) -> int:
        """B·L: all tokens."""
        return self.batch * self.tokens

    @property
    def activation(self) -> int:
        """B·L·D."""
        return self.rows * self.model.hidden

    @property
    def queries(self) -> int:
        """B·L·H·d."""
        return self.rows * self.model.heads * self.model.d

    @property
    def keys(self) -> int:
        """B·L·K·d: of keys, or of values."""
        return self.rows * self.model.kv_heads * self.model.d

    @property
    def routed(self) -> int:
        """B·L·k·D: a row for every expert that a token chose; none in a dense layer."""
        return self.activation * self.model.top_k if self.kind == "moe" else 0


def all_reduce(members: int, whole: Fraction | int) -> Sends:
    return [("all-reduce", 2 * _of_others(members, whole))]


def all_gather(members: int, whole: Fraction | int) -> Sends:
    return [("all-gather", _of_others(members, whole))]


def reduce_scatter(members: int, whole: Fraction | int) -> Sends:
    return [("reduce-scatter", _of_others(members, whole))]


def all_to_all(members: int, held: Fraction | int) -> Sends:
    return [("all-to-all", _of_others(members, held))]


def _of_others(members: int, size: Fraction | int) -> Fraction:
    return Fraction(size) * (members - 1) / members


def none(case: Case) -> Sends:
    """Data parallel replicas and pipeline stages send nothing inside a layer."""
    return []


def tensor_parallel(case: Case) -> Sends:
    """Two all-reduces of the activations (Megatron-LM, Shoeybi et al. 2019)."""
    return 2 * all_reduce(case.axes["tp"], case.activation)


def sequence_parallel(case: Case) -> Sends:
    """Each all-reduce in two halves, around norms on part of the sequence (Korthikanti et al. 2022)."""
    tp = case.axes["tp"]
    return 2 * all_gather(tp, case.activation) + 2 * reduce_scatter(tp, case.activation)


def ulysses(case: Case) -> Sends:
    """Queries, keys, values and outputs change from tokens to heads and back (Jacobs et al. 2023); KV heads that are
    fewer than GPUs are exchanged as far as they go and copied for the rest.
    """
    sp, heads = case.axes["sp"], case.model.kv_heads
    moved = 2 * all_to_all(sp, Fraction(case.queries, sp))
    if heads % sp == 0:
        return moved + 2 * all_to_all(sp, Fraction(case.keys, sp))
    assert heads == 1
    return moved + 2 * all_gather(sp, case.keys)


def gathered_kv(case: Case) -> Sends:
    """Keys and values of the whole sequence on every GPU (Llama 3, 2024)."""
    return 2 * all_gather(case.axes["cp"], case.keys)


def expert_parallel(case: Case) -> Sends:
    """Rows to their experts and back (GShard, Lepikhin et al. 2020); nothing in a dense layer."""
    ep = case.axes["ep"]
    return 2 * all_to_all(ep, Fraction(case.routed, ep)) if case.kind == "moe" else []


def experts_of_replicated_tokens(case: Case) -> Sends:
    """Every GPU picks the rows of its experts, partial sums are added up."""
    return all_reduce(case.axes["ep"], case.activation)


def expert_and_tensor_parallel(case: Case) -> Sends:
    """Tensor parallel attention and experts inside groups whose rows are exchanged between groups."""
    ep, tp = case.axes["ep"], case.axes["tp"]
    exchanged = 2 * all_to_all(ep, Fraction(case.routed, ep)) if case.kind == "moe" else []
    return exchanged + 2 * all_reduce(tp, Fraction(case.activation, ep))


def gathered_tokens(case: Case) -> Sends:
    """All tokens to every GPU, and their sums back (vLLM's default, Megatron-LM's all-gather dispatcher)."""
    ep = case.axes["ep"]
    return all_gather(ep, case.activation) + reduce_scatter(ep, case.activation) if case.kind == "moe" else []


def deepseek_prefill(case: Case) -> Sends:
    """Sequence parallel attention in groups, rows exchanged among all GPUs (DeepSeek-V3, 2024, section 3.4.1)."""
    dp, tp = case.axes["dp"], case.axes["tp"]
    group = all_gather(tp, Fraction(case.activation, dp)) + reduce_scatter(tp, Fraction(case.activation, dp))
    return group + 2 * all_to_all(dp * tp, Fraction(case.routed, dp * tp)) if case.kind == "moe" else 2 * group


def folded_experts(case: Case) -> Sends:
    """Rows to the group of their expert, to all of the group, and back (MoE Parallel Folding, arXiv 2504.14960)."""
    dp, etp, ep = case.axes["dp"], case.axes["etp"], case.axes["dp"] * case.axes["tp"]
    tp = case.axes["tp"] * etp
    group = all_gather(tp, Fraction(case.activation, dp)) + reduce_scatter(tp, Fraction(case.activation, dp))
    if case.kind == "dense":
        return 2 * group
    rows = Fraction(case.routed, ep)
    return group + 2 * all_to_all(ep, rows / etp) + all_gather(etp, rows) + reduce_scatter(etp, rows)


def split_kv(case: Case) -> Sends:
    """All queries come to every part of keys and values; log-sum-exps are merged, outputs added and scattered."""
    cp = case.axes["cp"]
    scores = case.rows * case.model.heads
    return all_gather(cp, case.queries) + all_reduce(cp, scores) + reduce_scatter(cp, case.queries)


def two_level_gathered(case: Case) -> Sends:
    """Queries and keys of whole heads gathered inside a group of heads, values stay cut; output and feed-forward add up
    over all GPUs.
    """
    groups, slices = case.axes["hg"], case.axes["ds"]
    kv_groups = min(groups, case.model.kv_heads)
    keys = all_gather(slices, Fraction(case.keys, kv_groups))
    return all_gather(slices, Fraction(case.queries, groups)) + keys + 2 * all_reduce(groups * slices, case.activation)


def gathered_weights(case: Case) -> Sends:
    """Every weight before its use: Ψ·(n−1)/n of a layer's Ψ parameters (ZeRO-3, Rajbhandari et al. 2020)."""
    return [send for weight in case.model.weights(case.kind) for send in all_gather(case.axes["fsdp"], weight)]


def pulled_experts(case: Case) -> Sends:
    """Of every matrix of the experts what other GPUs keep: g·D·F·(E − E/P) in all (DWDP, arXiv 2604.01621)."""
    matrices = case.model.routed if case.kind == "moe" else []
    return [send for weight in matrices for send in all_gather(case.axes["dwdp"], weight)]
