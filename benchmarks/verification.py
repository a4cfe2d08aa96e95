"""Time of every layer of defence on whole deployments, and how it grows with layers and replicas.

    python benchmarks/verification.py

Each case is a process of its own: seconds per layer, then all from the description to the verdict (`total`: reading,
lowering, expanding, all layers), and peak memory. `meaning` and `layouts` should be flat in layers and replicas; what
looks at every emitted node grows with them.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

LAYERS = [
    "well-formed", "dimensions", "layouts", "coverage", "graph laws", "stated dimensions", "graph coverage", "meaning",
]  # fmt: skip
LLAMA: dict[str, Any] = {"source": "llama-3.1-405b", "stages": "uneven"}
QWEN: dict[str, Any] = {"source": "qwen3-235b-a22b", "strategies": ["ep-tp"]}
CASES: dict[str, dict[str, Any]] = {
    "Llama-3.1-405B, TP8×PP16×DP64": {**LLAMA, "strategies": ["tp=8,pp=16,dp=64"]},
    "Qwen3-235B-A22B, EP64×TP4": {**QWEN, "mesh": "ep=64,tp=4"},
    **{f"405B, TP8×PP16×DP{dp}": {**LLAMA, "strategies": [f"tp=8,pp=16,dp={dp}"]} for dp in (2, 16, 128, 1024)},
    **{f"405B, TP8, {layers} layers": {"layers": layers, "strategies": ["tp=8"]} for layers in (4, 32, 126, 1000)},
}
DESCRIPTION = """\
model: {{name: bench, hidden: 8192, layers: {layers}, heads: 64, kv_heads: 8, d_k: 128, ffn: 28672, gated: true,
        activation: silu, vocab: 128256, rope: true}}
baseline: none
"""


def child(case: dict[str, Any]) -> None:
    """Verify one case in this process and print its figures as JSON."""
    import tempfile
    from pathlib import Path

    from dagc.driver import compile_job
    from dagc.job import Request
    from dagc.planning import plan

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if layers := case.pop("layers", None):
            source = Path(folder) / "bench.yaml"
            source.write_text(DESCRIPTION.format(layers=layers))
            case["source"] = str(source)
        case["strategies"] = tuple(case["strategies"])
        request = Request(**case, baseline="none")
        (job,) = [compile_job(job, request) for job in plan(request)]
    total = time.perf_counter() - start
    verdict, graph = job.verdict, job.graph
    assert verdict is not None
    assert graph is not None
    assert verdict.holds, verdict.diagnostics
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = {layer.name: layer.seconds for layer in verdict.layers}
    print(json.dumps({"gpus": graph.gpus, "nodes": graph.nodes, **seconds, "total": total, "MB": peak}))


def main() -> None:
    columns = ["gpus", "nodes", *LAYERS, "total", "MB"]
    print("  ".join([f"{'case':<32}", *(f"{name:>9}" for name in columns)]))
    for name, case in CASES.items():
        done = subprocess.run([sys.executable, __file__, json.dumps(case)], capture_output=True, text=True, check=True)
        figures = json.loads(done.stdout)
        cells = [
            f"{figures[c]:>{max(9, len(c))}.2f}" if isinstance(figures[c], float) else f"{figures[c]:>9}"
            for c in columns
        ]
        print("  ".join([f"{name:<32}", *cells]))


if __name__ == "__main__":
    child(json.loads(sys.argv[1])) if len(sys.argv) > 1 else main()
