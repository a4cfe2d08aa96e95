"""What one GPU sends in one layer, by formula: elements per collective, bandwidth-optimal algorithms.

all-gather and reduce-scatter (p−1)/p of the whole, all-reduce twice that (ring; Thakur et al. 2005), all-to-all
(p−1)/p of what a GPU holds, send/recv the payload. Symbols: B batch, L tokens of a sequence, D hidden, H and K query
and KV heads of size d, F width of a feed-forward network, E experts of which k see a token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, prod

from .shapes import Shape

Sends = list[tuple[str, Fraction]]
"""Collectives of a layer in any order: the kind, and the elements that one GPU sends."""
Send = Callable[[int, Fraction], Sends]


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
        return self.rows * self.model.context

    @property
    def decodes(self) -> bool:
        """One new token against a cache."""
        return self.tokens < self.context

    @property
    def attended(self) -> int:
        """Width of what a part of attention makes: in decode the latent's, which values are made of after it."""
        latent = self.model.latent
        return self.model.heads * latent.rank if latent and self.decodes else self.model.context

    @property
    def keys(self) -> int:
        """B·L·K·d: of keys, or of values."""
        return self.rows * self.model.kv_heads * self.model.d

    @property
    def cached(self) -> int:
        """Of keys, or of values, as many as a new token sees."""
        return self.batch * self.context * self.model.kv_heads * self.model.d

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


def send(size: Fraction | int) -> Sends:
    return [("send/recv", Fraction(size))]


def _each(send: Send, members: int, case: Case, widths: list[int], parts: int = 1) -> Sends:
    """All tokens of values of these widths."""
    return [one for width in widths for one in send(members, Fraction(case.rows * width, parts))]


def none(case: Case) -> Sends:
    """Data parallel replicas and pipeline stages send nothing inside a layer."""
    return []


def tensor_parallel(case: Case) -> Sends:
    """Two all-reduces of the activations (Megatron-LM, Shoeybi et al. 2019)."""
    return 2 * all_reduce(case.axes["tp"], case.activation)


def in_four_chunks(case: Case) -> Sends:
    """Tensor parallel inside a stage, of each of four chunks of the tokens: as much in all, in four times as many."""
    return 2 * all_reduce(case.axes["tp"], Fraction(case.activation, 4))


def sequence_parallel(case: Case) -> Sends:
    """Each all-reduce in two halves, around norms on part of the sequence (Korthikanti et al. 2022)."""
    tp = case.axes["tp"]
    return 2 * all_gather(tp, case.activation) + 2 * reduce_scatter(tp, case.activation)


def ulysses(case: Case) -> Sends:
    """Queries, keys, values and outputs change from tokens to heads and back (Jacobs et al. 2023); KV heads that are
    fewer than GPUs are exchanged as far as they go and copied for the rest.
    """
    sp, heads = case.axes["sp"], case.model.kv_heads
    moved = _each(all_to_all, sp, case, [*case.model.queries, case.model.context], sp)
    if case.model.latent:
        return moved + _each(all_gather, sp, case, case.model.kept)
    if heads % sp == 0:
        return moved + 2 * all_to_all(sp, Fraction(case.keys, sp))
    assert heads == 1
    return moved + 2 * all_gather(sp, case.keys)


def gathered_kv(case: Case) -> Sends:
    """Keys and values of the whole sequence on every GPU (Llama 3, 2024), or the latent that they are made of."""
    return _each(all_gather, case.axes["cp"], case, case.model.kept)


def expert_parallel(case: Case) -> Sends:
    """Rows to their experts and back (GShard, Lepikhin et al. 2020); nothing in a dense layer."""
    ep = case.axes["ep"]
    return 2 * all_to_all(ep, Fraction(case.routed, ep)) if case.kind == "moe" else []


def experts_of_replicated_tokens(case: Case) -> Sends:
    """Every GPU picks the rows of its experts, partial sums are added up."""
    return all_reduce(case.axes["ep"], case.activation) if case.kind == "moe" else []


def expert_and_tensor_parallel(case: Case) -> Sends:
    """Tensor parallel attention and experts inside groups whose rows are exchanged between groups."""
    ep, tp = case.axes["ep"], case.axes["tp"]
    exchanged = 2 * all_to_all(ep, Fraction(case.routed, ep)) if case.kind == "moe" else []
    return exchanged + 2 * all_reduce(tp, Fraction(case.activation, ep))


def gathered_tokens(case: Case) -> Sends:
    """All tokens to every GPU, and their sums back (vLLM's default, Megatron-LM's all-gather dispatcher)."""
    ep = case.axes["ep"]
    return all_gather(ep, case.activation) + reduce_scatter(ep, case.activation) if case.kind == "moe" else []


def deepseek_unit(case: Case) -> Sends:
    """Tokens cut by groups and inside them, tensor parallel attention in groups, rows exchanged among all GPUs
    (DeepSeek-V3, 2024, section 3.4).
    """
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


