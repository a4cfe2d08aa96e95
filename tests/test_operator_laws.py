"""Every operator keeps the laws of `operator_laws.py` on its examples in `operator_examples.py`.

The end of the file turns the laws on operators that lie, and demands that they are caught.
"""

from dataclasses import replace

import numpy as np
import pytest
from operator_examples import EXAMPLES, KINDS, ROUTED, Example, X, cases, extent, floats, make, numbers, short, totals
from operator_laws import LAWS, alike, alone, divisions, everything, index_violations, unlike_whole, violations

from dagc.ir.op import Indices, Operator, Relation, Rule, tensor_of
from dagc.ir.ops import COMPUTE, MOVES, OPERATORS, PROGRAM
from dagc.ir.ops.attention import ContextOp, MaskOp, RopeOp, ScoresOp
from dagc.ir.ops.linear import AddBiasOp, GroupedProjectOp, ProjectOp
from dagc.ir.ops.lookup import LookupOp
from dagc.ir.ops.moe import CombineOp, CountOp, DispatchOp, TopKOp, routes
from dagc.ir.ops.normalize import LayerNormOp, Normalize, RmsNormOp, SoftmaxOp
from dagc.ir.ops.parts import MergePartsOp, PartExpMinusOp, PartLogSumExpOp
from dagc.ir.ops.pointwise import ActivateOp, AddOp, MultiplyOp, ScaleOp
from dagc.ir.ops.routing import GroupLimitOp, GroupRatingOp
from dagc.ir.ops.statistics import (
    ExpMinusOp,
    LayerScaleOp,
    LogSumExpOp,
    MeanOp,
    MeanSquareOp,
    RmsScaleOp,
)
from dagc.ir.residues import nonlinear, residues

# Every operator keeps them.


def test_every_operator_has_an_example() -> None:
    assert EXAMPLES.keys() == {short(kind) for kind in (*COMPUTE, *MOVES)}
    assert set(OPERATORS) == {*COMPUTE, *MOVES, *PROGRAM}


@pytest.mark.parametrize("numbers", KINDS)
@pytest.mark.parametrize("kind", [*COMPUTE, *MOVES], ids=short)
def test_every_operator_keeps_the_laws(kind: type[Operator], numbers: str) -> None:
    assert [found for op in cases(kind) for found in violations(op, kinds=(numbers,))] == []


@pytest.mark.parametrize("kind", [*COMPUTE, *MOVES], ids=short)
def test_the_result_has_the_shape_and_type_that_infer_says(kind: type[Operator]) -> None:
    for op in cases(kind):
        op.verify()
        out = tensor_of(op.results[0])
        at = Indices({name: own[None] for name, own in everything(op).items()}, totals(op))
        result = op.compute([x[None] for x in numbers(op)], at)
        assert result.shape == (1, *(extent(dim.size) for dim in out.dims))
        assert (result.dtype.names is not None) == (out.dtype == "route")


@pytest.mark.parametrize("kind", [*COMPUTE, *MOVES], ids=short)
def test_the_stack_law_stacks_devices_that_hold_different_parts(kind: type[Operator]) -> None:
    for op in cases(kind):
        _, held = max(alike(op, floats), key=lambda group: len(group[1]))
        assert len({tuple(map(tuple, own.values())) for own in held}) > 1


@pytest.mark.parametrize("kind", [*COMPUTE, *MOVES], ids=short)
def test_declarations_name_what_exists(kind: type[Operator]) -> None:
    for op in cases(kind):
        assert op.whole() | op.sums() | op.derived().keys() | op.indexed() <= op.joint().keys() | op.beyond().keys()
        assert {i for operands in op.RULE.linear for i in operands} <= {*range(len(op.operands))}
    most = max(len(op.operands) for op in cases(kind))
    assert {*kind.RULE.selects} <= {*range(most)}, "of operands that may be left out, too"


@pytest.mark.parametrize("kind", [kind for kind in COMPUTE if kind.RULE.indexed], ids=short)
def test_what_is_declared_indexed_is_read(kind: type[Operator]) -> None:
    for name in kind.RULE.indexed:
        assert any([*index_violations(op, floats, kind.RULE.indexed - {name})] for op in cases(kind))


