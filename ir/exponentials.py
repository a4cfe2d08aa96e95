"""Logarithms of sums of exponentials, in floats and over the finite field, by the same text.

Over the field exp is a random function and there is no logarithm. What stands for log Σ exp x there is 1 / Σ exp x:
it says as much, exp(x − lse) is exp x times it, and parts are merged as reciprocals. So adding two of them is as wrong
there as it is in floats.
"""

from __future__ import annotations

import numpy as np

from .residues import Residues, nonlinear


def log_sum_exp(x: np.ndarray, axis: int) -> np.ndarray:
    """log Σ exp x along an axis."""
    if isinstance(x, Residues):
        return 1 / nonlinear("exp", np.exp, x).sum(axis=axis)
    return np.logaddexp.reduce(x, axis=axis)


def merged(lse: np.ndarray, axis: int) -> np.ndarray:
    """Of the log-sum-exps of several parts, along an axis, that of all."""
    if isinstance(lse, Residues):
        return 1 / (1 / lse).sum(axis=axis)
    return np.logaddexp.reduce(lse, axis=axis)


def exp_minus(x: np.ndarray, lse: np.ndarray) -> np.ndarray:
    """exp(x − lse), at most 1 where lse is over all of x: nothing overflows."""
    if isinstance(x, Residues):
        return nonlinear("exp", np.exp, x) * lse
    return np.exp(x - lse)
