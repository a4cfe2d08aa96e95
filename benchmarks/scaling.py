"""Time and memory of `lower` without drawing, as GPUs grow 8 → 1,048,576 and layers 4 → 126.

    python benchmarks/scaling.py

Each case is a process of its own: seconds to compile (description to figures, proofs included), seconds to write, peak
memory, and what was written. Compiling should be flat in layers and GPUs but for the arrays of GPU ids; writing grows
with what is written (past 300,000 nodes one lane stands for each class of identical GPUs).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DESCRIPTION = """\
model: {{name: bench, hidden: 8192, layers: {layers}, heads: 64, kv_heads: 8, d_k: 128, ffn: 28672, gated: true,
        activation: silu, vocab: 128256, rope: true}}
baseline: none
strategies: ["{strategy}"]
sizes: {{batch_size: {batch}, seq_len: 1024}}
"""
CASES = [
    *(("GPUs", f"dp={gpus // 8},tp=8" if gpus > 8 else "tp=8", 80) for gpus in (8, 64, 512, 8_192, 131_072, 1_048_576)),
    *(("layers", "tp=8", layers) for layers in (4, 16, 32, 80, 126)),
    *(("stages", f"tp=8,pp={stages}", 126) for stages in (2, 6, 18)),
]


def child(strategy: str, layers: int) -> None:
    """Run one case in this process and print its figures as JSON."""
    from dagc import driver, emit
    from dagc.job import Request
    from dagc.planning import plan

    gpus = product_of(strategy)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "bench.yaml"
        source.write_text(DESCRIPTION.format(layers=layers, strategy=strategy, batch=8 * max(1, gpus // 8)))
        request = Request(str(source))
        start = time.perf_counter()
        jobs = [driver.compile_job(job, request) for job in plan(request)]
        compiled = time.perf_counter()
        emit.write(jobs, Path(folder) / "out", emit.Options(svg=False))
        written = time.perf_counter()
        size = sum(path.stat().st_size for path in (Path(folder) / "out").rglob("*") if path.is_file())
    graph = jobs[0].graph
    assert graph is not None, jobs[0].diagnostics
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([graph.gpus, graph.nodes, compiled - start, written - compiled, peak, size / 1e6]))


def product_of(strategy: str) -> int:
    """GPUs of a mesh text: tp=8,pp=2 → 16."""
    total = 1
    for part in strategy.split(","):
        total *= int(part.split("=")[1])
    return total


def main() -> None:
    columns = ("series", "strategy", "layers", "GPUs", "nodes", "compile s", "write s", "MB peak", "MB written")
    print("".join(f"{name:>15}" for name in columns))
    for series, strategy, layers in CASES:
        run = [sys.executable, __file__, strategy, str(layers)]
        done = subprocess.run(run, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "0"})
        if done.returncode:
            sys.exit(done.stderr)
        gpus, nodes, compiled, written, peak, size = json.loads(done.stdout.splitlines()[-1])
        seconds = (f"{compiled:.2f}", f"{written:.2f}")
        cells = (series, strategy, layers, f"{gpus:,}", f"{nodes:,}", *seconds, f"{peak:.0f}", f"{size:.1f}")
        print("".join(f"{cell:>15}" for cell in cells), flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(sys.argv[1], int(sys.argv[2]))
    else:
        main()
