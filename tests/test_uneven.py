"""Parts that are not equal: who gets how much, text that round-trips, refusals, figures, meaning on every GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import DP_UNEVEN, KV_CORE, MODELS, PLANS, RING, SIZES, plan, pooled, rule
from xdsl.dialects.builtin import ModuleOp

from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.frontends.strategy import resolve
from dagc.ir import orders
from dagc.ir.dialect import parse_module
from dagc.ir.module import annotate, sizes_of
from dagc.ir.plan import Plan
from dagc.passes.apart import apart
from dagc.passes.expand import expand
from dagc.passes.measure import measure
from dagc.passes.verify import verify
from dagc.pipeline import lower, text_of

DENSE = ("dp uneven", "dp uneven, pp", "dp uneven×ring", "dp listed×tp", "cp listed", "tp, ffn and vocab uneven",
         "split kv uneven")  # fmt: skip
PROVEN = [("dense", name) for name in DENSE] + [("moe", name) for name in ("dp uneven×ring", "cp listed", "ep uneven")]


def undivided(model: str, **sizes: int) -> ModuleOp:
    module = build(MODELS[model])
    annotate(module, sizes=sizes_of(module).bind(**(SIZES | sizes)))
    return module


def lowered(model: str, made: Plan, **sizes: int) -> ModuleOp:
    module = undivided(model, **sizes)
    annotate(module, plan=made)
    return lower(module)


@given(st.integers(1, 12), st.integers(0, 40))
def test_units_are_dealt_as_evenly_as_can_be(parts: int, more: int) -> None:
    units = parts + more
    whole, held = orders.portions(((parts, orders.uneven(units)),))
    sizes = held * units // whole
    assert sizes.sum() == units
    assert np.ptp(sizes) <= 1
    assert (np.diff(sizes) <= 0).all()


@pytest.mark.parametrize("cuts", [((4, "uneven 10"),), ((3, "(5, 3, 2)"),), ((2, "uneven 5"), (2, "zigzag"))])
def test_parts_hold_every_index_once(cuts: orders.Levels) -> None:
    size = orders.divisor(cuts) * 2
    assert sorted(np.concatenate(orders.pieces(cuts, size)).tolist()) == list(range(size))
    assert orders.parse(orders.text(cuts)) == cuts


@pytest.mark.parametrize(("model", "name"), PROVEN)
def test_unequal_parts_are_proven_also_from_text(model: str, name: str) -> None:
    module = lowered(model, PLANS[name])
    again = parse_module(text_of(module))
    assert text_of(again) == text_of(module)
    assert not verify(again, undivided(model), expand(again, model), sizes_of(again)).diagnostics


def test_a_gpu_is_measured_by_what_it_holds() -> None:
    """Of 10 sequences over 4 GPUs two have 3 and two have 2."""
    even, uneven = (measure(lowered("dense", plan(DP_UNEVEN, dp=dp), B=10)) for dp in (5, 4))
    assert [kind["gpus"] for kind in uneven["classes"]] == ["0-1", "2-3"]
    more, less = (kind["flops"] for kind in uneven["classes"])
    assert less == even["classes"][0]["flops"]
    assert more == less * 3 // 2


def test_collectives_count_what_each_member_sends() -> None:
    """An all-gather of 5 and 3 tokens: the first sends more than the second."""
    module = lowered("dense", PLANS["cp listed"])
    gathers = [row.move for row in expand(module, "dense").rows if row.move and row.move.collective == "all-gather"]
    assert gathers
    assert all(move.least is not None and move.elements * 3 == move.least * 5 for move in gathers)


def test_what_divides_is_cut_equally() -> None:
    assert "uneven" not in text_of(lowered("dense", plan(DP_UNEVEN, dp=2))).split("dag.plan", 1)[1].split("\n", 1)[1]


def test_a_strategy_lists_sizes(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mesh: {dp: 2}\nrules:\n  - {at: '*', cut: {dp: {batch_size: {sizes: [3, 1]}}}}\n")
    (made,) = resolve(str(file), gpus=2).rules
    assert dict(made.orders) == {"batch_size": "(3, 1)"}


CORE_APART = {"*": "a", "*.core": "f", "*.k_cache *.v_cache": "a"}
TWO_POOLS = pooled((*DP_UNEVEN, rule("*", "fp", "seq_len")), CORE_APART, a={"dp": 3}, f={"fp": 2})
REFUSED = {
    "fewer units than parts": (plan(DP_UNEVEN, dp=5), "deals 4 units to 5 parts"),
    "sizes that do not add up": (plan((rule("*", "dp", batch_size="(3, 2)"),), dp=2), "list sizes that add up to 5"),
    "sizes of other parts": (plan((rule("*", "dp", batch_size="(3, 1)"),), dp=3), "lists the sizes of 2 parts, of 3"),
    "a ring of unequal parts": (
        plan((rule("*", "cp", seq_len="(5, 3)"), rule("*.core", "cp", seq_len="(5, 3)", kv_len="ring (5, 3)")), cp=2),
        "lets parts pass by that are not equal",
    ),
    "a ring inside of unequal parts": (
        plan((rule("*.core", "dp", kv_len="(5, 3)"), rule("*.core", "cp", kv_len="ring")), dp=2, cp=2),
        "would pass by in time",
    ),
    "parts that are merged later": (
        plan((*RING[:1], rule(KV_CORE, "cp", "kv_parts", kv_len="uneven")), cp=3),
        "are not equal",
    ),
    "other parts on another pool": (TWO_POOLS, "is needed in other parts on f"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_unequal_is_refused(name: str) -> None:
    made, says = REFUSED[name]
    with pytest.raises(Refused) as refusal:
        lowered("dense", made)
    assert {found.code for found in refusal.value.diagnostics} <= {"order", "indivisible"}
    assert says in str(refusal.value)


def test_unequal_parts_need_a_size() -> None:
    module = build(MODELS["dense"])
    annotate(module, plan=plan(DP_UNEVEN, dp=3))
    with pytest.raises(Refused, match="needs its size as a number"):
        lower(module)


@pytest.mark.parametrize("order", ["uneven 8", "(5, 3)"])
def test_text_does_not_let_unequal_parts_pass_by(order: str) -> None:
    text = text_of(lowered("dense", PLANS["ring"])).replace("/ cp ring", f"/ cp ring {order}")
    with pytest.raises(Refused, match="lets parts pass by that are not equal"):
        parse_module(text)


def test_experts_of_unequal_parts_are_not_drawn_apart() -> None:
    with pytest.raises(Refused, match="leave --per-expert out"):
        apart(expand(lowered("moe", PLANS["ep uneven"]), "moe"))
    whole = expand(lowered("dense", PLANS["dp uneven"]), "dense")
    assert apart(whole) is whole
