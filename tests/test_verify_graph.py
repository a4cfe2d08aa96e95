"""The laws of the emitted graph: each broken on a small hand-made deployment, and on real ones."""

from dataclasses import replace

import numpy as np
import pytest
from plans import lowered

from dagc.ir.deployment import Deployment, EdgeKind, Kind, Link, Move, Pool, Port, Row
from dagc.passes.expand import expand
from dagc.passes.verify import verify_graph
from dagc.passes.verify.connected import Nodes
from dagc.passes.verify.graph import check

HOST = np.empty((1, 0), dtype=np.int64)
EACH = np.arange(4, dtype=np.int64).reshape(4, 1)
PAIRS = np.array([[0, 1], [2, 3]])


def port(local: int = 4, whole: int = 4) -> Port:
    return Port("x", ("hidden",), (local,), (whole,), "bf16")


def row(index: int, op: str, kind: Kind, places: np.ndarray, inputs: int = 1, move: str = "") -> Row:
    moved = Move(move, ("tp",), 4, 8) if move else None
    path, ports = f"layers.{op}", (port(),) * inputs
    return Row(index, op, op.capitalize(), kind, path, places, ports, (port(),), move=moved, where="a.yaml:1")


def link(source: int, target: int, slot: int = 0, kind: EdgeKind = EdgeKind.DATA) -> Link:
    return Link(source, target, 0, slot, kind, "x")


SMALL = Deployment(
    "small", "tp", (), 4, (Pool("all", np.arange(4)),),
    (
        row(0, "input", Kind.INPUT, HOST),
        row(1, "scatter", Kind.ROUTE, HOST),
        row(2, "proj", Kind.COMPUTE, EACH),
        row(3, "all_reduce", Kind.COMM, PAIRS, move="all-reduce"),
        row(4, "residual", Kind.COMPUTE, EACH, inputs=2),
        row(5, "gather", Kind.ROUTE, HOST),
        row(6, "output", Kind.OUTPUT, HOST),
    ),
    (link(0, 1), link(1, 2), link(2, 3), link(1, 4), link(3, 4, 1), link(4, 5), link(5, 6)),
)  # fmt: skip
STAGES = replace(SMALL, pools=(Pool("stage0", np.arange(2)), Pool("stage1", np.arange(2, 4))))


def with_row(at: int, deployment: Deployment = SMALL, **changes: object) -> Deployment:
    rows = list(deployment.rows)
    rows[at] = replace(rows[at], **changes)
    return replace(deployment, rows=tuple(rows))


def with_links(*links: Link, without: tuple[int, ...] = ()) -> Deployment:
    kept = tuple(old for i, old in enumerate(SMALL.links) if i not in without)
    return replace(SMALL, links=(*kept, *links))


