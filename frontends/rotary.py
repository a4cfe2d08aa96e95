"""How positions turn queries and keys of a configuration, and what that does to scores.

    rope_theta: 10000, rope_scaling: {type: yarn, factor: 40, mscale: 1.0, mscale_all_dim: 1.0}
    → theta 10000, cosines and sines × 1; scores × 1.87 where attention is latent

`rope_parameters` is what transformers 5 calls `rope_scaling`; it holds `rope_theta`, too. Which angle a scaled position
gets is left out, and said: no dimension, volume or cost depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .config_keys import ConfigKeys
from .parsed import shown
from .rope_scaling import MAGNITUDES, Scaling, grown

KEYS = ("rope_parameters", "rope_scaling")


@dataclass(frozen=True)
class Rotary:
    """Cosines and sines are times `magnitude`; scores are times `scores`, beside 1/√d_k."""

    theta: float
    magnitude: float = 1.0
    scores: float = 1.0


def rotary_of(keys: ConfigKeys) -> Rotary:
    """Theta and factors; what of a scaling is left out is listed with what was assumed."""
    key = next((key for key in KEYS if keys.states(key)), None)
    scaling = keys.get(key) if key else None
    if key is None or scaling is None:
        return Rotary(keys.get("rope_theta"))
    theta = scaling.rope_theta or keys.get("rope_theta")
    keys.assumed += [f"ignored: {key}.{shown(name, quoted=False)} (unknown)" for name in scaling.unknown()]
    if scaling.kind not in MAGNITUDES:
        keys.assumed.append(f"ignored: {key} (its kind is unknown: {shown(scaling.kind)}; known are {_known()})")
    elif scaling.kind != "default":
        return _scaled(keys, key, scaling, theta)
    return Rotary(theta)


def _scaled(keys: ConfigKeys, key: str, scaling: Scaling, theta: float) -> Rotary:
    stretch = scaling.stretch(keys.parsed.data.get("max_position_embeddings"))
    magnitude = scaling.attention_factor or MAGNITUDES[scaling.kind](scaling, stretch)
    scores = _scores(scaling, stretch) if keys.architecture.latent else 1.0
    kept = f"cosines and sines × {magnitude:.6g}, scores × {scores:.6g}"
    keys.assumed.append(f"ignored: the angles of {key} ({scaling.kind}; no dimension depends on them; kept: {kept})")
    return Rotary(theta, magnitude, scores)


def _scores(scaling: Scaling, stretch: float) -> float:
    """mscale² of DeepSeek's modeling_deepseek.py: its queries and keys were turned by less than YaRN's magnitude."""
    return grown(stretch, scaling.mscale_all_dim) ** 2 if scaling.mscale_all_dim else 1.0


def _known() -> str:
    return ", ".join(MAGNITUDES)
