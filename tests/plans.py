"""Small models and the plans every verifier is tried on, and the tools to break what they are lowered to."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from xdsl.dialects.builtin import ModuleOp

from dagc.frontends.build import build
from dagc.frontends.model import Attention, FeedForward, MixtureOfExperts, Model
from dagc.ir.layout import Tensor
from dagc.ir.module import annotate, sizes_of
from dagc.ir.op import Operator, retype, tensor_of
from dagc.ir.ops.move import Mover
from dagc.ir.plan import Axis, Plan, Rule, Stages
from dagc.pipeline import lower

SIZES = {"B": 16, "S": 32}
GROUPED = Attention(heads=16, kv_heads=8, d_k=8, rope=True, qk_norm=True)
EXPERTS = MixtureOfExperts(8, 2, FeedForward(32, "silu", True), True, shared=FeedForward(32, "silu", True))
DENSE = FeedForward(48, "gelu", False, bias=True)

MOE = Model("moe", 64, ("moe",) * 4, GROUPED, "rms_norm", "bf16", moe=EXPERTS, vocab=128)
MIXED = Model(
    "mixed", 64, ("dense", "moe") * 2, GROUPED, "layer_norm", "bf16", dense=DENSE, moe=EXPERTS, vocab=128, tied=True
)


def rule(at: str, axis: str, *cuts: str, **orders: str) -> Rule:
    """An axis cuts these dimensions, those named last in an order."""
    return Rule(tuple(at.split()), axis, (*cuts, *orders), orders=tuple(orders.items()))


TP = (rule("*", "tp", "heads", "ffn", "vocab"),)
EP = (rule("*", "ep", "batch_size"), rule("*.experts", "ep", "experts"))
DP = (rule("*", "dp", "batch_size"),)
SP = (
    rule("*", "tp", "seq_len"),
    rule("*.attention *.ffn *.moe", "tp", "heads", "ffn"),
    rule("embed head", "tp", "vocab"),
)
TWO_LEVEL = (
    rule("*", "hg", "heads", "ffn", "vocab"),
    rule("*", "ds", "d_k", "ffn", "vocab"),
    rule("*.scores *.scale *.mask *.softmax *.q_rope *.k_rope *.q_norm *.k_norm", "ds"),
)

SPLIT_KV = (rule("*", "cp", "seq_len"), rule("*.scores *.scale *.mask *.softmax *.context", "cp", "kv_len"))
KV_CORE = "*.scores *.scale *.mask *.softmax *.context"
RING = (rule("*", "cp", "seq_len"), rule("*.core", "cp", "seq_len", kv_len="ring"))
RING_ZIGZAG = (rule("*", "cp", seq_len="zigzag"), rule("*.core", "cp", seq_len="zigzag", kv_len="ring zigzag"))
HELIX = (
    rule("*", "tpa", "heads", "ffn", "vocab"),
    rule("*.k_cache *.v_cache", "kvp", "seq_len"),
    rule(KV_CORE, "kvp", "kv_len", "kv_parts"),
    rule("*.merge *.o_proj", "kvp", "heads"),
    rule("*.ffn *.moe", "kvp", "ffn"),
)


def plan(name: str, rules: tuple[Rule, ...], stages: Stages | None = None, **axes: int) -> Plan:
    return Plan(name, tuple(Axis(axis, size) for axis, size in axes.items()), rules, stages)


PLANS = {
    "tp": plan("tp", TP, tp=8),
    "tp_sp": plan("tp_sp", SP, tp=8),
    "ulysses": plan("ulysses", (rule("*", "sp", "seq_len"), rule("*.core", "sp", "heads")), sp=8),
    "cp": plan("cp", (rule("*", "cp", "seq_len"),), cp=8),
    "cp_zigzag": plan("cp_zigzag", (rule("*", "cp", seq_len="zigzag"),), cp=8),
    "ep": plan("ep", EP, ep=8),
    "ep_table": plan(
        "ep_table", (rule("*", "ep", "batch_size"), rule("*.experts", "ep", experts="[7, 0, 6, 1, 5, 2, 4, 3]")), ep=4
    ),
    "ep_replicated": plan("ep_replicated", (rule("*.dispatch *.experts *.combine", "ep", "experts"),), ep=8),
    "ep_tp": plan("ep_tp", EP + TP, ep=4, tp=2),
    "dp_tp": plan("dp_tp", DP + TP, dp=2, tp=4),
    "two_level": plan("two_level", TWO_LEVEL, hg=4, ds=2),
    "split_kv": plan("split_kv", SPLIT_KV, cp=8),
    "ring": plan("ring", RING, cp=8),
    "ring_zigzag": plan("ring_zigzag", RING_ZIGZAG, cp=8),
    "usp": plan("usp", (*RING, rule("*", "sp", "seq_len"), rule("*.core", "sp", "heads")), cp=4, sp=2),
    "helix": plan("helix", HELIX, tpa=2, kvp=4),
    "hidden": plan("hidden", (rule("*", "hp", "hidden"),), hp=8),
    "tp_pp": plan("tp_pp", TP, Stages("pp"), pp=2, tp=16),
    "tp_pp_uneven": plan("tp_pp_uneven", TP, Stages("pp", (1, 3)), pp=2, tp=4),
}


def logical(model: Model = MOE, **sizes: int) -> ModuleOp:
    """The logical module, with sizes bound as in `SIZES` unless given."""
    module = build(model)
    annotate(module, sizes=sizes_of(module).bind(**(sizes or SIZES)))
    return module


@lru_cache(maxsize=64)
def _lowered(plan: Plan, model: Model, bound: bool) -> ModuleOp:
    module = logical(model) if bound else build(model)
    annotate(module, plan=plan)
    return lower(module)


def lowered(name: str, model: Model = MOE, bound: bool = True) -> ModuleOp:
    """A fresh copy of the model lowered by the plan of this name."""
    return _lowered(PLANS[name], model, bound).clone()


def at(module: ModuleOp, path: str, kind: str = "") -> Operator:
    """The first operator at a path: the computation, or the move of this kind."""
    found = (op for op in module.walk() if isinstance(op, Operator) and op.path.data == path)
    return next(op for op in found if (op.name == f"dag.{kind}" if kind else not isinstance(op, Mover)))


def bypass(op: Operator) -> None:
    """Take an operator out: its users read its first operand."""
    op.out.replace_all_uses_with(op.operands[0])
    op.detach()
    op.erase()


def give(op: Operator, **layout: object) -> Tensor:
    """Change the layout of a result: `give(op, heads=("tp",), owes=("tp",), pool="host")`; the new type."""
    tensor = tensor_of(op.out)
    changes = {name: layout.pop(name) for name in ("owes", "pool") if name in layout}
    made = replace(tensor.cut(layout), **changes)  # type: ignore[arg-type]
    retype(op.out, made)
    return made
