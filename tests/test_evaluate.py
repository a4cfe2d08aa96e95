"""A deployment computes what the undivided model computes: on every GPU, under every kind of plan.

Small models are lowered by plans of every family and run in float64 with the same weights. Faults put into lowered
modules must be seen; random plans must be refused or right.
"""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from small_models import CP, EP, EP_REPLICATED, LISTED, MODELS, PLANS, SIZES, TP, WEIGHTS, plan, rule
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation, SSAValue

from dagc.diagnostics import Refused
from dagc.frontends.build import build
from dagc.frontends.strategy import resolve
from dagc.ir.dialect import context
from dagc.ir.evaluate import Misplaced, Pieces, evaluate, run
from dagc.ir.module import annotate, layer_of, mesh_of, operators, plain_path, sizes_of
from dagc.ir.op import Operator, attribute, tensor_of
from dagc.ir.ops import COMPUTE
from dagc.ir.ops.linear import GroupedProjectOp
from dagc.ir.ops.moe import CountOp
from dagc.ir.ops.move import AllGatherOp, AllReduceOp, AllToAllOp, GatherOp, ReduceScatterOp, SliceOp
from dagc.ir.ops.program import OutputOp, RepeatOp, WeightOp
from dagc.ir.plan import Plan
from dagc.pipeline import PIPELINE


def cases() -> Iterator[object]:
    for model in MODELS:
        for name, made in PLANS.items():
            if (model, name) == ("dense", "ep replicated"):
                continue
            listed = name == "pp listed"
            yield pytest.param(model, plan((), LISTED[model], pp=2) if listed else made, id=f"{model}-{name}")
    yield pytest.param("dense", plan(TP, "even", pp=3, tp=2), id="dense-pp even")
    yield pytest.param("pattern", plan(TP, (1, 2, 1), pp=3, tp=2), id="pattern-pp inside the pattern")
    yield pytest.param("pattern", resolve("pp-interleaved=2,tp=2", gpus=4), id="pattern-pp interleaved")
    yield pytest.param("pattern", plan((*EP, rule("layers[3].attention", "ep", "heads")), ep=2), id="pattern-layer 3")


def lower(model: str, strategy: Plan, passes: int = len(PIPELINE)) -> ModuleOp:
    """The module after so many of the passes."""
    module = build(MODELS[model])
    annotate(module, plan=strategy, sizes=sizes_of(module).bind(**SIZES))
    for step in PIPELINE[:passes]:
        step.apply(context(), module)
    module.verify()
    return module


@cache
def inputs(model: str) -> dict[str, np.ndarray]:
    rng, shape = np.random.default_rng(0), (SIZES["B"], SIZES["S"])
    made, vocab = MODELS[model], MODELS[model].vocab
    return {"input": rng.integers(0, vocab, shape) if vocab else rng.normal(size=(*shape, made.hidden))}


@cache
def undivided(model: str) -> tuple[ModuleOp, dict[SSAValue, Pieces]]:
    module = build(MODELS[model])
    return module, run(module, inputs(model), WEIGHTS, SIZES)


@cache
def deployed(model: str, strategy: Plan) -> tuple[ModuleOp, dict[SSAValue, Pieces]]:
    module = lower(model, strategy)
    return module, run(module, inputs(model), WEIGHTS)


def result(module: ModuleOp, values: dict[SSAValue, Pieces]) -> np.ndarray:
    (whole,) = values[next(op for op in module.ops if isinstance(op, OutputOp)).out].values()
    return whole.data