def helix(case: Case) -> Sends:
    """Outputs and log-sum-exps of parts of the cache to the GPUs of some heads, B·(H/tpa)·(d+1)·(kvp−1)/kvp whatever
    the context; projections and feed-forward networks add up over all, 2·B·D·(N−1)/N (Helix, arXiv 2507.07120). In
    prefill values made of a latent, of some heads, go to the GPUs of their tokens.
    """
    kvp, gpus = case.axes["kvp"], prod(case.axes.values())
    parts = _each(all_to_all, kvp, case, [kvp * case.attended, kvp * case.model.heads], gpus)
    values = _each(all_to_all, kvp, case, [case.model.context], gpus) if case.model.latent and not case.decodes else []
    return parts + values + 2 * all_reduce(gpus, case.activation)


def attention_apart(case: Case) -> Sends:
    """Rows to the GPUs of their experts and back, T_a·k·D from each attention GPU (MegaScale-Infer, arXiv 2504.02263);
    in a dense layer all tokens to every GPU of the feed-forward network, their sums scattered and sent back.
    """
    dp, ep = case.axes["dp"], case.axes["ep"]
    if case.kind == "moe":
        return send(Fraction(case.routed, dp)) + send(Fraction(case.routed, ep))
    there, back = send(Fraction(case.activation * ep, dp)), send(Fraction(case.activation, ep))
    return there + reduce_scatter(ep, case.activation) + back


def handed_over(case: Case) -> Sends:
    """In prefill tensor parallel, and what is kept of every token, in sum over the GPUs that send once: 2·L·K·d a
    sequence of grouped heads, L·(rank + rope) of a latent (DistServe, arXiv 2401.09670; DeepSeek-V2, arXiv 2405.04434).
    Decode is data parallel, rows exchanged among experts.
    """
    tp, dp = case.axes["tp"], case.axes["dp"]
    if case.tokens == 1:
        return 2 * all_to_all(dp, Fraction(case.routed, dp)) if case.kind == "moe" else []
    return tensor_parallel(case) + [one for width in case.model.kept for one in send(Fraction(case.rows * width, tp))]


def attention_pool(case: Case) -> Sends:
    """Beyond 4,096 tokens queries to the GPU of their rows, keys and values to every GPU of the pool, outputs back;
    elsewhere tensor parallel.
    """
    if case.tokens <= 4096:
        return tensor_parallel(case)
    tp, fp = case.axes["tp"], case.axes["fp"]
    queries = [one for width in case.model.queries for one in send(Fraction(case.rows * width, tp))]
    keys = [one for width in case.model.read for one in send(Fraction(case.rows * width * fp, tp))]
    return queries + keys + send(Fraction(case.queries, fp)) + tensor_parallel(case)


def split_kv(case: Case) -> Sends:
    """All queries come to every part of keys and values; log-sum-exps are merged, outputs added and scattered."""
    cp = case.axes["cp"]
    scores = case.rows * case.model.heads
    gathered = _each(all_gather, cp, case, case.model.queries)
    return gathered + all_reduce(cp, scores) + reduce_scatter(cp, case.queries)


def flash_decoding(case: Case) -> Sends:
    """(P−1)·B·L·H·(d+1): every part's outputs and log-sum-exps, gathered (Dao et al. 2023)."""
    cp = case.axes["cp"]
    return _each(all_gather, cp, case, [cp * case.attended, cp * case.model.heads])


def ring(case: Case) -> Sends:
    """Keys and values, P−1 shifts of a P-th of them (Liu et al. 2023)."""
    cp = case.axes["cp"]
    return _each(_passed, cp, case, case.model.read, cp)


def _passed(members: int, held: Fraction) -> Sends:
    """Every part round to all members, one shift less than there are."""
    return [("collective-permute", held * (members - 1))]


def unified(case: Case) -> Sends:
    """Ulysses in groups of U, a ring over R of them (Fang and Zhao 2024): (2H + 2K)·d·B·L/P·(U−1)/U, and (R−1) shifts
    of K·d·B·L/(U·R) keys and as many values. Fewer KV heads than U are copied, not exchanged, as a latent is.
    """
    rings, inside, model = case.axes["cp"], case.axes["sp"], case.model
    apart = model.latent is None and model.kv_heads % inside == 0
    moved = _each(all_to_all, inside, case, [*model.queries, model.context], rings * inside)
    if apart:
        moved += _each(all_to_all, inside, case, model.kept, rings * inside)
    else:
        moved += _each(all_gather, inside, case, model.kept, rings)
    of_heads = [
        width if apart or (model.latent and width != model.latent.rope) else width * inside for width in model.read
    ]
    return moved + _each(_passed, rings, case, of_heads, rings * inside)


def two_level(case: Case) -> Sends:
    """Output and feed-forward add up over all GPUs; of the two exact ways to scores of whole heads the cheaper one:
    queries and keys gathered inside a group of heads, or scores added up there. Values stay cut. Rotary embedding pairs
    the halves of a head, and has new queries and keys gathered anyway.
    """
    groups, slices = case.axes["hg"], case.axes["ds"]
    if case.model.latent:  # whose heads have no features of that name: attention is cut by heads alone
        return all_reduce(groups, case.activation) + all_reduce(groups * slices, case.activation)
    kv_groups = min(groups, case.model.kv_heads)
    queries = all_gather(slices, Fraction(case.queries, groups))
    rotated = queries + all_gather(slices, Fraction(case.keys, kv_groups)) if case.model.rope else []
    gathered = queries + all_gather(slices, Fraction(case.cached, kv_groups))
    added = rotated + all_reduce(slices, Fraction(case.rows * case.model.heads * case.context, groups))
    return 2 * all_reduce(groups * slices, case.activation) + min(gathered, added, key=_total)