FAULTS: dict[str, tuple[str, str, Deployment]] = {
    "a cycle": ("DAG1", "all_reduce on GPUs 0, 1 → ", with_links(link(3, 2))),
    "a self loop": ("DAG1", "cycle", with_links(link(4, 4, 1), without=(4,))),
    "two inputs": ("DAG2", "2 total input", with_row(2, kind=Kind.INPUT, places=HOST)),
    "no output": ("DAG2", "0 total output", with_row(6, kind=Kind.ROUTE)),
    "no predecessor": ("DAG3", "no predecessor on GPUs 0, 1, 2, 3", with_links(without=(1,))),
    "no successor": ("DAG3", "no successor on GPUs 0, 1, 2, 3", with_links(without=(4,))),
    "a residual of one": ("DAG5", "has 1 input", with_row(4, with_links(without=(4,)), inputs=(port(),))),
    "computes on two GPUs": ("DAG9", "computes across 2 GPUs", with_row(2, places=PAIRS)),
    "reads another GPU": ("DAG9", "GPUs 2, 3 read what proj makes on GPUs 0, 1", with_row(2, places=EACH[:2])),
    "local sizes differ": ("DIM1", "other dimensions", with_row(2, outputs=(port(local=2),))),
    "global sizes differ": ("DIM1", "other dimensions", with_row(2, outputs=(port(whole=8),))),
    "an input unfed": ("DIM5", "input 1 (x) is fed by 0 links", with_links(without=(4,))),
    "an input fed twice": ("DIM5", "input 0 (x) is fed by 2 links", with_links(link(1, 3))),
    "an undeclared input": ("DIM5", "not both declared", with_links(link(2, 4, 2))),
    "groups overlap": ("DEP4", "GPU 1 take part more", with_row(3, places=np.array([[0, 1], [1, 3]]))),
    "groups miss a GPU": ("DEP4", "are no pool", with_row(3, places=PAIRS[:1])),
    "groups join stages": ("DEP4", "are no pool", STAGES),
    "waits for what follows": ("DEP4", "stands before all_reduce", with_links(link(3, 2, kind=EdgeKind.ORDER))),
    "rows misnumbered": ("ill-formed", "stands at 2", with_row(2, index=5)),
    "no such GPU": ("ill-formed", "is none of the 4", with_row(2, places=EACH + 1)),
    "no places": ("ill-formed", "places of shape", with_row(2, places=EACH[:0])),
    "a transfer of three": (
        "ill-formed", "among 3 GPUs that does not say",
        with_row(3, places=np.array([[0, 1, 2]]), move=Move("send/recv", (), 1, 1), senders=1)),
    "a transfer without senders": (
        "ill-formed", "that 0 of 2 GPUs send", with_row(3, move=Move("send/recv", (), 1, 1))),
    "a sender that is none": ("ill-formed", "and is no transfer", with_row(3, senders=1)),
    "pairs of no GPUs": (
        "ill-formed", "GPUs that are none of the 4",
        with_row(3, move=Move("send/recv", (), 1, 1), senders=1, pairs=np.array([[0, 9]]))),
    "no such row": ("ill-formed", "rows 2 and 9 of 7", with_links(link(2, 9))),
}  # fmt: skip


def test_the_small_deployment_is_right() -> None:
    verdict = verify_graph(SMALL)
    assert verdict.holds, "\n".join(map(str, verdict.diagnostics))
    assert verdict.proofs == [f"graph laws: {4 + 4 + 2 + 4} nodes, acyclic, connected, nothing dangling, no deadlock"]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str) -> None:
    code, says, deployment = FAULTS[name]
    found = [diagnostic for diagnostic in check(deployment) if diagnostic.code == code]
    assert any(says in f"{d.problem} {d.actual}" for d in found), "\n".join(map(str, check(deployment)))


def test_a_finding_names_the_row_its_line_and_path() -> None:
    (found,) = check(with_links(link(1, 3)))
    assert found.where == "a.yaml:1 at layers.all_reduce"
    assert found.problem.startswith("all_reduce: ")


def test_a_cycle_of_real_nodes_is_named_in_order() -> None:
    found = next(d for d in check(with_links(link(3, 2, kind=EdgeKind.ORDER))) if d.code == "DAG1")
    names = found.actual.split(" → ")
    assert names[0] == names[-1]
    assert any("proj" in name for name in names)


def without_row(deployment: Deployment, op: str) -> Deployment:
    """Users of the row read what it read."""
    gone = next(row for row in deployment.rows if row.op == op)
    source = next(old.source for old in deployment.links if old.target == gone.index)
    links = [
        replace(old, source=source) if old.source == gone.index else old
        for old in deployment.links
        if old.target != gone.index
    ]
    return replace(deployment, links=tuple(links))


@pytest.mark.parametrize(
    ("plan", "op", "codes"),
    [
        ("tp_pp", "transfer", {"DAG3", "DAG9"}),
        ("ep", "all_to_all", {"DAG3", "DIM1"}),
        ("tp_sp", "all_gather", {"DAG3", "DIM1"}),
        ("tp", "scatter", {"DAG3"}),
    ],
)
def test_a_real_graph_without_a_move_is_refused(plan: str, op: str, codes: set[str]) -> None:
    found = {diagnostic.code for diagnostic in check(without_row(expand(lowered(plan), "moe"), op))}
    assert codes <= found


def test_a_million_edges_without_a_cycle() -> None:
    """Level by level, in arrays: a walk edge by edge would take minutes."""
    width, depth = 2000, 500
    first = np.arange(depth) * width
    source = (first[:-1, None] + np.arange(width)).reshape(-1)
    nodes = Nodes(np.array([0, width * depth]), source, source + width)
    assert not nodes.left_over().size