def last_rounds(module: ModuleOp) -> dict[tuple[str, int | None], Operator]:
    """Every computation by its path and the last layer it stands for."""
    found = {}
    for op, repeat in operators(module):
        if isinstance(op, COMPUTE):
            first = layer_of(op, repeat)
            last = first if repeat is None or first is None else first + (repeat.count - 1) * repeat.span[2]
            found[plain_path(op.path.data), last] = op
    return found


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("model", "strategy"), [*cases()])
def test_a_deployment_computes_the_model(model: str, strategy: Plan) -> None:
    whole = result(*undivided(model))
    module, values = deployed(model, strategy)
    assert close(result(module, values), whole)

    gathered = next(op for op in module.ops if isinstance(op, GatherOp)).operands[0]
    assert values[gathered].keys() == set(mesh_of(module).ids(tensor_of(gathered).pool).ravel().tolist())
    for piece in values[gathered].values():
        assert close(piece.data, whole[np.ix_(*piece.held)])


@pytest.mark.parametrize(("model", "strategy"), [*cases()])
def test_every_paid_value_on_every_gpu_is_the_undivided_one(model: str, strategy: Plan) -> None:
    logical, expected = undivided(model)
    module, values = deployed(model, strategy)
    reference, compared = last_rounds(logical), 0
    for key, op in last_rounds(module).items():
        tensor = tensor_of(op.out)
        if key not in reference or tensor.owes or tensor.dtype in ("route", "i32"):
            continue
        if not tensor.logical().same_value(tensor_of(reference[key].out)):
            continue  # over slots, where the model has experts: what comes of them is compared
        (whole,) = expected[reference[key].out].values()
        for piece in values[op.out].values():
            assert close(piece.data, whole.data[np.ix_(*piece.held)]), key
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("passes", range(1, len(PIPELINE)), ids=[step.name for step in PIPELINE[:-1]])
@pytest.mark.parametrize(
    "name", ["tp4, more than kv heads", "ep×tp", "cp, experts over cp", "pp×ep×tp-sp", "split kv×hidden, pp"]
)
def test_every_stage_of_lowering_computes_the_model(name: str, passes: int) -> None:
    module = lower("moe", PLANS[name], passes)
    assert close(evaluate(module, inputs("moe"), WEIGHTS), result(*undivided("moe")))


def test_a_deployment_holds_only_its_slices() -> None:
    """Weights of TP are halves; sums of halves differ in their last bits from the model's, so this is no copy of it."""
    module, values = deployed("dense", PLANS["tp2"])
    for op in module.walk():
        if isinstance(op, WeightOp) and op.path.data == "layers.ffn.up_proj.weight":
            assert [p.data.shape for p in values[op.out].values()] == [(8, 6), (8, 6)]
            assert [p.held[1].tolist() for p in values[op.out].values()] == [[*range(6)], [*range(6, 12)]]
    assert not np.array_equal(result(module, values), result(*undivided("dense")))


def test_layers_have_weights_of_their_own_and_a_tied_head_has_the_embedding() -> None:
    asked: dict[tuple[str, int | None], tuple[int, ...]] = {}

    def weights(key: tuple[str, int | None], shape: tuple[int, ...]) -> np.ndarray:
        asked[key] = shape
        return WEIGHTS(key, shape)

    evaluate(build(MODELS["moe"]), inputs("moe"), weights, SIZES)
    assert {layer for name, layer in asked if name == "layers.moe.experts.down_proj.weight"} == {0, 1, 2}
    assert asked["embed.weight", None] == (24, 8)
    assert not any(name.startswith("head") for name, _ in asked)


def test_experts_are_told_how_many_rows_each_part_of_the_tokens_sends() -> None:
    logical, expected = undivided("moe")
    (whole,) = expected[next(op for op in logical.walk() if isinstance(op, CountOp)).out].values()
    module, values = deployed("moe", PLANS["tokens and experts over both"])
    told = next(op for op in module.walk() if isinstance(op, GroupedProjectOp)).operands[2]
    for piece in values[told].values():
        assert piece.data.shape == (4, 1)
        assert piece.data.sum(axis=0) == whole.data[0, piece.held[1]]


def test_sizes_must_be_numbers() -> None:
    with pytest.raises(ValueError, match="needs numbers"):
        evaluate(build(MODELS["dense"]), inputs("dense"), WEIGHTS, {"B": 4})


# Negative controls: faults in a lowered module are seen.


