"""What a module says of itself: its sizes, the plan it is lowered by, the mesh it was placed on, and its program."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from .dims import Sizes
from .mesh import Mesh
from .op import Operator
from .ops.program import RepeatOp
from .plan import Plan
from .plan_type import PlanAttr
from .types import MeshAttr, SizesAttr


def sizes_of(module: ModuleOp) -> Sizes:
    attr = module.attributes.get("dag.sizes")
    return attr.data if isinstance(attr, SizesAttr) else Sizes()


def plan_of(module: ModuleOp) -> Plan | None:
    attr = module.attributes.get("dag.plan")
    return attr.data if isinstance(attr, PlanAttr) else None


def mesh_of(module: ModuleOp) -> Mesh:
    attr = module.attributes.get("dag.mesh")
    return attr.data if isinstance(attr, MeshAttr) else Mesh()


def annotate(
    module: ModuleOp, *, sizes: Sizes | None = None, plan: Plan | None = None, mesh: Mesh | None = None
) -> None:
    """Set what is given, leave the rest."""
    if sizes is not None:
        module.attributes["dag.sizes"] = SizesAttr(sizes)
    if plan is not None:
        module.attributes["dag.plan"] = PlanAttr(plan)
    if mesh is not None:
        module.attributes["dag.mesh"] = MeshAttr(mesh)


def replace_body(module: ModuleOp, ops: list[Operation]) -> None:
    """Give a module another program, made from the old one."""
    block = module.body.block
    for old in reversed(list(block.ops)):
        old.detach()
        old.drop_all_references()
    block.add_ops(ops)


def operators(module: ModuleOp) -> Iterator[tuple[Operator, RepeatOp | None]]:
    """Every operator in program order, with the repeat it stands in."""
    for op in module.ops:
        if isinstance(op, RepeatOp):
            yield from ((inner, op) for inner in op.body.block.ops if isinstance(inner, Operator))
        elif isinstance(op, Operator):
            yield op, None


def offset_of(op: Operator) -> int:
    """Which layer of a body an operator belongs to: bodies of several layers number them (`layers.1.moe`)."""
    return offset_in(op.path.data)


def offset_in(path: str) -> int:
    """Which layer of a body a path belongs to."""
    segments = path.split(".")
    return int(segments[1]) if len(segments) > 1 and segments[1].isdigit() else 0


def layer_of(op: Operator, repeat: RepeatOp | None) -> int | None:
    """The first layer an operator stands for."""
    return None if repeat is None else repeat.span[0] + offset_of(op)


def layers_text(op: Operator, repeat: RepeatOp) -> str:
    """The layers an operator stands for: "0-15", "3", or "1-47 step 2" in a body of two layers."""
    return layers_in(repeat.span, op.path.data)


def layers_in(spanned: tuple[int, int, int], path: str) -> str:
    """The layers that a path stands for in a body: its first and last layer, and the layers of its body."""
    first, last, period = spanned
    start, end = first + offset_in(path), last - period + 1 + offset_in(path)
    span = str(start) if start == end else f"{start}-{end}"
    return span + (f" step {period}" if period > 1 and start != end else "")


@lru_cache(maxsize=8192)
def plain_path(path: str) -> str:
    """A path without the layer numbers that bodies of several layers carry: layers.1.moe → layers.moe."""
    return ".".join(segment for segment in path.split(".") if not segment.isdigit())