NOT_OF_WHOLE_NUMBERS = {
    ActivateOp: "a random function",
    RmsNormOp: "a random function for the root",
    LayerNormOp: "a random function for the root",
    SoftmaxOp: "a random function for exp",
    PartLogSumExpOp: "a random function for exp",
    PartExpMinusOp: "a random function for exp",
    MergePartsOp: "stands for logarithms",
    LogSumExpOp: "a random function for exp",
    ExpMinusOp: "a random function for exp",
    MeanOp: "residues are divided exactly",
    MeanSquareOp: "residues are divided exactly",
    RmsScaleOp: "a random function for the root",
    LayerScaleOp: "a random function for the root",
    RopeOp: "random numbers for cosines",
    TopKOp: "residues are ordered otherwise, and divided exactly",
    GroupRatingOp: "residues are ordered otherwise",
    GroupLimitOp: "residues are ordered otherwise",
}


def whole_numbers_differ(op: Operator) -> bool:
    """Does the operator make another number of whole numbers than of their residues?"""
    inputs = [np.rint(4 * x) if x.dtype == np.float64 else x for x in numbers(op)]
    for x in inputs:
        if x.dtype.names:
            x["weight"] = np.rint(4 * x["weight"])
    made, held = alone(op, inputs, everything(op)), everything(op)
    return not np.array_equal(alone(op, [in_field(x) for x in inputs], held), in_field(made))


def in_field(x: np.ndarray) -> np.ndarray:
    if x.dtype.names:
        return routes(x["expert"], residues(x["weight"], salt=0))
    return residues(x, salt=0) if x.dtype == np.float64 else x


@pytest.mark.parametrize("kind", [*COMPUTE, *MOVES], ids=short)
def test_of_whole_numbers_floats_and_residues_make_the_same(kind: type[Operator]) -> None:
    assert any(map(whole_numbers_differ, cases(kind))) == (kind in NOT_OF_WHOLE_NUMBERS)


WHOLE_FOR_A_REASON = {
    RmsNormOp: "its mean is over the whole",
    LayerNormOp: "its mean is over the whole",
    SoftmaxOp: "it divides by a sum over the whole",
    RopeOp: "it pairs the halves",
    TopKOp: "it chooses among all experts",
    GroupLimitOp: "it chooses among all groups",
}


@pytest.mark.parametrize("numbers", KINDS)
@pytest.mark.parametrize("kind", WHOLE_FOR_A_REASON, ids=short)
def test_what_is_declared_whole_needs_to_be(kind: type[Operator], numbers: str) -> None:
    for op in cases(kind):
        for name in op.whole():
            problems = [unlike_whole(op, parts, KINDS[numbers]) for parts in divisions(op, (name,))]
            assert any(problems), WHOLE_FOR_A_REASON[kind]


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_routing_counts_add_up_to_the_chosen_experts_however_many_rows_hold_them(rows: int) -> None:
    op = make(CountOp, Example((f"{ROUTED}:route",), {"experts": 8}))
    (routing,) = numbers(op)
    counts = alone(op, [routing], everything(op) | {"sources": np.arange(rows)})
    assert counts.shape == (rows, 8)
    assert counts.sum(axis=0).tolist() == np.bincount(routing["expert"].ravel(), minlength=8).tolist()


@pytest.mark.parametrize("of", KINDS)
def test_of_equal_experts_the_first_are_chosen(of: str) -> None:
    op = make(TopKOp, Example(("batch_size seq_len experts=64",), {"k": 9, "normalize": False}))
    (scores,) = numbers(op, KINDS[of])
    alike = np.take_along_axis(scores, np.random.default_rng(0).integers(0, 3, scores.shape), axis=-1)
    chosen = alone(op, [alike], everything(op))[..., 0]
    for token in np.ndindex(chosen.shape[:-1]):
        key = np.asarray(-alike[token]).tolist()
        assert chosen[token].tolist() == sorted(range(64), key=lambda e: key[e])[:9]


# Negative controls: operators that lie are caught.


def lying(monkeypatch: pytest.MonkeyPatch, kind: type[Operator], **rule: object) -> type[Operator]:
    monkeypatch.setattr(kind, "RULE", replace(kind.RULE, **rule))
    return kind