def wrong(model: str, module: ModuleOp) -> bool:
    """Is the module seen not to compute the model?"""
    try:
        return not close(evaluate(module, inputs(model), WEIGHTS), result(*undivided(model)))
    except Misplaced:
        return True


def drop(op: Operation) -> None:
    """Its operand is used in its place."""
    op.results[0].replace_all_uses_with(op.operands[0])
    op.detach()
    op.erase()


def instead(op: Operation, kind: type[Operator]) -> None:
    """Another move in its place, over the same axes."""
    assert isinstance(op, Operator)
    extra = {name: value for name, value in op.properties.items() if name != "path"}
    made = kind.of(op.operands[0], path=op.path.data, out=tensor_of(op.results[0]), **extra)
    assert op.parent is not None
    op.parent.insert_op_before(made, op)
    op.results[0].replace_all_uses_with(made.out)
    op.detach()
    op.erase()


def reverse_axes(op: Operation) -> None:
    assert isinstance(op, AllToAllOp | AllGatherOp | SliceOp)
    op.axes = attribute(tuple(reversed(op.over)))


def over(axis: str) -> Callable[[Operation], None]:
    def change(op: Operation) -> None:
        assert isinstance(op, AllReduceOp | AllToAllOp | AllGatherOp)
        op.axes = attribute((axis,))

    return change


def twice(op: Operation) -> None:
    """Pays a debt that is paid already."""
    assert isinstance(op, AllReduceOp)
    assert op.parent is not None
    made = AllReduceOp.of(op.out, path=op.path.data, out=tensor_of(op.out), axes=op.over)
    op.parent.insert_op_after(made, op)
    op.out.replace_uses_with_if(made.out, lambda use: use.operation is not made)


def untie(op: Operation) -> None:
    assert isinstance(op, WeightOp)
    op.tied = None


def fewer_rounds(op: Operation) -> None:
    assert isinstance(op, RepeatOp)
    op.properties["last"] = attribute(op.span[1] - 1)


def other_weight(op: Operation) -> None:
    assert isinstance(op, WeightOp)
    op.path = StringAttr(op.path.data.replace("up_proj", "gate_proj"))


def is_a(kind: type[Operation], over: tuple[str, ...] | None = None) -> Callable[[Operation], bool]:
    return lambda op: isinstance(op, kind) and (over is None or op.over == over)  # type: ignore[attr-defined]


