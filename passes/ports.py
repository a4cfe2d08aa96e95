"""What nodes state of a value: a port for each size of its parts, with the part that every GPU has.

batch_size = 1024 / dp uneven 1024, over 12 GPUs      [batch_size=86, …] of GPUs 0-3, [batch_size=85, …] of GPUs 4-11
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from xdsl.ir import SSAValue

from ..ir.debts import SUM, kind_of
from ..ir.deployment import Port, Share
from ..ir.dims import Sizes
from ..ir.layout import Dim, Tensor
from ..ir.local import fraction, kinds, levels, shown
from ..ir.mesh import Mesh
from ..ir.module import plain_path
from ..ir.op import tensor_of
from ..ir.ops.program import Resident, StateOp
from ..ir.orders import axes_of, in_time, unequal

MERGES = {"expert_tokens": "expert_tokens = batch_size·seq_len·top_k/experts"}


@dataclass
class Ports:
    """Makes the ports of one deployment; shares are made once and held in common."""

    mesh: Mesh
    sizes: Sizes
    shares: dict[object, Share] = field(default_factory=dict)
    table: tuple[int, ...] = ()
    """The expert of every slot, as the last assignment says."""
    standing: dict[str, np.ndarray] = field(default_factory=dict)
    """Per pool the place of every GPU, -1 where it is of another."""

    def of(self, name: str, tensor: Tensor, gpus: np.ndarray) -> tuple[Port, ...]:
        """A port for each size of the parts that these GPUs (none: all of its pool) have, the first GPU's first."""
        which = kinds(self.mesh, tensor.pool, tensor.dims)
        if which is None:
            return (self._port(name, tensor, 0),)
        places = self.places(tensor.pool, gpus.reshape(-1)) if gpus.size else np.arange(len(which))
        _, first = np.unique(which[places], return_index=True)
        return tuple(self._port(name, tensor, int(places[at])) for at in first)

    def resident(self, value: SSAValue, gpus: np.ndarray) -> tuple[Port, ...]:
        """The same of what lives on the GPUs: a parameter, or a cache."""
        op = value.owner
        assert isinstance(op, Resident)
        named, cached = plain_path(op.identity), isinstance(op, StateOp)
        made = self.of(op.path.data, tensor_of(value), gpus)
        return tuple(replace(port, parameter=named, cached=cached, slots=op.table) for port in made)

    def places(self, pool: str, gpus: np.ndarray) -> np.ndarray:
        """Where these GPUs stand among those of a pool."""
        if pool not in self.standing:
            ids = self.mesh.ids(pool).reshape(-1)
            self.standing[pool] = np.full(self.mesh.gpus, -1, dtype=np.int64)
            self.standing[pool][ids] = np.arange(len(ids))
        return self.standing[pool][gpus]

    def _port(self, name: str, tensor: Tensor, at: int) -> Port:
        pairs = [shown(self.mesh, self.sizes, tensor.pool, dim, at) for dim in tensor.dims]
        merges = next((MERGES[dim.name] for dim in tensor.dims if dim.name in MERGES), "")
        merges = merges.replace("experts", "slots") if self.table else merges
        local, whole = tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
        shares = tuple(self._share(tensor.pool, dim, at) for dim in tensor.dims)
        owed, kind = self._all(tensor.pool, tensor.debtors), kind_of(tensor.owes[0]) if tensor.owes else SUM
        return Port(name, tensor.names, local, whole, tensor.dtype, merges, shares, owed, debt=kind)

    def _share(self, pool: str, dim: Dim, at: int) -> Share | None:
        """What GPUs of a pool hold of a dimension; where parts are not equal, those that hold as much as this one."""
        whole = self._all(pool, dim.cuts)
        if whole is None or not unequal(whole.order):
            return whole
        key = pool, dim.cuts, fraction(self.mesh, pool, dim, at)
        if key not in self.shares:
            which = kinds(self.mesh, pool, [dim])
            alike = np.zeros(self.mesh.gpus, dtype=bool)
            alike[self.mesh.ids(pool).reshape(-1)] = True if which is None else which == which[at]
            self.shares[key] = replace(whole, of=np.where(alike, whole.of, -1))
        return self.shares[key]

    def _all(self, pool: str, cuts: tuple[str, ...]) -> Share | None:
        """The part that every GPU of a pool has."""
        if not cuts:
            return None
        if (pool, cuts) not in self.shares:
            axes, of = axes_of(cuts), np.full(self.mesh.gpus, -1, dtype=np.int64)
            of[self.mesh.ids(pool).reshape(-1)] = self.mesh.coordinate(pool, axes)
            steps = self.mesh.size(axes_of(filter(in_time, cuts)))
            self.shares[pool, cuts] = Share(self.mesh.size(axes), of, levels(self.mesh, cuts), steps=steps)
        return self.shares[pool, cuts]
