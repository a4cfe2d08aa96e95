"""The rules of the drawn graph, each a check: `Drawing` → what breaks it. Nothing here knows DOT or who drew the graph.

    for diagnostic in lint(drawing): …

A check only judges what was read: what the file does not say, or says in words no one understands, breaks no rule but
the one that demands it be said. What could not be read is a warning of its own, `unreadable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...diagnostics import Diagnostic
from ...ir.drawing import Drawing
from . import crossing, cycles, deployment, dimensions, ends, feeding, gates, lost, modules, nodes, operators, places
from .repeats import check_repeats

Check = Callable[[Drawing], Iterator[Diagnostic]]

RULES: dict[str, Check] = {
    "DAG1": cycles.check_cycles,
    "DAG2": ends.check_ends,
    "DAG3": ends.check_dangling,
    "DAG4": modules.check_broken_down,
    "DAG5": modules.check_residuals,
    "DAG6": gates.check_gates,
    "DAG7": check_repeats,
    "DAG8": modules.check_split_and_aggregation,
    "DAG9": crossing.check_crossing,
    "NODE1": nodes.check_shapes,
    "NODE2": nodes.check_dimensions_stated,
    "NODE3": places.check_places,
    "NODE4": places.check_boundaries,
    "NODE5": nodes.check_communication,
    "DIM1": dimensions.check_edges,
    "DIM2": deployment.check_local_and_global,
    "DIM3": operators.check_operators,
    "DIM4": lost.check_lost,
    "DIM5": feeding.check_fed,
    "DEP1": deployment.check_parts,
    "DEP4": cycles.check_order,
    "unreadable": nodes.check_readable,
}


def lint(drawing: Drawing) -> Iterator[Diagnostic]:
    """Everything that breaks a rule, rule by rule; then warnings of what could not be read."""
    for check in RULES.values():
        yield from check(drawing)
