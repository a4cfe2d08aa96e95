"""svg: turns DOT text into a picture. The only file that imports pygraphviz, which brings Graphviz as a wheel.

Graphviz runs in a process of its own: it may take too long, or crash, without taking the compiler with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Literal

from ..diagnostics import Diagnostic, Refused

Format = Literal["svg", "png"]


def render(dot: str, to: Format = "svg", timeout: float = 300) -> bytes:
    """The picture of a DOT text whose nodes and edges have positions. Refused when Graphviz fails or takes too long."""
    command = [sys.executable, "-m", __name__, to]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, input=dot.encode(), capture_output=True, timeout=timeout, env=environment, check=False
        )
    except subprocess.TimeoutExpired as late:
        hint = "render a smaller view, such as the representative one"
        raise Refused(Diagnostic("render", f"Graphviz took longer than {timeout:g} s", hint=hint)) from late
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        actual = said[-1] if said else "no output"
        raise Refused(Diagnostic("render", "Graphviz could not draw the graph", actual=actual))
    return done.stdout


def _draw(dot: str, to: str) -> bytes:
    import pygraphviz

    return pygraphviz.AGraph(string=dot).draw(format=to, prog="nop2") or b""


if __name__ == "__main__":
    sys.stdout.buffer.write(_draw(sys.stdin.buffer.read().decode(), sys.argv[1]))
