"""What a deployment is run in: residues of GF(2³¹ − 1), where equal is equal, or float64, which people can follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import numpy as np

from ....ir.residues import P, random_residues


class Numbers(Protocol):
    """A kind of number: random values by key, and when two arrays say the same."""

    def random(self, key: object, shape: tuple[int, ...]) -> np.ndarray: ...
    def differ(self, a: np.ndarray, b: np.ndarray) -> np.ndarray: ...
    def bound(self, degree: int, seeds: int) -> str: ...


@dataclass(frozen=True)
class Field:
    """Exact: values differ or do not. `salt` chooses the random inputs, weights and functions."""

    salt: int

    def random(self, key: object, shape: tuple[int, ...]) -> np.ndarray:
        return random_residues(key, shape, self.salt)

    def differ(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(np.asarray(a) != np.asarray(b))

    def bound(self, degree: int, seeds: int) -> str:
        """How likely a value that differs passes, random functions taken as random (Schwartz–Zippel)."""
        chance = (degree / P) ** seeds
        return f"a wrong value passes one size set with probability ≤ ({degree}/(2^31-1))^{seeds} ≈ {chance:.0e}"


@dataclass(frozen=True)
class Floats:
    """float64 within a relative tolerance."""

    seed: int
    tolerance: float = 1e-6

    def random(self, key: object, shape: tuple[int, ...]) -> np.ndarray:
        return np.random.default_rng([self.seed, crc32(repr(key).encode())]).normal(0.1, 0.5, shape)

    def differ(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if a.dtype.names:
            return (a["expert"] != b["expert"]) | self.differ(a["weight"], b["weight"])
        return ~np.isclose(a, b, rtol=self.tolerance, atol=self.tolerance)

    def bound(self, degree: int, seeds: int) -> str:
        return f"float64: values within {self.tolerance:g}, relative or absolute, are taken for equal; no bound"
