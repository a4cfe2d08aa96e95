"""Scaled rotary positions: what a configuration states of them, and the magnitude that cosines and sines get by it.

    {type: yarn, factor: 40, mscale: 1.0, mscale_all_dim: 0}   cosines and sines × 1.37
    {rope_type: llama3, factor: 8, …}                          other angles, cosines and sines × 1

Magnitudes are those of transformers' modeling_rope_utils.py (YaRN is arXiv 2309.00071, §3.4; LongRoPE 2402.13753).
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .schema import MAX_SIZE

Positive = Annotated[float, Field(gt=0, lt=MAX_SIZE)]
Strength = Annotated[float, Field(ge=0, lt=MAX_SIZE)]


ANGLES = frozenset(
    ("beta_fast", "beta_slow", "truncate", "low_freq_factor", "high_freq_factor", "short_factor", "long_factor")
)
"""Keys of a scaling that say which angle a position gets."""


class Scaling(BaseModel):
    """What dagc reads of a scaling; other keys are about angles (`ANGLES`), or unknown."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")
    rope_type: str | None = None
    type: str | None = None
    rope_theta: Positive | None = None
    factor: Annotated[float, Field(ge=1, lt=MAX_SIZE)] | None = None
    attention_factor: Positive | None = None
    mscale: Strength | None = None
    mscale_all_dim: Strength | None = None
    original_max_position_embeddings: Positive | None = None
    partial_rotary_factor: Literal[1] | None = None

    @property
    def kind(self) -> str:
        return self.rope_type or self.type or "default"

    def unknown(self) -> list[str]:
        """Keys that dagc does not know."""
        return sorted({*(self.model_extra or ())} - ANGLES)

    def stretch(self, longest: Any) -> float:
        """How many times longer sequences may be: as stated, or as the longest are."""
        before = self.original_max_position_embeddings
        return self.factor or (longest / before if before and isinstance(longest, int) else 1.0)


def grown(stretch: float, mscale: float = 1.0) -> float:
    """YaRN's magnitude, 0.1 · mscale · ln stretch + 1.

    >>> round(grown(40), 4)
    1.3689
    """
    return 0.1 * mscale * log(stretch) + 1 if stretch > 1 else 1.0


def _yarn(scaling: Scaling, stretch: float) -> float:
    if scaling.mscale and scaling.mscale_all_dim:
        return grown(stretch, scaling.mscale) / grown(stretch, scaling.mscale_all_dim)
    return grown(stretch)


def _longrope(scaling: Scaling, stretch: float) -> float:
    before = scaling.original_max_position_embeddings
    return sqrt(1 + log(stretch) / log(before)) if stretch > 1 and before and before > 1 else 1.0


def _same(scaling: Scaling, stretch: float) -> float:
    """Angles alone are others."""
    return 1.0


MAGNITUDES: dict[str, Callable[[Scaling, float], float]] = {
    "default": _same,
    "linear": _same,
    "dynamic": _same,
    "llama3": _same,
    "yarn": _yarn,
    "longrope": _longrope,
    "su": _longrope,
}
"""By the kind of scaling, what cosines and sines are times where no `attention_factor` says it."""
