"""The third layer of defence: every layout and every debt that an operator does not allow is refused."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from plans import PLANS, at, bypass, give, logical, lowered
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.rewriter import InsertPoint, Rewriter

from dagc.ir.module import annotate
from dagc.ir.op import attribute, retype, tensor_of
from dagc.ir.ops.move import AllReduceOp, MoveOp
from dagc.ir.ops.program import RepeatOp
from dagc.passes.place import PlacePass
from dagc.passes.shard import ShardPass
from dagc.passes.verify import verify_module
from dagc.passes.verify.layouts import check

CORE = "layers.attention.core"
LSE_OF_LAYER = "attention.core.softmax.lse"
LSE = f"layers.{LSE_OF_LAYER}"
Break = Callable[[ModuleOp], object]


def unpaid(module: ModuleOp) -> None:
    bypass(at(module, "layers.attention.o_proj", "all_reduce"))


def unpaid_lse(module: ModuleOp) -> None:
    bypass(at(module, LSE, "all_reduce"))


def unpaid_shared_expert(module: ModuleOp) -> None:
    """The routed experts are summed before the shared one is added: full + partial."""
    op = at(module, "layers.moe.combine")
    made = AllReduceOp.of(op.out, path=op.path.data, axes=("tp",), out=replace(tensor_of(op.out), owes=()))
    uses = list(op.out.uses)
    Rewriter.insert_op(made, InsertPoint.after(op))
    for use in uses:
        use.operation.operands[use.index] = made.out


def twice(module: ModuleOp) -> None:
    op = at(module, "layers.attention.o_proj", "all_reduce")
    made = AllReduceOp.of(op.out, path=op.path.data, axes=("tp",), out=tensor_of(op.out))
    Rewriter.insert_op(made, InsertPoint.after(op))
    op.out.replace_uses_with_if(made.out, lambda use: use.operation is not made)


def carried_debt(module: ModuleOp) -> None:
    repeat = next(op for op in module.ops if isinstance(op, RepeatOp))
    for value in (repeat.init, repeat.body.block.args[0], repeat.yielded, repeat.out):
        retype(value, replace(tensor_of(value), owes=("tp",)))


def nonlinear(module: ModuleOp) -> None:
    give(at(module, f"{CORE}.scale"), owes=("tp",))


def owed_and_cut(module: ModuleOp) -> None:
    """A partial value is scaled together with values cut by the axis it owes."""
    give(at(module, "layers.attention.q_norm"), owes=("tp",))


def to(path: str, kind: str = "", **layout: object) -> Break:
    """Give the operator's result another layout."""
    return lambda module: give(at(module, path, kind), **layout)


def put(path: str, kind: str, **texts: str) -> Break:
    """Give a move of a layer other properties."""
    changes = {name: StringAttr(text) for name, text in texts.items()}
    return lambda module: at(module, f"layers.{path}", kind).properties.update(changes)


def over(name: str, kind: str, *axes: str) -> Break:
    """Let a move of the attention run over other axes."""
    change = {"axes": attribute(axes)}
    return lambda module: at(module, f"layers.attention.{name}", kind).properties.update(change)


@dataclass(frozen=True)
class Fault:
    """A plan's lowered module, broken; the code and the words it is to be caught with."""

    plan: str
    code: str
    says: str
    break_: Break


def gate_cut(module: ModuleOp) -> None:
    for path in ("layers.moe.gate", "layers.moe.gate_softmax"):
        give(at(module, path), experts=("cp",), seq_len=())


def diagonal(module: ModuleOp) -> None:
    bypass(at(module, f"{CORE}.k_cache", "all_gather"))
    give(at(module, f"{CORE}.scores"), kv_len=("cp",))


def host_norm(module: ModuleOp) -> None:
    op = at(module, "final_norm")
    for value in (*op.operands, op.out):
        retype(value, replace(tensor_of(value), pool="host"))


