"""Statistics and split forms that lie are caught by the laws of `operator_laws.py`."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from operator_examples import KINDS, cases, short
from operator_laws import violations
from xdsl.ir import SSAValue

from dagc.ir.op import Operator
from dagc.ir.ops.attention import ContextOp
from dagc.ir.ops.normalize import LayerNormOp, RmsNormOp, SoftmaxOp
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
