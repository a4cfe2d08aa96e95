"""Orders of cuts: laws of the index sets, text that round-trips, strategies that name them, and the moves they make."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import MODELS, SIZES, TP, ZIGZAG, plan, rule
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

from dagc.backends.devices import devices
from dagc.backends.who import Who
from dagc.backends.wording import label_of
from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.frontends.dot.fields import stated
from dagc.frontends.strategy import resolve
from dagc.ir import orders
from dagc.ir.deployment import Experts, Kind, Row
from dagc.ir.dialect import context, parse_module
from dagc.ir.dims import symbol
from dagc.ir.layout import Dim, Tensor
from dagc.ir.module import annotate, sizes_of
from dagc.ir.op import Operator, tensor_of
from dagc.ir.ops.move import Collective, SliceOp
from dagc.ir.plan import Plan
from dagc.ir.plan_type import PlanAttr
from dagc.ir.types import TensorType
from dagc.passes.expand import expand
from dagc.passes.moves import steps
from dagc.pipeline import lower, text_of

NAMED = ("contiguous", "strided", "strided 2", "strided 3", "zigzag")


@st.composite
def one(draw: st.DrawFn, most: int = 4) -> tuple[int, str]:
    """A number of parts and an order that they can have."""
    parts = draw(st.integers(1, most))
    table = draw(st.permutations(range(parts * draw(st.integers(1, 3)))))
    return parts, draw(st.sampled_from((*NAMED, orders.table(table))))


nested = st.lists(one(), min_size=1, max_size=3).map(tuple)


# Index sets.


@settings(max_examples=200, deadline=None)
@given(nested, st.integers(1, 3))
def test_parts_are_equal_and_hold_every_index_once(cuts: orders.Levels, runs: int) -> None:
    size = orders.divisor(cuts) * runs
    held = orders.indices(cuts, size)
    assert held.shape == (prod(parts for parts, _ in cuts), size // prod(parts for parts, _ in cuts))
    assert sorted(held.reshape(-1).tolist()) == list(range(size))


@given(nested, st.integers(1, 40))
def test_a_size_that_cannot_be_cut_so_is_refused(cuts: orders.Levels, size: int) -> None:
    if size % orders.divisor(cuts):
        with pytest.raises(ValueError, match="not cut into"):
            orders.indices(cuts, size)


WHERE = {
    "contiguous": lambda i, part, parts, size: i // (size // parts) == part,
    "strided": lambda i, part, parts, size: i % parts == part,
    "strided 2": lambda i, part, parts, size: i // 2 % parts == part,
    "zigzag": lambda i, part, parts, size: i // (size // (2 * parts)) in (part, 2 * parts - 1 - part),
}


@pytest.mark.parametrize("order", WHERE)
@pytest.mark.parametrize("parts", [2, 3, 4])
def test_a_named_order_is_what_its_name_says(order: str, parts: int) -> None:
    size = 12 * parts
    for part, held in enumerate(orders.indices(((parts, order),), size).tolist()):
        assert held == [i for i in range(size) if WHERE[order](i, part, parts, size)]


def test_a_table_lists_chunks_in_the_order_in_which_they_lie() -> None:
    assert orders.indices(((2, "[3, 0, 2, 1]"),), 8).tolist() == [[6, 7, 0, 1], [4, 5, 2, 3]]


def test_zigzag_gives_every_part_of_a_causal_mask_the_same_work() -> None:
    work = (orders.indices(((4, "zigzag"),), 64) + 1).sum(axis=1)
    assert len(set(work.tolist())) == 1


def test_an_inner_order_is_of_the_indices_of_the_part_it_cuts() -> None:
    outer = orders.indices(((2, "strided"),), 16)
    both = orders.indices(((2, "strided"), (2, "zigzag")), 16).reshape(2, 2, 4)
    for part in range(2):
        assert both[part].tolist() == outer[part][orders.indices(((2, "zigzag"),), 8)].tolist()


@pytest.mark.parametrize("order", [*NAMED, "[3, 0, 2, 1, 7, 5, 6, 4]"])
@pytest.mark.parametrize("sizes", [(2, 2), (2, 4), (4, 2), (2, 2, 2)])
def test_the_sub_axes_of_an_axis_order_together_as_it_does(order: str, sizes: tuple[int, ...]) -> None:
    named = [orders.refined(order, i == 0, prod(sizes[i + 1 :])) for i in range(len(sizes))]
    refined = tuple(zip(sizes, named, strict=True))
    whole = ((prod(sizes), order),)
    assert np.array_equal(orders.indices(refined, 48), orders.indices(whole, 48))


# Text.


@given(nested)
def test_levels_round_trip(cuts: orders.Levels) -> None:
    assert orders.parse(orders.text(cuts)) == cuts


NO_ORDERS = (
    *("4", "zigzag", "0 zigzag", "4 zigzak", "4 zigzag 2", "2 [0, 0]", "4 [1, 0]", "2 zigzag /", "2 strided 0"),
    *("2  strided", "2 [0,1]", "2 [-1, 0]", "-2 strided", "2 strided 1e9"),
)


@pytest.mark.parametrize("said", NO_ORDERS)
def test_what_is_no_order_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="not an order"):
        orders.parse(said)


@given(st.lists(st.tuples(st.sampled_from(("dp", "cp", "tp.0", "tp.1")), one()), max_size=3, unique_by=lambda c: c[0]))
def test_types_round_trip(cuts: list[tuple[str, tuple[int, str]]]) -> None:
    made = Dim("seq_len", symbol("S"), tuple(orders.cut(axis, order) for axis, (_, order) in cuts))
    tensor = Tensor((made, Dim("hidden", symbol("H"))), "bf16", ("ep",), "all")
    assert Parser(context(), str(TensorType(tensor))).parse_attribute() == TensorType(tensor)
    assert made.axes == tuple(axis for axis, _ in cuts)


def test_plans_round_trip() -> None:
    made = plan((rule("*", "cp", "heads", seq_len="zigzag"), rule("*.experts", "cp", experts="[3, 0, 2, 1]")), cp=2)
    text = str(PlanAttr(made))
    assert "cp cuts [heads, seq_len zigzag]" in text
    assert "cp cuts [experts [3, 0, 2, 1]]" in text
    assert Parser(context(), text).parse_attribute() == PlanAttr(made)


@pytest.mark.parametrize("cut", ["cp zigzak", "cp strided 0", "cp [0, 2]", "cp []", "cp [true]", "cp zigzag 2"])
def test_a_type_in_no_order_names_its_line(cut: str) -> None:
    text = f'builtin.module {{\n  %w = dag.weight() at "w" : -> !dag.tensor<[k = 8 / {cut}], bf16>\n}}'
    with pytest.raises(Refused) as refusal:
        parse_module(text, "m.mlir")
    assert [(d.code, d.where) for d in refusal.value.diagnostics] == [("syntax", "m.mlir:2")]


# Strategies.


def strategy(folder: Path, cut: str) -> Plan:
    file = folder / "mine.yaml"
    file.write_text(f"mesh: {{cp: 4}}\nrules:\n  - {{at: '*', cut: {{cp: {cut}}}}}\n")
    return resolve(str(file), gpus=4)


@pytest.mark.parametrize(
    ("cut", "cuts", "named"),
    [
        ("{seq_len: zigzag}", ("seq_len",), {"seq_len": "zigzag"}),
        ("{heads: contiguous, seq_len: strided}", ("heads", "seq_len"), {"seq_len": "strided"}),
        ("{experts: [3, 0, 2, 1]}", ("experts",), {"experts": "[3, 0, 2, 1]"}),
        ("[heads, seq_len]", ("heads", "seq_len"), {}),
        ("~", (), {}),
    ],
)
def test_a_strategy_names_orders(tmp_path: Path, cut: str, cuts: tuple[str, ...], named: dict[str, str]) -> None:
    (made,) = strategy(tmp_path, cut).rules
    assert (made.cuts, dict(made.orders)) == (cuts, named)


@pytest.mark.parametrize(
    ("cut", "code", "says"),
    [
        ("{seq_len: zigzak}", "order", "did you mean zigzag?"),
        ("{seq_len: 'zigzag 3'}", "order", "which zigzag has not"),
        ("{experts: [0, 1, 1, 3]}", "order", "each of 0 to 3 once"),
        ("{experts: []}", "order", "a table such as"),
        ("{seq_len: 7}", "wrong-type", "a table of chunks"),
        ("{seq_len: [[1]]}", "wrong-type", "a table of chunks"),
        ("{seqlen: zigzag}", "rule", "did you mean seq_len?"),
        ("{}", "wrong-type", "a mapping of names to orders"),
    ],
)
def test_a_wrong_order_is_a_diagnostic(tmp_path: Path, cut: str, code: str, says: str) -> None:
    with pytest.raises(Refused) as refusal:
        strategy(tmp_path, cut)
    (found,) = refusal.value.diagnostics
    assert (found.code, found.where) == (code, f"{tmp_path}/mine.yaml:3")
    assert says in str(found)


def lowered(model: str, made: Plan, **sizes: int) -> ModuleOp:
    module = build(MODELS[model])
    annotate(module, plan=made, sizes=sizes_of(module).bind(**(SIZES | sizes)))
    return lower(module)


def refused(model: str, made: Plan, **sizes: int) -> str:
    with pytest.raises(Refused) as refusal:
        lowered(model, made, **sizes)
    assert {found.code for found in refusal.value.diagnostics} <= {"order", "rule"}
    return str(refusal.value)


def test_two_chunks_a_part_must_divide_the_sequence() -> None:
    said = refused("dense", plan(ZIGZAG, cp=4), S=12)
    assert "cuts seq_len = 12 into 8 equal chunks" in said
    assert "expected: seq_len a multiple of 8" in said


def test_a_table_must_have_chunks_for_every_part() -> None:
    assert "4 parts do not share equally" in refused("dense", plan((rule("*", "cp", seq_len="[2, 0, 1]"),), cp=4))


def test_rows_of_tokens_in_an_order_are_no_run_of_all_rows() -> None:
    """Tokens arrive at the experts whole; those of a strided part do not lie together."""
    rules = (rule("*.experts", "ep", batch_size="strided"), rule("*.attention", "ep", "heads"))
    assert "do not lie together" in refused("moe", plan(rules, ep=2))
    assert lowered("moe", plan((rule("*.experts", "ep", "batch_size"), rules[1]), ep=2))


def test_routed_rows_are_given_no_order() -> None:
    rules = (rule("*", "ep", "batch_size"), rule("*.experts", "ep", expert_tokens="zigzag"))
    assert "routed rows lie in any order" in refused("moe", plan(rules, ep=2))


# Moves.


def tensor(**cuts: str) -> Tensor:
    return Tensor(tuple(Dim(n, symbol(n), tuple(filter(None, c.split(" / ")))) for n, c in cuts.items()), "bf16")


@pytest.mark.parametrize(
    ("have", "need", "expected"),
    [
        (tensor(seq_len="cp zigzag"), tensor(seq_len="cp zigzag"), []),
        (tensor(seq_len="cp zigzag"), tensor(seq_len=""), ["all_gather"]),
        (tensor(seq_len="cp zigzag"), tensor(seq_len="cp"), ["all_gather", "slice"]),
        (tensor(seq_len="dp / cp zigzag"), tensor(seq_len="dp / cp"), ["all_gather", "slice"]),
        (tensor(seq_len="cp zigzag", heads=""), tensor(seq_len="", heads="cp"), ["all_to_all"]),
        (tensor(seq_len="dp / cp zigzag", heads=""), tensor(seq_len="", heads="dp strided / cp"), ["all_to_all"]),
    ],
)
def test_another_order_is_another_cut(have: Tensor, need: Tensor, expected: list[str]) -> None:
    found = steps(have, need)
    assert [step.kind for step in found] == expected
    assert (found[-1].after if found else have) == need


def said(module: ModuleOp, path: str) -> list[tuple[str, str, str]]:
    """What the moves behind a path state: their axes and orders."""
    moves = [op for op in module.walk() if isinstance(op, Collective | SliceOp) and op.path.data == path]

    def text(op: Operator, name: str) -> str:
        return str(op.properties.get(name, "")).strip('"')

    return [(text(op, "axes"), text(op, "order"), text(op, "to_order")) for op in moves]


def test_collectives_state_the_orders_they_apply() -> None:
    ulysses = plan((rule("*", "sp", seq_len="zigzag"), rule("*.core", "sp", heads="[1, 0]")), sp=2)
    module = lowered("dense", ulysses)
    assert said(module, "layers.attention.q_rope") == [('["sp"]', "2 zigzag", "2 [1, 0]")]
    assert said(module, "layers.attention.core.context") == [('["sp"]', "2 [1, 0]", "2 zigzag")]
    assert not any("order" in name for op in lowered("dense", plan(TP, tp=2)).walk() for name in op.properties)


def test_a_lowered_module_survives_the_text() -> None:
    module = lowered("moe", plan((*ZIGZAG, rule("*.experts", "cp", experts="strided")), cp=4))
    text = text_of(module)
    assert 'order = "4 zigzag"' in text
    assert text_of(parse_module(text)) == text


def kv_cuts(order: str, **axes: int) -> set[tuple[str, ...]]:
    """How KV heads are cut where heads are cut in an order by tp."""
    module = lowered("pattern", plan((rule("*", "tp", "ffn", "vocab", heads=order),), **axes))
    found = [op for op in module.walk() if isinstance(op, Operator) and op.path.data.endswith("k_proj")]
    return {tensor_of(op.out).dim("kv_heads").cuts for op in found}


def test_what_follows_in_groups_follows_whole_runs() -> None:
    assert kv_cuts("zigzag", tp=2) == {("tp zigzag",)}
    assert kv_cuts("[1, 0]", tp=2) == {("tp [1, 0]",)}
    assert kv_cuts("strided", tp=2) == {()}


# What each GPU is said to hold.


def test_ranges_of_parts_that_are_no_run() -> None:
    made = plan((rule("*", "tp", heads="zigzag", ffn="strided", vocab="[1, 0]"),), tp=2)
    assert held(made, ".q_proj.weight", "heads") == [[[0, 1], [3, 4]], [[1, 3]]]
    assert held(made, ".ffn.up_proj.weight", "ffn") == [[[0, 11, 2]], [[1, 12, 2]]]
    assert held(made, "embed.weight", "vocab") == [[[12, 24]], [[0, 12]]]


def held(made: Plan, weight: str, name: str) -> list[list[object]]:
    """What each GPU is said to hold of a weight along a dimension."""
    module = lowered("pattern", made)
    found = [entry["weights"] for entry in devices(module, expand(module, "pattern"))]
    return [next(dims for path, dims in weights.items() if path.endswith(weight))[name] for weights in found]


def test_experts_are_named_as_they_lie() -> None:
    held = orders.indices(((2, "[3, 0, 2, 1]"),), 8)
    experts = Experts(np.array([0, 1, 1]), held)
    assert list(experts) == ["experts 6-7, 0-1", "experts 4-5, 2-3", "experts 4-5, 2-3"]
    assert experts.ends == ("expert 0", "expert 7")
    assert list(experts.only(1)) == ["expert 7", "expert 5", "expert 5"]


@pytest.mark.parametrize(
    ("lines", "experts"),
    [
        (("experts 4-7",), {4, 5, 6, 7}),
        (("expert 0 … expert 3",), {0, 1, 2, 3}),
        (("experts 6-7, 0-1",), {6, 7, 0, 1}),
        (("experts 14, 3-4,", "9"), {14, 3, 4, 9}),
    ],
)
def test_drawn_experts_are_read_as_they_lie(lines: tuple[str, ...], experts: set[int]) -> None:
    assert stated(("Expert up projection", *lines, "Input: [experts=4, hidden=8]"))[0].experts == experts


def test_of_equally_long_lines_the_first_measures_the_node() -> None:
    """Else the width of a node, and with it the file, would follow the hashes of texts."""
    spread = [f"expert {number}" for number in "2013"]
    row = Row(0, "up_proj", "up", Kind.COMPUTE, "up", np.arange(4)[:, None], (), (), spread=spread)
    gpus = list(map(str, range(4)))
    people = Who(gpus, gpus, gpus)
    assert "expert 2" in label_of(row, people, 40, merged=False).lines