@pytest.mark.parametrize(
    ("kind", "operands"),
    [
        (ActivateOp, (0,)),
        (AddBiasOp, (0,)),
        (AddBiasOp, (1,)),
        (AddOp, (0,)),
        (MultiplyOp, (0, 1)),
        (SoftmaxOp, (0,)),
        (RmsNormOp, (0,)),
        (LayerNormOp, (0,)),
        (MaskOp, (0,)),
        (ProjectOp, (0, 1)),
        (ScoresOp, (0, 1)),
    ],
    ids=lambda value: short(value) if isinstance(value, type) else str(value),
)
def test_a_false_claim_of_linearity_is_caught(
    monkeypatch: pytest.MonkeyPatch, kind: type[Operator], operands: tuple[int, ...]
) -> None:
    assert any(violations(op) for op in cases(lying(monkeypatch, kind, linear=(operands,))))


@pytest.mark.parametrize("kind", [RmsNormOp, LayerNormOp, SoftmaxOp, RopeOp, TopKOp, DispatchOp], ids=short)
def test_a_whole_name_declared_free_is_caught(monkeypatch: pytest.MonkeyPatch, kind: type[Operator]) -> None:
    owner = Normalize if issubclass(kind, Normalize) else kind
    monkeypatch.setattr(owner, "whole", Operator.whole)
    assert all(violations(op) for op in cases(kind))


@pytest.mark.parametrize("kind", [ScoresOp, ContextOp, LookupOp, CombineOp], ids=short)
def test_a_lost_sum_is_caught(monkeypatch: pytest.MonkeyPatch, kind: type[Operator]) -> None:
    monkeypatch.setattr(kind, "sums", lambda op: frozenset())
    assert all(violations(op) for op in cases(kind))


@pytest.mark.parametrize("kind", [ScoresOp, ContextOp], ids=short)
def test_a_contraction_said_to_be_merely_aligned_is_caught(
    monkeypatch: pytest.MonkeyPatch, kind: type[Operator]
) -> None:
    aligned = kind.RULE.aligned.union(*(op.sums() for op in cases(kind)))
    monkeypatch.setattr(kind, "sums", lambda op: frozenset())
    assert all(violations(op) for op in cases(lying(monkeypatch, kind, aligned=aligned)))


@pytest.mark.parametrize("kind", [ScoresOp, ContextOp, DispatchOp, CombineOp, CountOp], ids=short)
def test_a_missing_relation_is_caught(monkeypatch: pytest.MonkeyPatch, kind: type[Operator]) -> None:
    """Each name then is cut alone, and the piece lacks what it reads."""
    assert any(violations(op) for op in cases(lying(monkeypatch, kind, relates=())))


def test_merged_tokens_in_another_order_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    swapped = Relation("expert_tokens", ("seq_len", "batch_size"))
    assert all(violations(op) for op in cases(lying(monkeypatch, CombineOp, relates=(swapped,))))


class LocalMask(MaskOp):
    """Masks by the position within the piece."""

    def compute(self, inputs, at):
        query, key = (np.arange(n) for n in inputs[0].shape[-2:])
        return np.where(key[None] <= query[:, None], inputs[0], -1e30)


class LocalRope(RopeOp):
    """Turns by the position within the piece."""

    def compute(self, inputs, at):
        return super().compute(inputs, counted(at, "seq_len"))


class LocalLookup(LookupOp):
    """Gives the last row for tokens outside its part of the table."""

    def compute(self, inputs, at):
        devices = np.arange(len(inputs[1]))[:, None, None]
        return inputs[1][devices, np.minimum(inputs[0], inputs[1].shape[1] - 1)]


class ScaleByLocalWidth(ScaleOp):
    """Scales by the local number of heads."""

    def compute(self, inputs, at):
        return inputs[0] / inputs[0].shape[2]


class BiasPerPart(ProjectOp):
    """Adds a constant in every part of a contraction."""

    def compute(self, inputs, at):
        return super().compute(inputs, at) + 1


class ForgetsExperts(DispatchOp):
    """Takes the first experts instead of those it holds."""

    def compute(self, inputs, at):
        return super().compute(inputs, counted(at, "experts"))