def _total(sends: Sends) -> Fraction:
    return sum((size for _, size in sends), Fraction(0))


def gathered_weights(case: Case) -> Sends:
    """Every weight before its use: Ψ·(n−1)/n of a layer's Ψ parameters (ZeRO-3, Rajbhandari et al. 2020)."""
    return [send for weight in case.model.weights(case.kind) for send in all_gather(case.axes["fsdp"], weight)]


def pulled_experts(case: Case) -> Sends:
    """Of every matrix of the experts what other GPUs keep: g·D·F·(E − E/P) in all (DWDP, arXiv 2604.01621)."""
    matrices = case.model.routed if case.kind == "moe" else []
    return [send for weight in matrices for send in all_gather(case.axes["dwdp"], weight)]


def summa(case: Case) -> Sends:
    """2D and 2.5D: each product gathers its input over columns and its matrix over rows, as many elements as SUMMA's
    broadcasts, (q−1)(MD + DF)/q² (van de Geijn and Watts 1997; Xu et al. 2021); products of one input share its gather.
    Norms' statistics are added up over columns.
    """
    row, col = case.axes["row"], case.axes["col"]
    rows = Fraction(case.rows, row * case.axes.get("depth", 1))
    sends = [send for width in _entering(case) for send in all_gather(col, rows * width)]
    sends += [send for weight, cut in _matrices(case, col) for send in all_gather(row, Fraction(weight, cut))]
    return _some(sends + _statistics(case) * all_reduce(col, rows))


def _entering(case: Case) -> list[int]:
    """Elements a token brings to each group of products: normed twice, context, inside of feed-forward networks."""
    model = case.model
    inside = [times * width for times, width in _networks(case)]
    return [model.hidden, model.hidden, model.context, *inside]


def _matrices(case: Case, heads: int) -> list[tuple[int, int]]:
    """Elements of every matrix of a layer, and how far `heads` parts of heads or widths divide it."""
    model, kind = case.model, case.kind
    grouped = 1 if model.latent else gcd(model.kv_heads, heads)
    cuts = [*[heads] * len(model.queries), *[grouped] * len(model.kept), heads]
    found = list(zip(model.projections, cuts, strict=True))
    dense = model.network(model.dense or model.ffn)
    networks = dense if kind == "dense" else [*model.routed, *model.network(model.shared)]
    return found + [(matrix, heads) for matrix in networks if matrix]


def cube(case: Case) -> Sends:
    """3D: each product gathers its input over j, its matrix over i, and scatters its sums over l; the next one with j
    and l exchanged: (q−1)(MD + DF + MF)/q³ (Agarwal et al. 1995; Bian et al. 2021). Products of one input share its
    gather; norms' statistics are added up over l.
    """
    i, j, over, model = case.axes["i"], case.axes["j"], case.axes["l"], case.model
    sends = [send for weight, cut in _matrices(case, j) for send in all_gather(i, Fraction(weight, cut * over))]
    sends += _statistics(case) * all_reduce(over, Fraction(case.rows, i * j))
    grouped = 1 if model.latent else gcd(model.kv_heads, j)
    made = [*(Fraction(width, j) for width in model.queries), *(Fraction(width, grouped) for width in model.kept)]
    sends += _there_and_back(case, 1, made, Fraction(model.context, j))
    for times, width in _networks(case):
        inside = Fraction(width, j)
        sends += _there_and_back(case, times, [inside] * (2 if model.gated else 1), inside)
    return _some(sends)


def _there_and_back(case: Case, times: int, made: list[Fraction], back: Fraction) -> Sends:
    """Rows of the model's width, `times` a token, to products of these local widths, and from one of them again."""
    j, over = case.axes["j"], case.axes["l"]
    rows, width = Fraction(case.rows * times, case.axes["i"]), Fraction(case.model.hidden, over)
    sums = [send for each in made for send in reduce_scatter(over, rows * each)]
    return all_gather(j, rows * width) + sums + all_gather(over, rows * back) + reduce_scatter(j, rows * width)


def _networks(case: Case) -> list[tuple[int, int]]:
    """Per feed-forward network of a layer how often it sees a token, and its width."""
    model = case.model
    if case.kind == "dense":
        return [(1, model.dense or model.ffn)]
    return [(model.top_k, model.ffn), *[(1, model.shared)] * bool(model.shared)]


def _statistics(case: Case) -> int:
    """Sums of one number a token over the model's width: of norms, and of a shared expert's gate."""
    return len(case.model.norms) + (case.kind == "moe" and case.model.shared > 0 and case.model.shared_gate)


def _some(sends: Sends) -> Sends:
    """Those among more than one GPU."""
    return [send for send in sends if send[1]]
