"""Runs classes of faults over cases: who catches each mutant, and which mutants change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar
from zlib import crc32

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from dagc.ir.deployment import Deployment
from dagc.ir.evaluate import run
from dagc.ir.module import operators
from dagc.ir.ops.attention import KeepOp
from dagc.ir.ops.program import OutputOp

from .cases import WEIGHTS, Case
from .classes import GRAPH_FAULTS, MODULE_FAULTS, RUN_FAULTS, Fault
from .defence import caught_by
from .interpreter import Kept, Stuck, outcome
from .known import Known
from .volumes import restated

PLACES = 1
"""Places of a class tried in one case: in every case others (`benchmarks/mutation.py` tries more)."""
TOLERANCE = 1e-9

Item = TypeVar("Item")


@dataclass(frozen=True)
class Result:
    """One mutant. `layer`: who refused it, or nothing; `equal`: it computes the model; `crash`: the verifier failed."""

    family: str
    fault: str
    catalogue: str
    case: str
    where: str
    layer: str
    equal: bool
    crash: str = ""

    @property
    def survived(self) -> bool:
        """A mutant that matters and that nobody refused."""
        return not self.equal and not self.layer


def run_case(case: Case, places: int = PLACES) -> list[Result]:
    """Every class at some places of one case."""
    return [*_graphs(case, places), *(() if case.apart else _modules(case, places))]


def spread(items: Sequence[Item], count: int, turn: str = "") -> list[Item]:
    """At most `count` of the items, evenly spaced; from which one on, `turn` decides."""
    if len(items) <= count:
        return list(items)
    first = crc32(turn.encode()) if turn else 0
    return [items[(first + i * len(items) // count) % len(items)] for i in range(count)]


def _graphs(case: Case, places: int) -> Iterator[Result]:
    for name, fault in (GRAPH_FAULTS | (RUN_FAULTS if case.apart else {})).items():
        for where, mutant in spread(list(fault.inject(case.deployment)), places, f"{case.name} {name}"):
            yield _result(case, "graph", name, fault, where, restated(mutant))


def _modules(case: Case, places: int) -> Iterator[Result]:
    module = case.lowered
    for name, fault in MODULE_FAULTS.items():
        for where, make in spread(list(fault.inject(module)), places, f"{case.name} {name}"):
            yield _result(case, "module", name, fault, where, make())


def _result(case: Case, family: str, name: str, fault: Fault[Any], where: str, mutant: ModuleOp | Deployment) -> Result:
    layer, crash = _caught(case, mutant)
    equal = fault.numeric and computes_the_model(case, mutant)
    return Result(family, name, fault.catalogue, case.name, where, layer, equal, crash)


def _caught(case: Case, mutant: ModuleOp | Deployment) -> tuple[str, str]:
    """The layer that refuses it; and what the verifier tripped over, which is no refusal."""
    try:
        return caught_by(case, mutant), ""
    except Exception as error:  # a verifier that raises has not answered: the test reports it
        return "", repr(error)


def computes_the_model(case: Case, mutant: ModuleOp | Deployment) -> bool:
    """Does it give the undivided model's output for two random inputs, and leave what the program leaves?"""
    return all(_agrees(case, mutant, seed) for seed in (0, 1))


def _agrees(case: Case, mutant: ModuleOp | Deployment, seed: int) -> bool:
    ran = _output(lambda: _run(case, mutant, seed))
    if ran is None:
        return False
    (made, kept), left = ran, _left(case, seed)
    return (
        _near(made, case.expected(seed)) and kept.keys() == left.keys() and all(_near(kept[k], left[k]) for k in left)
    )


def _near(made: np.ndarray, expected: np.ndarray) -> bool:
    return made.shape == expected.shape and bool(np.abs(made - expected).max() <= TOLERANCE * np.abs(expected).max())


@cache
def _left(case: Case, seed: int) -> Kept:
    """What the graph that is not mutated keeps (`test_handover` holds it against what a step needs)."""
    return outcome(case.deployment, case.inputs(seed), WEIGHTS)[1] if case.leaves else {}


@lru_cache(maxsize=2)
def _known(case: Case, seed: int) -> Known:
    """What the graph computes that is not mutated."""
    known = Known()
    outcome(case.deployment, case.inputs(seed), WEIGHTS, known)
    known.learns = False
    return known


def _run(case: Case, mutant: ModuleOp | Deployment, seed: int) -> tuple[np.ndarray, Kept]:
    if isinstance(mutant, Deployment):
        return outcome(mutant, case.inputs(seed), WEIGHTS, _known(case, seed))
    values = run(mutant, case.inputs(seed), WEIGHTS)
    (output,) = values[next(op.out for op in mutant.ops if isinstance(op, OutputOp))].values()
    kept = {
        (op.path.data, repeat.span[0], gpu): piece.data
        for op, repeat in operators(mutant)
        if isinstance(op, KeepOp) and repeat
        for gpu, piece in values[op.out].items()
    }
    return output.data, kept


def _output(make: Callable[[], tuple[np.ndarray, Kept]]) -> tuple[np.ndarray, Kept] | None:
    """What a mutant computes and keeps; None where it cannot be run."""
    try:
        with np.errstate(all="ignore"):
            return make()
    except (Stuck, ValueError, IndexError, KeyError, TypeError, AssertionError, StopIteration, AttributeError):
        return None
