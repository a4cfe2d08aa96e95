"""How a rule says that it is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ...diagnostics import Diagnostic
from ...ir.drawing import Drawing, Edge, Node, Tensor

_LONGEST = 300


def finding(
    code: str,
    drawing: Drawing,
    at: Node | Edge | None,
    problem: str,
    expected: str = "",
    actual: str = "",
    hint: str = "",
    severity: str = "error",
) -> Diagnostic:
    """A diagnostic at a node, an edge or the graph: `file:line at name`."""
    line, name = (drawing.line, "") if at is None else (at.line, name_of(at))
    where = f"{drawing.file}:{line}" + (f" at {name}" if name else "")
    return Diagnostic(code, problem, where, short(expected), short(actual), hint, severity)


def once_alike(nodes: Iterable[Node], check: Callable[[Node], Iterator[Diagnostic]]) -> Iterator[Diagnostic]:
    """What a check finds that looks only at what a node states: where one is right, all that state the same are."""
    fine = set[object]()
    for node in nodes:
        if node.alike is not None and node.alike in fine:
            continue
        found = list(check(node))
        if not found:
            fine.add(node.alike)
        yield from found


def name_of(at: Node | Edge) -> str:
    """
    A node's name; an edge as it is written: `a -> b`.
    """
    return at.id if isinstance(at, Node) else f"{at.source.id} -> {at.target.id}"


def short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 2] + " …"


def listed(things: Iterable[Tensor] | Iterable[str], most: int = 6) -> str:
    """`a, b, c and 4 more`."""
    words = [str(thing) for thing in things]
    left = len(words) - most
    return ", ".join(words[:most]) + (f" and {left} more" if left > 0 else "")
