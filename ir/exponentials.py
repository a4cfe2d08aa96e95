"""Logarithms of sums of exponentials, in floats and over the finite field, by the same text.

Over the field exp is a random function and there is no logarithm. What stands for log Σ exp x there is 1 + 1 / Σ exp x:
from it the sum can be had back, so parts can be merged and exp(x − lse) = exp x / Σ exp x be taken; but adding two of
them is as wrong as it is in floats, and zero is not the addend that adds nothing.
"""

from __future__ import annotations

import numpy as np

from .residues import Residues, nonlinear


def log_sum_exp(x: np.ndarray, axis: int) -> np.ndarray:
    """log Σ exp x along an axis."""
    if isinstance(x, Residues):
        return _stand_in(nonlinear("exp", np.exp, x).sum(axis=axis))
    return np.logaddexp.reduce(x, axis=axis)


def merged(lse: np.ndarray, axis: int) -> np.ndarray:
    """Of the log-sum-exps of several parts, along an axis, that of all."""
    if isinstance(lse, Residues):
        return _stand_in(_exponential(lse).sum(axis=axis))
    return np.logaddexp.reduce(lse, axis=axis)


def shares(lse: np.ndarray, axis: int) -> np.ndarray:
    """Of the log-sum-exps of several parts, along an axis, what each has of the sum of all: exp(lse − that of all)."""
    if isinstance(lse, Residues):
        each = _exponential(lse)
        return each / each.sum(axis=axis, keepdims=True)
    return np.exp(lse - np.logaddexp.reduce(lse, axis=axis, keepdims=True))


def exp_minus(x: np.ndarray, lse: np.ndarray) -> np.ndarray:
    """exp(x − lse), at most 1 where lse is over all of x: nothing overflows. 0 where lse is −∞, of nothing."""
    if isinstance(x, Residues):
        return nonlinear("exp", np.exp, x) / _exponential(lse)
    return np.exp(x - np.where(np.isneginf(lse), 0.0, lse))


def _stand_in(exponential: np.ndarray) -> np.ndarray:
    """What is written for the logarithm of a residue; 1/0 is 0 in the field."""
    return 1 + 1 / exponential


def _exponential(stand_in: np.ndarray) -> np.ndarray:
    return 1 / (stand_in - 1)
