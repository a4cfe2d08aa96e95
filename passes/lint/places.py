"""NODE3: every operator names its GPU. NODE4: each GPU is a boundary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ...ir.drawing import Cluster, Drawing, Kind, Node
from .finding import finding, listed

_ENDS = (Kind.INPUT, Kind.OUTPUT)


def check_places(drawing: Drawing) -> Iterator[Diagnostic]:
    """Every operator names its GPU, or the boundary around it does. The total input and output may leave out `host`."""
    for node in drawing.nodes:
        if not node.placed and node.declared and node.kind not in _ENDS:
            problem = f"`{node.title}` does not say on which GPU it runs"
            hint = "add it to the label, or to the title of the boundary around it"
            yield finding("NODE3", drawing, node, problem, "GPU: 3, or GPU: all GPUs", hint=hint)
        for code, told, said in node.clashes:
            if code == "NODE3":
                problem = f"the label and the attributes of {node.id} name different GPUs"
                yield finding(
                    code, drawing, node, problem, f"{told} (attribute)", f"{said} (label)", "let both say the same"
                )


def check_boundaries(drawing: Drawing) -> Iterator[Diagnostic]:
    """In a per-GPU view what runs on a GPU lies in that GPU's boundary."""
    mine = [node for node in drawing.nodes if _runs_on_one(node)]
    if len({node.gpus for node in mine}) < 2:
        return
    bare: dict[int, list[Node]] = defaultdict(list)
    for node in mine:
        around = _boundary(node)
        if around is None:
            bare[next(iter(node.gpus))].append(node)
        elif around.devices and not node.gpus <= around.devices.ids:
            problem = f"{node.id} runs on {node.devices}, but lies in the boundary `{around.title or around.id}`"
            yield finding("NODE4", drawing, node, problem, hint="move it into its GPU's boundary, or name that GPU")
    for gpu, nodes in sorted(bare.items()):
        problem = f"GPU {gpu} is no boundary: {len(nodes)} of its nodes lie in no cluster of that GPU"
        hint = f'subgraph cluster_gpu{gpu} {{ label="GPU {gpu}"; … }}'
        yield finding("NODE4", drawing, nodes[0], problem, "", listed(node.id for node in nodes), hint)


def _runs_on_one(node: Node) -> bool:
    return node.placed and len(node.gpus) == 1 and node.kind not in (Kind.COMM, *_ENDS)


def _boundary(node: Node) -> Cluster | None:
    """The innermost cluster that names GPUs that can be counted."""
    return next((each for each in node.clusters if each.devices and each.devices.known), None)
