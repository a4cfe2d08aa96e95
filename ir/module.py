"""What a module says of itself: its sizes, the plan it is lowered by, the mesh it was placed on, and its program."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from .dims import Sizes
from .mesh import Mesh
from .op import Operator
from .ops.program import RepeatOp
from .plan import Plan
from .types import MeshAttr, PlanAttr, SizesAttr


def sizes_of(module: ModuleOp) -> Sizes:
    attr = module.attributes.get("dag.sizes")
    return attr.data if isinstance(attr, SizesAttr) else Sizes()


def plan_of(module: ModuleOp) -> Plan | None:
    attr = module.attributes.get("dag.plan")
    return attr.data if isinstance(attr, PlanAttr) else None


def mesh_of(module: ModuleOp) -> Mesh:
    attr = module.attributes.get("dag.mesh")
    return attr.data if isinstance(attr, MeshAttr) else Mesh(())


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


def operators(module: ModuleOp) -> Iterator[tuple[Operator, RepeatOp | None]]:
    """Every operator in program order, with the repeat it stands in."""
    for op in module.ops:
        if isinstance(op, RepeatOp):
            yield from ((inner, op) for inner in op.body.block.ops if isinstance(inner, Operator))
        elif isinstance(op, Operator):
            yield op, None


def layer_of(op: Operation, repeat: RepeatOp | None) -> int | None:
    """The first layer an operator stands for: bodies of several layers number them in their paths (`layers.1.moe`)."""
    if repeat is None or not isinstance(op, Operator):
        return None
    segments = op.path.data.split(".")
    offset = int(segments[1]) if len(segments) > 1 and segments[1].isdigit() else 0
    return repeat.span[0] + offset
