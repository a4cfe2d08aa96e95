"""The rules of the deployment that no single DOT file shows: parts, balance, meaning, memory; and what the verifier
adds to rules of the graph. By the figures and the certificate of a `.report.json`, as plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..judgement import Judgement, Standing

BALANCED = 1.10
LAYERS: dict[str, tuple[str, ...]] = {
    "DAG1": ("graph laws",),
    "DAG3": ("graph laws",),
    "DAG4": ("coverage", "graph coverage"),
    "DAG7": ("coverage",),
    "DAG9": ("graph laws",),
    "DIM2": ("dimensions", "graph coverage"),
    "DIM3": ("stated dimensions",),
    "DEP4": ("graph laws",),
}
"""The layers of defence that show a rule as well as the lint does."""
Report = Mapping[str, Any]


def deployed(report: Report) -> Iterator[Judgement]:
    """Verdicts on OUT6, DEP1, DEP2, DEP3 and DEP5."""
    for code, judged in RULES.items():
        found = [one for one in (*report["errors"], *report["warnings"]) if one["code"] == code]
        if found:
            yield _found(code, found)
        elif not report["measurements"]:
            yield Judgement(code, Standing.UNJUDGED, "the deployment was refused before it was measured")
        else:
            yield judged(code, report)


def proofs(code: str, report: Report) -> Judgement | None:
    """What the layers of defence that show a rule of the graph, too, say of it: `graph laws: 391 nodes, acyclic, …`."""
    layers = [layer for layer in report["certificate"]["layers"] if layer["name"] in LAYERS.get(code, ())]
    holds = all(layer["holds"] for layer in layers)
    says = "; ".join(map(_shown, layers))
    return Judgement(code, Standing.HOLDS if holds else Standing.BROKEN, says) if layers else None


def _shown(layer: Mapping[str, Any]) -> str:
    """With its arithmetic, where it has any: `batch_size = B: ep parts …; 128 = 16 · 8`."""
    if not layer["holds"]:
        return f"{layer['name']}: found an error"
    return f"{layer['name']}: {'; '.join((layer['shows'], *(fact for fact in layer['facts'] if ' = ' in fact)))}"


def _found(code: str, found: list[Mapping[str, str]]) -> Judgement:
    error = any(one["severity"] == "error" for one in found)
    says = "; ".join(f"{one['problem']} (expected {one['expected']}, is {one['actual']})" for one in found)
    return Judgement(code, Standing.BROKEN if error else Standing.WARNED, says)


def _parts(code: str, report: Report) -> Judgement:
    modules = report["measurements"]["modules"]
    said = "; ".join(
        f"{m['module']} on {m['pool']}: {m['parts']} × {m['replicas']} {'=' if m['matches'] else '≠'} {m['gpus']}"
        for m in modules
    )
    return Judgement(code, Standing.HOLDS if all(m["matches"] for m in modules) else Standing.BROKEN, said)


def _balance(code: str, report: Report) -> Judgement:
    balance = {name: ratio for name, ratio in report["measurements"]["balance"].items() if ratio is not None}
    says = ", ".join(f"{name.replace('_', ' ')} {ratio:.2f}" for name, ratio in balance.items())
    over = any(ratio > BALANCED for ratio in balance.values())
    standing = Standing.WARNED if over else Standing.HOLDS if balance else Standing.UNJUDGED
    return Judgement(code, standing, f"largest/mean: {says}" if says else "sizes are left unbound")


def _meaning(code: str, report: Report) -> Judgement:
    layer = next((one for one in report["certificate"]["layers"] if one["name"] == "meaning"), None)
    if layer is None:
        return Judgement(code, Standing.UNJUDGED, "it was not run: a layer of defence before it found an error")
    says = "; ".join((layer["shows"], *layer["facts"], *report["certificate"]["bounds"]))
    return Judgement(code, Standing.HOLDS if layer["holds"] else Standing.BROKEN, says)


def _memory(code: str, report: Report) -> Judgement:
    says, fits = list[str](), list[bool | None]()
    for part in report["measurements"]["classes"]:
        fits.append(part["fits"])
        says.append(f"GPUs {part['gpus']}: {_sum(part)}")
    standing = Standing.BROKEN if False in fits else Standing.UNJUDGED if None in fits else Standing.HOLDS
    return Judgement(code, standing, "; ".join(says))


def _sum(part: Mapping[str, Any]) -> str:
    """`6,444,810,240 B of weights + … = 9,867,460,608 ≤ 80,000,000,000`."""
    held = " + ".join(_bytes(part[key]) for key in ("weight_bytes", "kv_cache_bytes", "activation_peak_bytes"))
    sign = {True: " ≤ ", False: " > ", None: ", capacity "}[part["fits"]]
    return f"weights + KV + activations {held} = {_bytes(part['peak_bytes'])}{sign}{_bytes(part['capacity_bytes'])} B"


def _bytes(value: int | str | None) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "unknown")


RULES: dict[str, Callable[[str, Report], Judgement]] = {
    "OUT6": _parts,
    "DEP1": _parts,
    "DEP2": _balance,
    "DEP3": _meaning,
    "DEP5": _memory,
}