BOTH = ("dp", "sp")
FAULTS = {
    "no all-reduce": ("dense", "tp2", is_a(AllReduceOp), drop),
    "no all-reduce after experts": ("moe", "ep replicated", is_a(AllReduceOp), drop),
    "all-reduce over the other axis": ("dense", "dp×cp×tp", is_a(AllReduceOp), over("dp")),
    "all-reduce twice": ("dense", "tp2", is_a(AllReduceOp), twice),
    "reduce-scatter without the sum": ("dense", "tp-sp", is_a(ReduceScatterOp), lambda op: instead(op, SliceOp)),
    "slice that adds": ("dense", "some layers otherwise", is_a(SliceOp), lambda op: instead(op, ReduceScatterOp)),
    "all-gather that adds": ("dense", "tp-sp", is_a(AllGatherOp), lambda op: instead(op, AllReduceOp)),
    "no all-gather": ("dense", "cp", is_a(AllGatherOp), drop),
    "no slice": ("dense", "some layers otherwise", is_a(SliceOp), drop),
    "no all-to-all": ("moe", "ep", is_a(AllToAllOp), drop),
    "all-to-all over swapped axes": ("dense", "ulysses", is_a(AllToAllOp, ("sp.0", "sp.1")), reverse_axes),
    "all-to-all to swapped experts": ("moe", "tokens and experts over both", is_a(AllToAllOp, BOTH), reverse_axes),
    "all-to-all over the other axis": ("moe", "cp×ep", is_a(AllToAllOp, ("ep",)), over("cp")),
    "all-gather over swapped axes": ("dense", "tp-sp", is_a(AllGatherOp), reverse_axes),
    "untied head": ("moe", "tp2", lambda op: isinstance(op, WeightOp) and op.tied is not None, untie),
    "a layer too few": ("dense", "tp2", is_a(RepeatOp), fewer_rounds),
    "another layer's weight": (
        "dense", "tp2", lambda op: isinstance(op, WeightOp) and "up_proj" in op.path.data, other_weight,
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_any_one_place_is_seen(fault: str) -> None:
    model, name, suits, breaks = FAULTS[fault]
    places = sum(map(suits, lower(model, PLANS[name]).walk()))
    assert places, "the plan has no place for this fault"
    for place in range(places):
        module = lower(model, PLANS[name])
        breaks([op for op in module.walk() if suits(op)][place])
        assert wrong(model, module), place


# Random plans are refused or right.

NAMES = ["batch_size", "seq_len", "kv_len", "heads", "kv_heads", "d_k", "hidden", "ffn", "vocab", "experts",
         "expert_tokens"]  # fmt: skip
USUAL = [("heads", "ffn", "vocab"), ("batch_size",), ("seq_len",), ("experts",), ("heads",), ("ffn",), ()]
CUTS = st.sampled_from(USUAL) | st.lists(st.sampled_from(NAMES), max_size=3, unique=True)
PLACES = ["*", "*.attention", "*.core", "*.o_proj", "*.softmax", "*.ffn", "*.ffn_norm", "*.moe", "*.gate", "*.experts",
          "*.down_proj", "*.shared_expert", "embed", "head", "layers[0-1]", "layers[1].attention", "layers[2].moe",
          "*.dispatch *.experts *.combine"]  # fmt: skip
"""Dispatch and combine only together: rows leave the experts cut as they came."""


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """One to three axes of at most 8 GPUs, each with a rule everywhere, and up to two rules that override somewhere."""
    sizes = draw(st.sampled_from([(2,), (4,), (3,), (2, 2), (2, 4), (4, 2), (2, 3), (2, 2, 2)]))
    axes = dict(zip("abc", sizes, strict=False))
    rules = [rule("*", axis, *draw(CUTS)) for axis in axes]
    overrides = st.tuples(st.sampled_from(PLACES), st.sampled_from([*axes]), CUTS)
    rules += [rule(at, axis, *cuts) for at, axis, cuts in draw(st.lists(overrides, max_size=2))]
    staged = draw(st.booleans()) and draw(st.booleans())
    return plan(tuple(rules), "uneven" if staged else "", **({"pp": 2} if staged else {}), **axes)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([*MODELS]), plans())
def test_a_random_plan_is_refused_or_right(model: str, strategy: Plan) -> None:
    try:
        module = lower(model, strategy)
    except Refused as refused:
        event(f"refused: {refused.diagnostics[0].code}")
        return
    event("lowered")
    assert close(evaluate(module, inputs(model), WEIGHTS), result(*undivided(model)))


def test_rows_are_not_cut_outside_of_what_cuts_them_already() -> None:
    rules = (*CP, rule("*", "tp", "batch_size"), rule("*.dispatch", "tp", "ffn"))
    with pytest.raises(Refused) as refusal:
        lower("moe", plan(rules, cp=2, tp=2))
    assert "do not lie together" in str(refusal.value)


def test_tokens_cut_otherwise_at_dispatch_than_at_combine_are_refused() -> None:
    with pytest.raises(Refused):
        evaluate(lower("moe", plan((*CP, rule("*.dispatch", "cp")), cp=2)), inputs("moe"), WEIGHTS)


@pytest.mark.parametrize(("model", "rules"), [("dense", EP_REPLICATED), ("moe", ())])
def test_an_axis_that_cuts_nothing_is_refused(model: str, rules: tuple) -> None:
    with pytest.raises(Refused) as refusal:
        lower(model, plan(rules, ep=4))
    assert [d.code for d in refusal.value.diagnostics] == ["OUT6"]