FAULTS = {
    # debts
    "no all-reduce": Fault("tp", "unpaid", "add mixes full and partial", unpaid),
    "full + partial": Fault("tp", "unpaid", "add mixes full and partial", unpaid_shared_expert),
    "into a nonlinear operator": Fault("tp", "unpaid", "mask is not linear there", nonlinear),
    "dropped by a type": Fault("tp", "unpaid", "its type drops", to("layers.attention.o_proj", owes=())),
    "carried": Fault("tp", "unpaid", "the carried value owes", carried_debt),
    "gathered": Fault("tp", "unpaid", "gather: joins values that owe", to("head", owes=("tp",), vocab=())),
    "in the output": Fault("tp", "unpaid", "the total value owes", to("output", owes=("tp",))),
    "different": Fault("ep_tp", "unpaid", "joins different debts", to("layers.moe.combine", owes=("ep", "tp"))),
    "over an axis that cuts": Fault("tp", "unpaid", "heads is cut by an axis still owed", owed_and_cut),
    "from nowhere": Fault("tp", "layout", "does not leave", to("layers.attention.q_norm", owes=("tp",), heads=())),
    # paying
    "reduced twice": Fault("tp", "layout", "reduces over tp, but no sum is owed", twice),
    "another axis": Fault("ep_tp", "layout", "reduces over ep, but no sum", over("o_proj", "all_reduce", "ep")),
    "over nothing": Fault("tp", "layout", "runs over nothing", over("o_proj", "all_reduce")),
    # kinds of debts
    "lse into an operator": Fault("split_kv", "unpaid", "takes no operand that owes a log-sum-exp", unpaid_lse),
    "lse called a sum": Fault("split_kv", "unpaid", "owes a log-sum-exp over cp, which", to(LSE, owes=("cp",))),
    "sum called an lse": Fault(
        "hidden", "layout", "the type owes a log-sum-exp over hp", to("layers.ffn_norm.mean_square", owes=("hp lse",))
    ),
    "lse added up": Fault(
        "split_kv", "layout", "merges by a sum what owes a log-sum-exp", put(LSE_OF_LAYER, "all_reduce", merge="sum")
    ),
    "sum merged as an lse": Fault(
        "hidden",
        "layout",
        "merges by a log-sum-exp what owes a sum",
        put("ffn_norm.mean_square", "all_reduce", merge="lse"),
    ),
    "two kinds": Fault("dp_tp", "layout", "debts of two kinds", to(f"{CORE}.scale", owes=("dp", "tp lse"))),
    # names
    "whole name cut": Fault("cp", "layout", "experts must be whole, but is cut by cp", gate_cut),
    "operands disagree": Fault(
        "tp", "layout", "the result has heads cut by tp", to("layers.attention.q_proj.weight", heads=())
    ),
    "contraction disagrees": Fault(
        "tp", "layout", "operand 1 has hidden cut by tp", to("layers.attention.q_proj.weight", hidden=("tp",))
    ),
    "only the diagonal": Fault("cp", "layout", "axis cp cuts seq_len and kv_len", diagonal),
    "kv_heads cut too little": Fault("tp", "layout", "asks for tp", to(f"{CORE}.k_cache", kv_heads=())),
    "kv_heads cut too far": Fault("tp_pp", "layout", "asks for tp.0", to(f"{CORE}.k_cache", kv_heads=("tp.0", "tp.1"))),
    "rows and tokens": Fault("cp", "layout", "asks for cp", to("layers.moe.dispatch", expert_tokens=())),
    "counts and rows": Fault("cp", "layout", "sources is cut by nothing", to("layers.moe.dispatch.count", sources=())),
    # types
    "no such axis": Fault("tp", "layout", "axis xp is none", to("layers.attention.q_proj", heads=("xp",))),
    "the stage axis": Fault("tp_pp", "layout", "axis pp is none", to("layers.attention.q_proj.weight", hidden=("pp",))),
    "an axis twice": Fault("tp", "layout", "tp appears twice", to("layers.attention.q_proj.weight", d_k=("tp",))),
    "no such pool": Fault("tp", "layout", "there is no pool stage7", to("layers.attention.q_proj", pool="stage7")),
    "two pools": Fault("tp_pp", "layout", "are on stage0 and stage1", to("layers.attention.q_proj", pool="stage1")),
    "on the host": Fault("tp", "layout", "computes on the host", host_norm),
    "output on a GPU": Fault("tp", "layout", "not whole on the host", to("output", pool="all")),
    "input in parts": Fault("dp_tp", "layout", "not a whole value on the host", to("input", batch_size=("dp",))),
    # moves
    "gather another dim": Fault("tp_sp", "layout", "joins hidden over tp", put("ffn_norm", "all_gather", dim="hidden")),
    "gather no dim": Fault("tp_sp", "layout", "no dimension heads", put("ffn_norm", "all_gather", dim="heads")),
    "gather, still cut": Fault(
        "tp_sp", "layout", "all-gather does not make this", to("layers.ffn_norm", "all_gather", seq_len=("tp",))
    ),
    "scatter another dim": Fault(
        "tp_sp", "layout", "reduce-scatter does not make this", put("attention.o_proj", "reduce_scatter", dim="hidden")
    ),
    "scatter over a used axis": Fault(
        "tp_sp", "layout", "cuts seq_len by tp, which is in use", to("layers.attention.o_proj", hidden=("tp",))
    ),
    "exchange backwards": Fault(
        "ep", "layout", "joins experts over ep", put("moe.dispatch", "all_to_all", dim="experts", to="expert_tokens")
    ),
    "exchange elsewhere": Fault(
        "ep", "layout", "all-to-all does not make this", put("moe.dispatch", "all_to_all", to="hidden")
    ),
    "slice another dim": Fault(
        "two_level", "layout", "slice does not make this", put("attention.k_rope", "slice", dim="seq_len")
    ),
    "slice over a used axis": Fault("two_level", "layout", "cuts d_k by hg", over("k_rope", "slice", "hg")),
    "transfer to itself": Fault("tp_pp", "layout", "not two pools", to("layers", "transfer", pool="stage0")),
    "transfer owes": Fault("tp_pp", "layout", "transfer does not make this", to("layers", "transfer", owes=("tp.0",))),
    "scatter to the host": Fault("dp_tp", "layout", "stays on the host", to("input", "scatter", pool="host")),
    "gather from the host": Fault("dp_tp", "layout", "gathers from the host", to("head", pool="host")),
    "gather into parts": Fault("tp", "layout", "gather does not make this", to("head", "gather", vocab=("tp",))),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught_by_its_law(name: str) -> None:
    fault = FAULTS[name]
    module = lowered(fault.plan)
    assert not check(module)
    fault.break_(module)
    said = [diagnostic.problem for diagnostic in check(module) if diagnostic.code == fault.code]
    assert any(fault.says in problem for problem in said), said


def test_a_finding_says_what_to_do() -> None:
    module = lowered("tp")
    unpaid(module)
    (found,) = verify_module(module).diagnostics
    assert found.where == "layers.attention_residual"
    assert found.problem == "add mixes full and partial values: operand 1 owes a sum over tp"
    assert "all-reduce" in found.hint


def test_a_move_begins_no_debt() -> None:
    module = logical()
    annotate(module, plan=PLANS["tp"])
    for step in (PlacePass(), ShardPass()):
        step.apply(Context(), module)
    assert not check(module)
    move = next(op for op in module.walk() if isinstance(op, MoveOp) and tensor_of(op.operands[0]).owes)
    before = tensor_of(move.operands[0])
    retype(move.operands[0], replace(before, owes=()))
    retype(move.out, before)
    assert any("begins to owe" in diagnostic.problem for diagnostic in check(module))


def test_a_logical_module_has_no_layouts() -> None:
    assert not check(logical())
