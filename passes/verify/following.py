"""Names whose cuts are no choice: what a relation derives from other names is cut as those are.

heads = 64 / tp.0 / tp.1     kv_heads = 8 / tp.0                     as far as the axes divide it; the rest holds copies
heads = 64 / tp zigzag       kv_heads = 8 / tp zigzag                as far as whole runs of the order divide it
heads = 64 / tp uneven 8     kv_heads = 8 / tp uneven 8              in the same units
batch_size / dp, seq_len / cp                  expert_tokens / dp / cp
expert_tokens / ep           sources / ep      both follow the tokens, which this operator does not have

Routed tokens lie in any order, so that they follow axes and how great parts are, not orders. What numbers parts
(kv_parts) is cut into as many as they are (kv_len), in runs, and passed over in time where they are.
"""

from __future__ import annotations

from ...ir import orders
from ...ir.dims import Size, as_number
from ...ir.mesh import Mesh
from ...ir.op import Operator
from ...ir.ops import RELATIONS

Cuts = dict[str, tuple[str, ...]]


def followers(op: Operator, cuts: Cuts, mesh: Mesh) -> Cuts:
    """Per name of the operator that follows others, what must cut it."""
    space, expected = op.joint(), {}
    for name, relation in op.derived().items():
        carried = relation.carried(cuts)
        expected[name] = carried if relation.counts else _prefix(carried, space[name], mesh)
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


def _prefix(cuts: tuple[str, ...], size: Size, mesh: Mesh) -> tuple[str, ...]:
    """The most cuts, from the outermost, whose runs of indices divide a size (all, where the size is a symbol)."""
    whole, parts = as_number(size), mesh.sizes
    nested = [(parts.get(orders.axis_of(cut), 1), orders.order_of(cut)) for cut in cuts]
    in_runs = next((n for n, (count, order) in enumerate(nested) if orders.runs(order, count) is None), len(cuts))
    if not isinstance(whole, int):
        return cuts[:in_runs]
    fitting = (n for n in range(in_runs, 0, -1) if orders.fits(tuple(nested[:n]), whole))
    return cuts[: next(fitting, 0)]
