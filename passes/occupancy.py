"""occupancy: which experts have several slots, and how evenly rows come to GPUs if tokens choose all experts alike.

    slots [0, 1, 0] [2, 3, 2] of 4 experts      GPU 0: 1/8 + 2/8 + 1/8 of the rows, GPU 1: as much; largest/mean 1.0

An expert's rows are shared out among its slots. Slots are there for experts that are chosen more often than others: how
rows lie then, only measured loads tell.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ..ir.local import levels
from ..ir.mesh import Mesh
from ..ir.module import mesh_of, operators
from ..ir.op import tensor_of
from ..ir.ops.program import WeightOp
from ..ir.orders import CONTIGUOUS, pieces


def occupancy(module: ModuleOp) -> dict[str, Any] | None:
    """Figures of a lowered module's slots; None where experts have none."""
    weights = (op for op, _ in operators(module) if isinstance(op, WeightOp) and op.table)
    weight = next(weights, None)
    return None if weight is None else _figures(weight, mesh_of(module))


def _figures(weight: WeightOp, mesh: Mesh) -> dict[str, Any]:
    dim, table = tensor_of(weight.out).dims[0], np.array(weight.table)
    parts, copies = mesh.size(dim.axes), Counter(weight.table)
    held = pieces(levels(mesh, dim.cuts) or ((parts, CONTIGUOUS),), len(table))
    each = 1 / np.array([copies[int(expert)] for expert in table])
    rows = np.array([each[own].sum() for own in held])
    return {
        "experts": len(copies),
        "slots": len(table),
        "slots_per_gpu": max(map(len, held)),
        "fewest_slots_per_gpu": min(map(len, held)),
        "replicated": {str(expert): count for expert, count in sorted(copies.items()) if count > 1},
        "uniform_rows_balance": round(float(rows.max() / rows.mean()), 4),
    }
