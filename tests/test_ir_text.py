"""Modules as text: what is wrong in it is a diagnostic with its line, what is right round-trips."""

from __future__ import annotations

import pytest

from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.frontends.catalogue import find_model
from dagc.frontends.strategy import resolve
from dagc.ir.dialect import parse_module
from dagc.ir.module import annotate
from dagc.pipeline import text_of


@pytest.mark.parametrize("model", ["mixtral-8x7b", "llama-3.1-8b", "qwen1.5-moe-a2.7b", "moe-16x16"])
def test_a_module_round_trips_with_its_locations(model: str) -> None:
    text = text_of(build(find_model(model)))
    assert "loc(" in text
    assert text_of(parse_module(text)) == text


@pytest.mark.parametrize(
    "dims",
    [
        "[k = ceildiv(B, 0)]",
        "[k = ceildiv(B)]",
        "[k]",
        "[k = 4 /]",
        "[k = __import__(4)]",
        "[k = 4], complex",
        "[k = 4], bf16, owes max over [tp]",
    ],
)
def test_a_wrong_type_names_its_line(dims: str) -> None:
    text = f'builtin.module {{\n  %w = dag.weight() at "w" : -> !dag.tensor<{dims}, bf16>\n}}'
    with pytest.raises(Refused) as refusal:
        parse_module(text, "m.mlir")
    (found,) = refusal.value.diagnostics
    assert (found.code, found.where) == ("syntax", "m.mlir:2")


@pytest.mark.parametrize(
    "rest",
    ["bf16, owes sum over [tp, cp], on all", "bf16, owes lse over [cp]", "f32, owes lse over [a], owes sum over [b]"],
)
def test_a_type_round_trips(rest: str) -> None:
    text = f'builtin.module {{\n  %w = dag.weight() at "w" : -> !dag.tensor<[k = 4 / tp zigzag], {rest}>\n}}'
    assert f"[k = 4 / tp zigzag], {rest}>" in text_of(parse_module(text))


def test_a_plan_round_trips_with_how_weights_are_stored() -> None:
    module = build(find_model("llama-3.1-8b"))
    annotate(module, plan=resolve("fsdp=4,tp=2,pp=2", gpus=16))
    text = text_of(module)
    assert '["*"] : fsdp cuts [hidden, ffn' in text
    assert text_of(parse_module(text)) == text


def test_any_xdsl_tool_reads_the_dialect() -> None:
    from xdsl.universe import Universe

    multiverse = Universe.get_multiverse()
    assert multiverse.all_dialects["dag"]().name == "dag"
    passes = ("place", "split", "shard", "communicate", "tidy")
    assert {name: multiverse.all_passes[name]().name for name in passes} == {name: name for name in passes}