class FirstKeys(ScoresOp):
    """Reads the first KV heads it holds instead of each head's own."""

    def compute(self, inputs, at):
        if "kv_heads" not in self.operand_names(1):
            return super().compute(inputs, at)
        keys = inputs[1][:, :, :, np.arange(inputs[0].shape[3]) % inputs[1].shape[3], :]
        return np.einsum("xbshd,xbthd->xbhst", inputs[0], keys)


class SkipsRows(GroupedProjectOp):
    """Uses only the rows that its part of the counts accounts for."""

    def compute(self, inputs, at):
        return super().compute(inputs, at) * np.minimum(inputs[2].sum(1), 7)[:, :, None, None]


class FirstWeight(ProjectOp):
    """Uses the first device's weight on all."""

    def compute(self, inputs, at):
        return super().compute([inputs[0], np.repeat(inputs[1][:1], len(inputs[1]), axis=0)], at)


class FirstPositions(MaskOp):
    """Masks by the first device's positions."""

    def compute(self, inputs, at):
        held = {name: np.broadcast_to(own[:1], own.shape) for name, own in at.held.items()}
        return super().compute(inputs, replace(at, held=held))


class MeanOfDevices(AddOp):
    """Adds what the others hold."""

    def compute(self, inputs, at):
        return inputs[0] + inputs[1] + inputs[1].sum(axis=0) - inputs[1]


class ScaleByPosition(ScaleOp):
    """Reads the positions of the keys."""

    def compute(self, inputs, at):
        return inputs[0] * at.held["kv_len"][:, None, None, None, :]


class ScaleByTotal(ScaleOp):
    """Reads how many keys there are on all devices."""

    def compute(self, inputs, at):
        return inputs[0] * at.total["kv_len"]


def counted(at: Indices, name: str) -> Indices:
    """Indices from 0 on, whatever part it is."""
    own = at.held[name]
    return replace(at, held=at.held | {name: np.broadcast_to(np.arange(own.shape[1]), own.shape)})


FAULTS: dict[type[Operator], str] = {
    LocalMask: "split",
    LocalRope: "split",
    LocalLookup: "split",
    ScaleByLocalWidth: "split",
    ForgetsExperts: "split",
    FirstKeys: "split",
    SkipsRows: "split",
    BiasPerPart: "split",
    FirstWeight: "stack",
    FirstPositions: "stack",
    MeanOfDevices: "stack",
    ScaleByPosition: "index",
    ScaleByTotal: "index",
}
"""Wrong meanings, and the law that they break in any kind of number."""


@pytest.mark.parametrize("numbers", KINDS)
@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_a_wrong_meaning_is_caught(kind: type[Operator], numbers: str) -> None:
    assert any(violations(op, FAULTS[kind], kinds=(numbers,)) for op in cases(kind))


@pytest.mark.parametrize("kind", [FirstWeight, FirstPositions, MeanOfDevices], ids=lambda kind: kind.__name__)
def test_only_the_stack_law_sees_several_devices(kind: type[Operator]) -> None:
    """Of one device they are right: the other laws pass them."""
    assert [found for op in cases(kind) for found in violations(op, *LAWS.keys() - {"stack"})] == []


@pytest.mark.parametrize("kind", [kind for kind in COMPUTE if kind.RULE.indexed], ids=short)
def test_undeclared_indices_are_caught(monkeypatch: pytest.MonkeyPatch, kind: type[Operator]) -> None:
    assert any(violations(op, "index") for op in cases(lying(monkeypatch, kind, indexed=frozenset())))


class RandomOfField(ProjectOp):
    """Makes something else of residues."""

    def compute(self, inputs, at):
        return nonlinear("identity", lambda x: x, super().compute(inputs, at))


def test_residues_that_mean_something_else_are_caught() -> None:
    assert all(whole_numbers_differ(op) for op in cases(RandomOfField))


def test_the_linear_law_uses_uneven_parts() -> None:
    """relu(a + a) = relu(a) + relu(a): equal parts would not tell."""
    relu = Example((X,), {"function": "relu"})
    claims_linear = type("ClaimsLinear", (ActivateOp,), {"RULE": Rule(linear=((0,),))})
    assert not violations(make(ActivateOp, relu))
    assert violations(make(claims_linear, relu), "linear", kinds=("float64",))
