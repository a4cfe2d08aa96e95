"""Whom every GPU sends values to in other pools, and whom it receives from: `{"sends to": [8, 9], "receives from": 3}`.

A single peer, as between pipeline stages, is a number; several are a list.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ..ir.deployment import Deployment
from ..ir.ops.move import TransferOp

Peers = dict[int, dict[str, int | list[int]]]


def peers(deployment: Deployment) -> Peers:
    """By GPU; those that no transfer concerns have none."""
    sent: list[np.ndarray] = [np.empty((0, 2), dtype=np.int64)]
    sent += [r.places if r.pairs is None else r.pairs for r in deployment.rows if isinstance(r.operator, TransferOp)]
    found: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for sender, receiver in np.unique(np.concatenate(sent), axis=0).tolist():
        found[sender]["sends to"].append(receiver)
        found[receiver]["receives from"].append(sender)
    return {gpu: {kind: ids if len(ids) > 1 else ids[0] for kind, ids in each.items()} for gpu, each in found.items()}
