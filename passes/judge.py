"""judge: what the figures of a deployment say against it: memory that does not fit, load that is unbalanced.

error[DEP5] GPUs 0-3 need 205.5 GB at their peak      expected at most 80.0 GB, actual weights … + KV cache … + …
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..diagnostics import Diagnostic

BALANCED = 1.10
"""Largest/mean load up to which nothing is said."""
HINT = "stages differ: give those with the embedding or the head fewer layers (--stages fit, flops, or a list)"
POOLS = "pools differ: give the one that does more work more GPUs (--mesh), or place other modules on it"
PARTS = "parts are not equal: use a --mesh that divides what is cut, or other sizes"


def judge(figures: dict[str, Any], where: str, max_imbalance: float | None = None) -> Iterator[Diagnostic]:
    """Findings on the balance of figures from `measure`: an error above `max_imbalance`, else a warning above 1.10."""
    limit, severity = (BALANCED, "warning") if max_imbalance is None else (max_imbalance, "error")
    for load, ratio in figures["balance"].items():
        if ratio is not None and ratio > limit:
            computing = [part for part in figures["classes"] if part["flops"] != 0] or figures["classes"]
            yield _unbalanced(computing, load, ratio, where, limit, severity)


def fits(figures: dict[str, Any]) -> bool:
    """Does no GPU need more memory than it has, as far as sizes are known?"""
    return all(part["fits"] is not False for part in figures["classes"])


def overloads(figures: dict[str, Any], least: dict[str, Any] | None, where: str, stated: bool) -> Iterator[Diagnostic]:
    """GPUs that need more memory than they have: an error where that is stated, a warning where it is only assumed.

    `least`: the figures with as many micro-batches as there can be, where that was tried.
    """
    for index, part in enumerate(figures["classes"]):
        if part["fits"] is False:
            small = least["classes"][index] if least else None
            smaller = f" ({_gb(small['activation_peak_bytes'])} in the smallest micro-batches)" if small else ""
            yield Diagnostic(
                "DEP5",
                f"GPUs {part['gpus']} need {_gb(part['peak_bytes'])} at their peak",
                where,
                expected=f"at most {_gb(part['capacity_bytes'])}",
                actual=f"weights {_gb(part['weight_bytes'])} + KV cache {_gb(part['kv_cache_bytes'])}"
                f" + activations {_gb(part['activation_peak_bytes'])}{smaller}",
                hint="use more GPUs, a smaller batch, or cut more dimensions",
                severity="error" if stated else "warning",
            )


def _unbalanced(
    classes: list[dict[str, Any]], load: str, ratio: float, where: str, limit: float, severity: str
) -> Diagnostic:
    heaviest, lightest = (pick(classes, key=lambda part: part[load]) for pick in (max, min))
    shares = ", ".join(f"GPUs {part['gpus']}: {part[load]:,}" for part in (heaviest, lightest))
    return Diagnostic(
        "DEP2",
        f"{load.replace('_', ' ')} are unbalanced: GPUs {heaviest['gpus']} carry {ratio:.2f} × the mean",
        where,
        expected=f"at most {limit:.2f}",
        actual=f"{ratio:.2f} (largest and smallest: {shares})",
        hint=_hint(heaviest["pool"], lightest["pool"]),
        severity=severity,
    )


def _hint(heavy: str, light: str) -> str:
    if heavy == light:
        return PARTS
    return HINT if heavy.startswith("stage") else POOLS


def _gb(value: int) -> str:
    return f"{value / 1e9:.1f} GB"
