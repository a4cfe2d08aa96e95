"""Asks Graphviz, in a process of its own, what a DOT text holds. See `cgraph.py`, which is what runs there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any

LIMIT = 600.0
"""Seconds one graph may take."""
_PROGRAM = Path(__file__).with_name("cgraph.py")


class Graphviz:
    """A parser that is started when first asked, and anew after every complaint: it cannot go on after one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Graphviz:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop()

    def parse(self, dot: bytes) -> dict[str, Any]:
        """What `cgraph.parsed` says of a graph's text; {"error": …} also when it takes too long or crashes."""
        process = self._process = self._process or self._started()
        timer = Timer(LIMIT, process.kill)
        timer.start()
        try:
            answer = self._asked(process, dot)
        except (OSError, ValueError):
            answer = {"error": "Graphviz took too long, too much memory, or crashed"}
        finally:
            timer.cancel()
        if "error" in answer:
            self._stop()
        return answer

    @contextmanager
    def ahead(self, dot: bytes) -> Iterator[Callable[[], dict[str, Any]]]:
        """Parse a text while the caller does something else; {} for an empty one. Wait for it before any other."""
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(self.parse, dot) if dot else None
            yield answer.result if answer else dict

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(_PROGRAM)]
        pipe, none = subprocess.PIPE, subprocess.DEVNULL
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=none)

    def _asked(self, process: subprocess.Popen[bytes], dot: bytes) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(len(dot).to_bytes(8, "big") + dot)
        process.stdin.flush()
        length = int.from_bytes(process.stdout.read(8), "big")
        return json.loads(process.stdout.read(length))

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.communicate()
        self._process = None
