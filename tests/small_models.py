"""Small models and plans of every kind, that numeric tests run on simulated GPUs."""

from dagc.frontends.model import Attention, FeedForward, Latent, MixtureOfExperts, Model
from dagc.frontends.strategy import resolve
from dagc.ir.evaluate import random_weights
from dagc.ir.plan import Axis, Placing, Plan, PoolAxes, Rule, Stages
from dagc.ir.slots import Slots

SIZES = {"B": 4, "S": 8}
WEIGHTS = random_weights(seed=1)
FFN = FeedForward(12, "silu", gated=True)
PLAIN_FFN = FeedForward(12, "gelu", gated=False, bias=True)
EXPERTS = MixtureOfExperts(experts=4, top_k=2, expert=FFN, normalize=True)
SHARED = MixtureOfExperts(4, 2, FFN, normalize=False, shared=FFN, shared_gate=True)

GROUPED = MixtureOfExperts(
    8, 2, FFN, normalize=True, shared=FFN, scoring="sigmoid", scale=2.5, correction=True,
    groups=4, top_groups=2, group_best=2,
)  # fmt: skip
LATENT = Latent(q_rank=8, kv_rank=12, d_nope=4, d_rope=2, d_v=6)

MODELS = {
    "dense": Model("dense", 8, ("dense",) * 3, Attention(4, 2, 4, rope=True, qkv_bias=True, qk_norm=True),
                   "rms_norm", "bf16", dense=FFN, vocab=24),
    "moe": Model("moe", 8, ("moe",) * 3, Attention(4, 2, 4, rope=True),
                 "rms_norm", "bf16", moe=SHARED, vocab=24, tied=True),
    "pattern": Model("pattern", 8, ("dense", "moe") * 2, Attention(4, 4, 2, rope=False, window=3, o_bias=True),
                     "layer_norm", "bf16", dense=PLAIN_FFN, moe=EXPERTS, vocab=24),
    "hidden": Model("hidden", 8, ("dense", "moe", "moe"), Attention(4, 1, 2, rope=True),
                    "rms_norm", "bf16", dense=FFN, moe=EXPERTS),
    "latent": Model("latent", 8, ("dense", "moe", "moe"),
                    Attention(4, 4, 6, rope=True, latent=LATENT, rope_factor=1.25, score_factor=1.5),
                    "rms_norm", "bf16", dense=FFN, moe=GROUPED, vocab=24),
}  # fmt: skip


def rule(at: str, axis: str, *cuts: str, **orders: str) -> Rule:
    """An axis cuts these dimensions, those named last in an order."""
    return Rule(tuple(at.split()), axis, (*cuts, *orders), orders=tuple(orders.items()))


TP = (rule("*", "tp", "heads", "ffn", "vocab"),)
DP = (rule("*", "dp", "batch_size"),)
DP_UNEVEN = (rule("*", "dp", batch_size="uneven"),)
CP = (rule("*", "cp", "seq_len"),)
SP = (
    rule("*", "tp", "seq_len"),
    rule("*.attention *.ffn *.moe", "tp", "heads", "ffn"),
    rule("embed head", "tp", "vocab"),
)
EP = (rule("*", "ep", "batch_size"), rule("*.experts", "ep", "experts"))
EP_REPLICATED = (rule("*.dispatch *.experts *.combine", "ep", "experts"),)
ULYSSES = (rule("*", "sp", "seq_len"), rule("*.core", "sp", "heads"))
TWO_LEVEL = (
    rule("*", "hg", "heads", "ffn", "vocab"),
    rule("*", "ds", "d_k", "ffn", "vocab"),
    rule("*.q_norm *.k_norm *.scores *.scale *.mask *.softmax *.q_rope *.k_rope", "ds"),
)
ALL_TO_EXPERTS = (*DP, *ULYSSES, rule("*.experts", "dp", "experts"), rule("*.experts", "sp", "experts"))
ZIGZAG = (rule("*", "cp", seq_len="zigzag"),)
TABLE = "[3, 0, 2, 1]"
KV_CORE = "*.scores *.scale *.mask *.softmax *.context"
SPLIT_KV = (*CP, rule(KV_CORE, "cp", "kv_len"))
KEPT_APART = (*CP, rule(KV_CORE, "cp", "kv_len", "kv_parts"))
RING = (*CP, rule("*.core", "cp", "seq_len", kv_len="ring"))
RING_ZIGZAG = (*ZIGZAG, rule("*.core", "cp", seq_len="zigzag", kv_len="ring zigzag"))
USP = (*RING, rule("*", "sp", "seq_len"), rule("*.core", "sp", "heads"))
HELIX = (
    rule("*", "tpa", "heads", "ffn", "vocab"),
    rule("*.k_cache *.v_cache", "kvp", "seq_len"),
    rule(KV_CORE, "kvp", "kv_len", "kv_parts"),
    rule("*.merge *.o_proj", "kvp", "heads"),
    rule("*.ffn *.moe", "kvp", "ffn"),
)
HIDDEN = (rule("*", "hp", "hidden"),)
EP_ALLGATHER = (EP[0], *EP_REPLICATED)
DEEPSEEK = (
    rule("*", "dp", "batch_size"),
    rule("*", "tp", "seq_len"),
    rule("*.attention", "tp", "heads"),
    rule("*.ffn", "tp", "ffn"),
    rule("*.experts", "dp", "experts"),
    rule("*.experts", "tp", "experts"),
)
FOLDED = (
    *DEEPSEEK,
    rule("*", "etp", "seq_len"),
    rule("*.attention", "etp", "heads"),
    rule("*.ffn *.experts", "etp", "ffn"),
)
KV_CUT = (*TP, rule("*.core", "cp", kv_len="strided"))
WIDE_EP = (*DP, *TP, rule("*.experts", "dp", "experts"), rule("*.experts", "tp", "experts"))


