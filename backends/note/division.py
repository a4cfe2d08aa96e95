"""Into how many parts every module is divided, over which GPUs, and whether parts × copies × stages are those GPUs.

| module | weights cut | data cut | distinct parts | copies | stages | product | GPUs | |
| attention | heads ÷ 8, kv_heads ÷ 8 | | 8 | 1 | 2 | 16 | 16: 0-15 | equal |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...ir.deployment import Deployment, Row
from ...ir.ids import spans
from ..ranges import RUNS_IN_LABEL, together
from .markdown import code, escaped, table

NAMES = {
    "embed": "embedding",
    "layers.attention": "attention",
    "layers.attention_norm": "norm before attention",
    "layers.attention.core": "attention (core)",
    "layers.ffn": "FFN",
    "layers.ffn_norm": "norm before the FFN",
    "layers.moe.gate": "gate",
    "layers.moe.experts": "experts",
    "layers.moe.shared_expert": "shared expert",
    "final_norm": "last norm",
    "head": "output head",
}
"""What people call the modules of a program; others go by their path."""
DATA = ("batch_size", "seq_len", "kv_len", "expert_tokens")
"""Dimensions of what a module computes on, and of no weight."""
HEAD = ("module", "weights cut", "data cut", "distinct parts", "copies", "stages", "product", "GPUs", "")


@dataclass(frozen=True)
class Division:
    """A module over the pools (pipeline stages) that divide it alike: `parts` × `copies` × `stages` = `product`.

    `cut` and `data`: into how many parts dimensions of its weights are, and of what it computes on.
    """

    module: str
    path: str
    cut: dict[str, int]
    data: dict[str, int]
    parts: int
    copies: int
    stages: int
    product: int
    gpus: int
    ids: str

    @property
    def equal(self) -> bool:
        return self.product == self.gpus

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "equal": self.equal}


def divisions(graph: Deployment, modules: Sequence[Mapping[str, Any]]) -> list[Division]:
    """Every module that has weights, in the order of the program; `modules` as they were measured, pool by pool."""
    paths = {module["module"] for module in modules}
    alike = dict.fromkeys(map(_how, modules))
    return [_division(graph, [m for m in modules if _how(m) == how], paths) for how in alike]


def _how(module: Mapping[str, Any]) -> tuple[str, int, int]:
    return module["module"], module["parts"], module["replicas"]


def _division(graph: Deployment, pools: Sequence[Mapping[str, Any]], paths: set[str]) -> Division:
    first, stages = pools[0], len(pools)
    module: str = first["module"]
    names = {m["pool"] for m in pools}
    ids = together((pool.gpus for pool in graph.pools if pool.name in names), graph.gpus)
    own = [row for row in graph.rows if _owner(row.path, paths) == module and row.places.size]
    rows = [row for row in own if row.places.flat[0] in ids]
    return Division(
        NAMES.get(module, module),
        module,
        _cut(rows, lambda row: row.parameters),
        {name: parts for name, parts in _cut(rows, lambda row: row.inputs).items() if name in DATA},
        first["parts"],
        first["replicas"],
        stages,
        first["parts"] * first["replicas"] * stages,
        len(ids),
        spans(ids, RUNS_IN_LABEL),
    )


def _owner(path: str, modules: set[str]) -> str:
    """The innermost module that an operator belongs to."""
    inside = [module for module in modules if path == module or path.startswith(module + ".")]
    return max(inside, key=len, default="")


def _cut(rows: list[Row], ports: Any) -> dict[str, int]:
    return {
        name: share.parts
        for row in rows
        for port in ports(row)
        for name, share in zip(port.names, port.shares, strict=False)
        if share is not None and share.parts > 1
    }


def lines(found: list[Division], gpus: int) -> Iterator[str]:
    """The table, and a sentence that says whether every module fills its GPUs, and the modules all of them."""
    yield from table(HEAD, map(_row, found), right=(3, 4, 5, 6))
    wrong = [each.module for each in found if not each.equal]
    if wrong:
        yield f"Parts × copies × stages differ from the GPUs in: {escaped(', '.join(wrong))}."
    else:
        yield f"Parts × copies × stages equal the GPUs in every module; the deployment has {gpus:,} GPUs."
    yield ""


def _row(each: Division) -> list[str]:
    numbers = [f"{n:,}" for n in (each.parts, each.copies, each.stages, each.product)]
    verdict = "equal" if each.equal else "**not equal**"
    cut, data = _said(each.cut) or "whole", _said(each.data) or "–"
    return [f"{escaped(each.module)} {code(each.path)}", cut, data, *numbers, f"{each.gpus:,}: {each.ids}", verdict]


def _said(cut: dict[str, int]) -> str:
    return escaped(", ".join(f"{name} ÷ {parts}" for name, parts in cut.items()))
