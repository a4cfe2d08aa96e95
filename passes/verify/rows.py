"""How verifiers of the graph name a row and the GPUs it fails on."""

from __future__ import annotations

import numpy as np

from ...diagnostics import Diagnostic
from ...ir.deployment import Row


def about(code: str, row: Row, problem: str, **more: str) -> Diagnostic:
    """A diagnostic about a row: `model.yaml:12 at layers.moe.gate`."""
    where = f"{row.where} at {row.path}" if row.where else row.path
    return Diagnostic(code, f"{row.op}: {problem}", where, **more)


def gpus_text(gpus: np.ndarray) -> str:
    """
    >>> gpus_text(np.array([3])), gpus_text(np.arange(9))
    ('GPU 3', 'GPUs 0, 1, 2, 3 and 5 more')
    """
    if not gpus.size:
        return "host"
    shown = ", ".join(str(int(gpu)) for gpu in gpus[:4])
    more = f" and {len(gpus) - 4} more" if len(gpus) > 4 else ""
    return f"GPU{'s' * (len(gpus) > 1)} {shown}{more}"
