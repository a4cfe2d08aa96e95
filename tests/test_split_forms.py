"""Statistics and split forms that lie are caught by the laws of `operator_laws.py`."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from operator_examples import KINDS, cases, short
from operator_laws import violations
from xdsl.ir import SSAValue

from dagc.ir.exponentials import exp_minus, log_sum_exp, shares
from dagc.ir.op import Operator, Split
from dagc.ir.ops.attention import ContextOp
from dagc.ir.ops.normalize import LayerNormOp, RmsNormOp, SoftmaxOp
from dagc.ir.ops.parts import MergePartsOp, PartContextOp, PartExpMinusOp, PartLogSumExpOp
from dagc.ir.ops.statistics import (
    ExpMinusOp,
    LayerScaleOp,
    LogSumExpOp,
    Mean,
    MeanOp,
    MeanSquareOp,
    RmsScaleOp,
    Statistic,
)
from dagc.ir.residues import MASKED, random_residues

Inputs = Sequence[SSAValue]


@pytest.mark.parametrize("kind", [LogSumExpOp, MeanOp, MeanSquareOp], ids=short)
def test_a_lost_statistic_is_caught(monkeypatch: pytest.MonkeyPatch, kind: type[Operator]) -> None:
    monkeypatch.setattr(Statistic, "sums", lambda op: frozenset())
    assert all(violations(op, "split") for op in cases(kind))


@pytest.mark.parametrize("numbers", KINDS)
@pytest.mark.parametrize(("kind", "debt"), [(LogSumExpOp, "sum"), (MeanOp, "lse"), (ContextOp, "lse")])
def test_a_debt_of_the_wrong_kind_is_caught(
    monkeypatch: pytest.MonkeyPatch, kind: type[Operator], debt: str, numbers: str
) -> None:
    monkeypatch.setattr(kind, "RULE", replace(kind.RULE, debt=debt))
    assert all(violations(op, "split", kinds=(numbers,)) for op in cases(kind))


@pytest.mark.parametrize("numbers", KINDS)
@pytest.mark.parametrize("kind", [MeanOp, MeanSquareOp], ids=short)
def test_a_mean_over_what_a_device_holds_is_caught(
    monkeypatch: pytest.MonkeyPatch, kind: type[Operator], numbers: str
) -> None:
    monkeypatch.setattr(Mean, "mean", lambda op, x, at: np.mean(x, axis=op.axis()))
    assert all(violations(op, "split", kinds=(numbers,)) for op in cases(kind))


def softmax_of_another_sum(op: SoftmaxOp, x: SSAValue) -> tuple[Operator, ...]:
    mean = MeanOp.of(x, path="mean", over=op.over)
    return mean, ExpMinusOp.of(x, mean.out, path="last")


def norm_of_a_norm(op: RmsNormOp, x: SSAValue, gain: SSAValue) -> tuple[Operator, ...]:
    return (RmsNormOp.of(x, gain, path="last", over=op.over, eps=op.eps),)


def norm_by_the_mean(op: RmsNormOp, x: SSAValue, gain: SSAValue) -> tuple[Operator, ...]:
    mean = MeanOp.of(x, path="mean", over=op.over)
    return mean, RmsScaleOp.of(x, mean.out, gain, path="last", eps=op.eps)


def norm_that_is_not_centred(op: LayerNormOp, *inputs: SSAValue) -> tuple[Operator, ...]:
    x, *weights = inputs
    mean = MeanOp.of(x, path="mean", over=op.over)
    square = MeanSquareOp.of(x, path="variance", over=op.over)
    return mean, square, LayerScaleOp.of(x, mean.out, square.out, *weights, path="last", eps=op.eps)


@pytest.mark.parametrize("numbers", KINDS)
@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (SoftmaxOp, softmax_of_another_sum),
        (RmsNormOp, norm_of_a_norm),
        (RmsNormOp, norm_by_the_mean),
        (LayerNormOp, norm_that_is_not_centred),
    ],
)
def test_a_wrong_split_form_is_caught(
    monkeypatch: pytest.MonkeyPatch, kind: type[Operator], form: Callable[..., tuple[Operator, ...]], numbers: str
) -> None:
    monkeypatch.setattr(kind, "split", form)
    with np.errstate(invalid="ignore"):
        assert all(violations(op, "form", kinds=(numbers,)) for op in cases(kind))


# Forms of two operators, which keep parts apart.


def softmax_over_all_parts(op: SoftmaxOp, reader: Operator, parts: str, inputs: Inputs, others: Inputs) -> Split:
    lse = PartLogSumExpOp.of(*inputs, path="lse", parts=parts)
    weights = SoftmaxOp.of(*inputs, path="weights", over=op.over)
    context = PartContextOp.of(weights.out, *others, path="context", parts=parts)
    return lse, weights, context, MergePartsOp.of(context.out, lse.out, path="last")


def mean_of_parts(op: SoftmaxOp, reader: Operator, parts: str, inputs: Inputs, others: Inputs) -> Split:
    lse = PartLogSumExpOp.of(*inputs, path="lse", parts=parts)
    weights = PartExpMinusOp.of(*inputs, lse.out, path="weights", parts=parts)
    context = PartContextOp.of(weights.out, *others, path="context", parts=parts)
    return lse, weights, context, MeanOp.of(context.out, path="last", over="kv_parts")


@pytest.mark.parametrize("numbers", KINDS)
@pytest.mark.parametrize("form", [softmax_over_all_parts, mean_of_parts])
def test_a_wrong_form_of_two_is_caught(
    monkeypatch: pytest.MonkeyPatch, form: Callable[..., Split], numbers: str
) -> None:
    monkeypatch.setattr(SoftmaxOp, "apart", form)
    assert any(violations(op, "form", kinds=(numbers,)) for op in cases(SoftmaxOp))


@pytest.mark.parametrize("masked", [MASKED, -np.inf])
def test_parts_of_which_nothing_is_seen_weigh_nothing(masked: float) -> None:
    """All of one part, of some rows, is masked: no number is lost, and the merge is the whole's."""
    rng = np.random.default_rng(0)
    scores, values = rng.normal(size=(2, 3, 8)), rng.normal(size=(8, 5))
    scores[..., 4:] = masked
    lse = log_sum_exp(scores.reshape(2, 3, 2, 4), 3)
    weights = exp_minus(scores.reshape(2, 3, 2, 4), lse[..., None])
    outputs = np.einsum("abpt,ptd->abpd", weights, values.reshape(2, 4, 5))
    merged = np.einsum("abpd,abp->abd", outputs, shares(lse, 2))
    seen = np.exp(scores[..., :4])
    assert np.isfinite(outputs).all()
    assert np.allclose(merged, seen @ values[:4] / seen.sum(axis=-1, keepdims=True))


def test_parts_of_which_nothing_is_seen_weigh_nothing_over_the_field() -> None:
    scores = np.where(np.arange(8) < 4, random_residues("s", (2, 3, 8), 0), MASKED).reshape(2, 3, 2, 4)
    lse = log_sum_exp(scores, 3)
    weighed = (exp_minus(scores, lse[..., None]) * shares(lse, 2)[..., None]).reshape(2, 3, 8)
    first = scores.reshape(2, 3, 8)[..., :4]
    assert np.array_equal(weighed[..., :4], exp_minus(first, log_sum_exp(first, 2)[..., None]))
    assert np.array_equal(weighed[..., 4:], 0 * weighed[..., 4:])
