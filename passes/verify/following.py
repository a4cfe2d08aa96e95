"""Names whose cuts are no choice: what a relation derives from other names is cut as those are.

heads = 64 / tp.0 / tp.1     kv_heads = 8 / tp.0                     as far as the axes divide it; the rest holds copies
batch_size / dp, seq_len / cp                  expert_tokens / dp / cp
expert_tokens / ep           sources / ep      both follow the tokens, which this operator does not have
"""

from __future__ import annotations

from math import prod

from ...ir.dims import Size, as_number
from ...ir.mesh import Mesh
from ...ir.op import Operator
from ...ir.ops import RELATIONS

Cuts = dict[str, tuple[str, ...]]


def followers(op: Operator, cuts: Cuts, mesh: Mesh) -> Cuts:
    """Per name of the operator that follows others, the axes that must cut it."""
    space = op.joint()
    expected = {
        name: _prefix(tuple(axis for source in relation.sources for axis in cuts[source]), space[name], mesh)
        for name, relation in op.derived().items()
    }
    for name in op.RULE.aligned & cuts.keys() - expected.keys():
        if peer := _peer(name, cuts):
            expected[name] = cuts[peer]
    return expected


def _peer(name: str, cuts: Cuts) -> str | None:
    """Another name that is derived from the same sources, which are not here."""
    relation = RELATIONS.get(name)
    if relation is None:
        return None
    return next((n for n in cuts if n != name and n in RELATIONS and RELATIONS[n].sources == relation.sources), None)


def _prefix(axes: tuple[str, ...], size: Size, mesh: Mesh) -> tuple[str, ...]:
    """The longest run of axes, from the outermost, whose parts divide a size (all, where the size is a symbol)."""
    whole, parts = as_number(size), dict(mesh.axes)
    if not isinstance(whole, int):
        return axes
    fitting = (n for n in range(len(axes), 0, -1) if whole % prod(parts.get(axis, 1) for axis in axes[:n]) == 0)
    return axes[: next(fitting, 0)]