FSDP = (rule("*", "dp", "hidden", "ffn", "vocab", "heads", "kv_heads", "d_k", "kv_rank", "q_rank", "experts"),)


def plan(
    rules: tuple[Rule, ...],
    layers: str | tuple[int, ...] = "",
    stores: tuple[Rule, ...] = (),
    slots: Slots | None = None,
    **axes: int,
) -> Plan:
    """A plan over these axes, outermost first; with `layers`, the axis pp numbers stages."""
    stages = Stages("pp", layers) if layers else None
    return Plan("test", tuple(map(Axis, axes, axes.values())), rules, stages, stores=stores, slots=slots)


def pooled(rules: tuple[Rule, ...], places: dict[str, str], **pools: dict[str, int]) -> Plan:
    """A plan over pools, each with the sizes of its axes; `places`: patterns, one after another, and pools."""
    axes = {axis: size for pool in pools.values() for axis, size in pool.items()}
    return Plan(
        "test", tuple(map(Axis, axes, axes.values())), rules,
        pools=tuple(PoolAxes(name, tuple(pool)) for name, pool in pools.items()),
        places=tuple(Placing(tuple(at.split()), on) for at, on in places.items()),
    )  # fmt: skip


PLANS = {
    "one gpu": plan((), tp=1),
    "tp2": plan(TP, tp=2),
    "tp4, more than kv heads": plan(TP, tp=4),
    "tp without vocab": plan((rule("*", "tp", "heads", "ffn"),), tp=2),
    "tp-sp": plan(SP, tp=4),
    "dp": plan(DP, dp=4),
    "ep": plan(EP, ep=4),
    "ep replicated": plan(EP_REPLICATED, ep=4),
    "ep all-gather": plan(EP_ALLGATHER, ep=4),
    "ep all-gather×tp": plan(EP_ALLGATHER + TP, ep=2, tp=2),
    "deepseek": plan(DEEPSEEK, dp=2, tp=2),
    "folded": plan(FOLDED, dp=2, tp=2, etp=2),
    "folded, etp between": plan(FOLDED, dp=2, etp=2, tp=2),
    "folded, etp outside": plan(FOLDED, etp=2, dp=2, tp=2),
    "experts zigzag over nodes": plan((*DP, *EP, rule("*.experts", "dp", experts="zigzag")), dp=2, ep=2),
    "slots": plan(EP, slots=Slots(redundant=2), ep=2),
    "slots, as many as GPUs": plan((rule("*", "ep", "seq_len"), EP[1]), slots=Slots(total="gpus"), ep=8),
    "slots of hot experts": plan(EP, slots=Slots(replicas=((1, 4), (3, 2))), ep=4),
    "slots, tokens replicated": plan(
        (*EP_REPLICATED, rule("embed head", "ep", "vocab")), slots=Slots(redundant="gpus"), ep=4),
    "slots, tokens gathered": plan(EP_ALLGATHER, slots=Slots(redundant="gpus"), ep=4),
    "slots of a hot expert, zigzag": plan((EP[0], rule("*.experts", "ep", experts="zigzag")),
        slots=Slots(redundant=4, replicas=((3, 3),)), ep=2),
    "slots uneven": plan((EP[0], rule("*.experts", "ep", experts="uneven")), slots=Slots(redundant=1), ep=2),
    "slots×tp, pp": plan(EP + TP, "uneven", slots=Slots(redundant=2), pp=2, ep=2, tp=2),
    "deepseek, slots": plan(DEEPSEEK, slots=Slots(redundant="gpus"), dp=2, tp=2),
    "folded, slots": plan(FOLDED, slots=Slots(redundant="gpus"), dp=2, tp=2, etp=2),
    "slots in gates of part of the experts": plan(
        (*EP, rule("*.gate *.gate_softmax", "ep", "experts")), slots=Slots(redundant=2), ep=2),
    "ep×tp": plan(EP + TP, ep=2, tp=2),
    "ep×tp, tp outside": plan(EP + TP, tp=2, ep=2),
    "ep×tp, experts over both": plan(WIDE_EP, dp=2, tp=2),
    "tokens and experts over both": plan(ALL_TO_EXPERTS, dp=2, sp=2),
    "ulysses": plan(ULYSSES, sp=4),
    "cp": plan(CP, cp=4),
    "cp, experts over cp": plan((*CP, rule("*.experts", "cp", "experts")), cp=4),
    "two-level": plan(TWO_LEVEL, hg=2, ds=2),
    "2d tp": plan((*TP, rule("*", "cp", "ffn"), rule("*.attention", "cp", "d_k"), rule(
        "*.q_norm *.k_norm *.scores *.scale *.mask *.softmax *.q_rope *.k_rope", "cp")), tp=2, cp=2),
    "pp uneven": plan((), "uneven", pp=2),
    "pp listed": plan((), (2, 1), pp=2),
    "pp×tp": plan(TP, "uneven", pp=2, tp=2),
    "tp×pp, stages innermost": plan(TP, "uneven", tp=2, pp=2),
    "dp×tp×pp": plan(DP + TP, "uneven", pp=2, dp=2, tp=2),
    "dp×cp×tp": plan(DP + CP + TP, dp=2, cp=2, tp=2),
    "dp×ep": plan(DP + EP, dp=2, ep=2),
    "cp×ep": plan(CP + EP, cp=2, ep=2),
    "ep×cp": plan(EP + CP, ep=2, cp=2),
    "pp×ep×tp-sp": plan(EP + SP, "uneven", pp=2, ep=2, tp=2),
    "some layers otherwise": plan((*TP, rule("layers[0-1].attention", "tp", "seq_len")), tp=2),
    "one layer whole": plan((*TP, rule("layers[1]", "tp")), tp=2),
    "cp zigzag": plan(ZIGZAG, cp=4),
    "cp strided": plan((rule("*", "cp", seq_len="strided"),), cp=4),
    "cp by table": plan((rule("*", "cp", seq_len="[2, 5, 0, 7, 1, 3, 6, 4]"),), cp=4),
    "dp×cp zigzag": plan(DP + ZIGZAG, dp=2, cp=2),
    "zigzag in strided": plan((rule("*", "dp", seq_len="strided"), *ZIGZAG), dp=2, cp=2),
    "dp strided, cp zigzag, tp": plan((rule("*", "dp", batch_size="strided"), *ZIGZAG, *TP), dp=2, cp=2, tp=2),
    "ulysses zigzag": plan((rule("*", "sp", seq_len="zigzag"), rule("*.core", "sp", "heads")), sp=4),
    "ulysses zigzag, heads by table": plan(
        (rule("*", "sp", seq_len="zigzag"), rule("*.core", "sp", heads="[1, 0]")), sp=2),
    "tp-sp strided": plan((rule("*", "tp", seq_len="strided"), *SP[1:]), tp=4),
    "tp, parts in other orders": plan((rule("*", "tp", heads="[1, 0]", ffn="strided", vocab="zigzag"),), tp=2),
    "tp4, heads strided": plan((rule("*", "tp", "ffn", "vocab", heads="strided"),), tp=4),
    "ep by table": plan((rule("*", "ep", "batch_size"), rule("*.experts", "ep", experts=TABLE)), ep=4),
    "ep by table, two each": plan((rule("*", "ep", "batch_size"), rule("*.experts", "ep", experts=TABLE)), ep=2),
    "ep strided tokens": plan((rule("*", "ep", batch_size="strided"), EP[1]), ep=4),
    "cp zigzag, experts strided over cp": plan((*ZIGZAG, rule("*.experts", "cp", experts="strided")), cp=4),
    "one layer in another order": plan((*ZIGZAG, rule("layers[1]", "cp", "seq_len")), cp=4),
    "pp×cp zigzag": plan(ZIGZAG, "uneven", pp=2, cp=2),
    "rows cut behind a whole dispatch": plan((*EP, rule("*.dispatch", "ep")), ep=2),
    "tokens cut otherwise in one layer": plan((*EP, *CP, rule("layers[1]", "cp")), ep=2, cp=2),
    "split kv": plan(SPLIT_KV, cp=4),
    "split kv zigzag": plan((*ZIGZAG, rule(KV_CORE, "cp", kv_len="zigzag")), cp=2),
    "split kv over two axes": plan((*DP, *SPLIT_KV, rule(KV_CORE, "dp", "kv_len")), dp=2, cp=2),
    "split kv×tp, one layer gathers": plan((*SPLIT_KV, *TP, rule("layers[1]", "cp", "seq_len")), cp=2, tp=2),
    "parts of kv merged in rows": plan(KEPT_APART, cp=4),
    "parts of kv merged in heads": plan((*KEPT_APART, rule("*.merge *.o_proj", "cp", "heads")), cp=2),
    "parts of kv gathered": plan((rule(KV_CORE, "cp", "kv_len", "kv_parts"),), cp=4),
    "parts of kv zigzag": plan((*ZIGZAG, rule(KV_CORE, "cp", "kv_parts", kv_len="zigzag")), cp=4),
    "parts of kv over two axes": plan((*DP, *KEPT_APART, rule(KV_CORE, "dp", "kv_len", "kv_parts")), dp=2, cp=2),
    "helix": plan(HELIX, tpa=2, kvp=2),
    "ring": plan(RING, cp=4),
    "ring zigzag": plan(RING_ZIGZAG, cp=4),
    "ring strided": plan((rule("*", "cp", seq_len="strided"),
                          rule("*.core", "cp", seq_len="strided", kv_len="ring strided")), cp=2),
    "usp": plan(USP, cp=2, sp=2),
    "dp×ring×tp": plan((*DP, *RING, *TP), dp=2, cp=2, tp=2),
    "ring, head size cut": plan((*RING, rule("*", "ds", "ffn"), rule("*.attention", "ds", "d_k"), rule(
        "*.q_norm *.k_norm *.q_rope *.k_rope", "ds")), cp=2, ds=2),
    "ring, one layer gathers, pp": plan(
        (*RING, rule("layers[1].attention.core", "cp", "seq_len")), "uneven", pp=2, cp=2),
    "dp uneven": plan(DP_UNEVEN, dp=3),
    "dp uneven, pp": plan(DP_UNEVEN, "uneven", pp=2, dp=3),
    "dp uneven×ring": plan((*DP_UNEVEN, *RING), dp=3, cp=2),
    "dp listed×tp": plan((rule("*", "dp", batch_size="(3, 1)"), *TP), dp=2, tp=2),
    "cp listed": plan((rule("*", "cp", seq_len="(5, 3)"),), cp=2),
    "tp, ffn and vocab uneven": plan((rule("*", "tp", ffn="uneven", vocab="uneven"),), tp=5),
    "ep uneven": plan((rule("*", "ep", batch_size="uneven"), rule("*.experts", "ep", experts="uneven")), ep=3),
    "split kv uneven": plan((rule(KV_CORE, "cp", kv_len="uneven"),), cp=3),
    "hidden": plan(HIDDEN, hp=4),
    "2d tp, hidden cut": plan((*TP, *HIDDEN), tp=2, hp=2),
    "two-level, norms of heads cut": plan((*TWO_LEVEL, rule("*.q_norm *.k_norm", "ds", "d_k")), hg=2, ds=2),
    "gate of part of the experts": plan((*EP, rule("*.gate *.gate_softmax", "ep", "experts")), ep=2),
    "fsdp": plan(DP, stores=FSDP, dp=2),
    "fsdp×tp4": plan(DP + TP, stores=(*FSDP, rule("*.up_proj_bias", "dp")), dp=2, tp=4),
    "fsdp in tp, pp": plan(TP + DP, "uneven", FSDP, pp=2, tp=2, dp=2),
    "fsdp over two axes": plan(
        DP + CP, stores=(*FSDP, rule("*", "cp", "hidden", "d_k", "ffn", "kv_rank", "q_rank", "experts")), dp=2, cp=2),
    "hsdp, one layer whole": plan(DP + CP, stores=(*FSDP, rule("layers[1]", "dp")), cp=2, dp=2),
    "experts pulled to tokens": plan(DP, stores=(rule("*.experts", "dp", "experts"),), dp=4),
    "2d": resolve("tp-2d", gpus=4),
    "2.5d": resolve("tp-2.5d", gpus=8),
    "3d": resolve("tp-3d", gpus=8),
    "3d, pp": resolve("tp-3d=4,pp=2", gpus=8, stages="uneven"),
    "split kv×hidden, pp": plan((*SPLIT_KV, *HIDDEN), "uneven", pp=2, cp=2, hp=2),
}  # fmt: skip

ON_E = {"*": "a", "*.experts *.ffn": "e"}
APART = (rule("*", "ep", "ffn"), rule("*.experts", "ep", "experts"), rule("*", "etp", "ffn"))
ON_F = {"*": "a", "*.core": "f", "*.k_cache *.v_cache": "a"}
POOLED = {
    "afd": pooled((*DP, *TP, *APART), ON_E, a={"dp": 2, "tp": 2}, e={"ep": 4}),
    "afd, fewer experts' GPUs": pooled((*DP, *APART), ON_E, a={"dp": 4}, e={"ep": 2}),
    "afd, experts×tp": pooled((*DP, *APART), ON_E, a={"dp": 2}, e={"ep": 2, "etp": 2}),
    "afd, tokens zigzag": pooled((*DP, *ZIGZAG, *APART), ON_E, a={"dp": 2, "cp": 2}, e={"ep": 2}),
    "afd, one GPU for experts": pooled((*TP, *APART), ON_E, a={"tp": 4}, e={}),
    "afd, dispatch there too": pooled(
        (*DP, *CP, *APART), ON_E | {"*.dispatch *.combine": "e"}, a={"dp": 2, "cp": 2}, e={"ep": 4}),
    "fa pool": pooled((*TP, rule("*.core", "fp", "seq_len")), ON_F, a={"tp": 2}, f={"fp": 4}),
    "fa pool, zigzag, caches there": pooled(
        (*TP, rule("*.core", "fp", seq_len="zigzag")), {"*": "a", "*.core": "f"}, a={"tp": 2}, f={"fp": 2}),
    "layers on three pools": pooled(
        (*TP, rule("layers[1]", "cp", "seq_len"), rule("layers[2]", "dp", "batch_size")),
        {"*": "a", "layers[1].attention": "b", "layers[2].attention": "c"}, a={"tp": 4}, b={"cp": 2}, c={"dp": 4}),
    "pools of equal axes": pooled(TP, {"*": "a", "layers[1-2]": "b", "head": "b"}, a={"tp": 2}, b={"tp": 2}),
    "norms elsewhere": pooled(
        (*TP, *CP), {"*": "a", "*.attention_norm *.ffn_norm": "b"}, a={"tp": 2}, b={"cp": 2}),
}  # fmt: skip
PLANS |= POOLED
STEP_SIZES = {"B": 4, "S": 2, "K": 8}
"""Two new tokens, six in the cache."""
STEP_PLANS = {name: PLANS[name] for name in (
    "one gpu", "tp2", "tp4, more than kv heads", "dp", "ep", "ep replicated", "ep×tp", "ep×tp, experts over both",
    "two-level", "2d tp", "pp uneven", "pp×tp", "dp×ep", "tp4, heads strided", "ep by table", "hidden",
)} | {
    "kv cut": plan((rule("*.core", "cp", "kv_len"),), cp=4),
    "kv cut strided, tp": plan(KV_CUT, cp=2, tp=2),
    "kv cut, experts over both": plan(
        (*KV_CUT, rule("*.experts", "cp", "experts"), rule("*.experts", "tp", "ffn")), cp=2, tp=2),
    "kv cut otherwise in one layer": plan((*KV_CUT, rule("layers[1].attention.core", "cp", "batch_size")), cp=2, tp=2),
}  # fmt: skip
"""Plans of a decode step."""

LISTED = {"latent": (2, 1), "dense": (2, 1), "moe": (2, 1), "pattern": (3, 1), "hidden": (2, 1)}
