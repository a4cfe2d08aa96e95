"""Translation validation: does every GPU compute what the undivided model computes? Guarantees:

* DEP3: every value of every node on every GPU, run over GF(2³¹ − 1) at small size, is the part of the undivided model's
  value that its port says (of a sum still owed: an addend, and all addends add up; in the midst of a reduction: those
  addends that it says it has merged), for random inputs and weights
* this of what was emitted (rows, links, places, shares), block by block, for any value that comes into a block
* a repeated body yields what it starts from, laid out alike, so that it holds for every round

It is a test, not a proof: see `Numbers.bound` for how likely a wrong value passes. Blocks and parts with equal hashes
(`parts`, `signature`) are run once; with a `Memory`, once in all deployments that are checked with it. Two sets of
sizes, three seeds each. In float64 with `Floats`, for people.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ModuleOp

from ....diagnostics import Diagnostic
from ....ir.deployment import Deployment, Port, Row
from ....ir.dims import Sizes
from ....ir.op import Operator
from ....ir.ops.move import Mover
from ..parts import Part, parts
from ..program import Step
from ..rows import about
from . import rounds
from .blocks import Block, blocks
from .compare import Difference, difference
from .extents import choose
from .machine import Machine
from .model import Model
from .numbers import Field, Floats, Numbers
from .pieces import Impossible, Value, together
from .reference import Reference, degree
from .signature import signature

__all__ = ["Field", "Floats", "Memory", "Outcome", "check"]

SETS, SEEDS = 2, 3


@dataclass(frozen=True)
class Right:
    """What the runs of a part showed: so many values; `lacks` are local extents that tell less than others would."""

    values: int
    lacks: frozenset[str]


Memory = dict[bytes, Right]
"""Parts that were found right, by the hash of all that their runs read (`signature`)."""


@dataclass
class Outcome:
    """What was run and how sure it makes."""

    blocks: int = 0
    classes: int = 0
    values: int = 0
    degree: int = 0
    lacks: set[str] = field(default_factory=set)

    def add(self, right: Right) -> None:
        """One more class of parts that is right."""
        self.values += right.values
        self.lacks |= right.lacks

    def bound(self, numbers: Numbers) -> str:
        """How sure it makes."""
        return numbers.bound(self.degree, SEEDS)

    def facts(self) -> list[str]:
        """What was done, in words."""
        said = f"{self.values} values on every GPU of {self.classes} classes of parts ({self.blocks} blocks)"
        fixed = f"; fixed by the plan on a GPU: {', '.join(sorted(self.lacks))}" if self.lacks else ""
        return [f"{said}, {SETS} size sets × {SEEDS} seeds{fixed}"]


def check(
    deployment: Deployment,
    model: ModuleOp,
    sizes: Sizes,
    numbers: Callable[[int], Numbers],
    outcome: Outcome,
    memory: Memory | None = None,
) -> list[Diagnostic]:
    """Run what was emitted against `model` (logical, or of any stage: moves are looked through); fills `outcome`.

    What `memory` holds is not run again, and what is found right is put there.
    """
    known, memory = Model(model), {} if memory is None else memory
    runs = repr((sizes, [numbers(which) for which in range(SETS * SEEDS)])).encode()
    found: list[Diagnostic] = []
    seen: set[bytes] = set()
    for block in blocks(deployment):
        outcome.blocks += 1
        found += rounds.check(block, known)
        steps = known.steps(block)
        outcome.degree = max(outcome.degree, degree(steps))
        for part in parts(block.deployment):
            mark = signature(part, block, steps, runs)
            if mark not in seen:
                seen.add(mark)
                outcome.classes += 1
                result = memory.get(mark) or _run(part, block, steps, sizes, numbers)
                if isinstance(result, Diagnostic):
                    found.append(result)
                else:
                    memory[mark] = result
                    outcome.add(result)
    return found


def _run(
    part: Part, block: Block, model: list[Step], sizes: Sizes, numbers: Callable[[int], Numbers]
) -> Right | Diagnostic:
    """All size sets and seeds of one part; the first difference of the first that shows one."""
    means = tuple(block.means[row] for row in part.rows)
    ops = [step.op for step in model if isinstance(step.op, Operator)]
    lacks: set[str] = set()
    for which in range(SETS):
        extents = choose(ops, part.deployment, sizes, which)
        lacks.update(extents.lacks(part.deployment))
        for seed in range(SEEDS):
            made = Reference.of(
                model, block.repeat.first if block.repeat else None, extents, numbers(which * SEEDS + seed)
            )
            found = _compared(Machine(part.deployment, means, made, extents), part)
            if found is not None:
                return found
    values = sum(row.places.shape[0] * max(row.places.shape[1], 1) for row in part.deployment.rows)
    return Right(values, frozenset(lacks))


def _compared(machine: Machine, part: Part) -> Diagnostic | None:
    """Run the rows in order, holding every output against the model's value."""
    owed = _Owed(machine.deployment)
    for row in machine.deployment.rows:
        try:
            found = _different(machine, row, owed)
        except Impossible as error:
            return about("DEP3", row, str(error))
        if found is not None:
            return _said(row, found, part)
    return None


class _Owed:
    """Addends that rows of one operator make: what they merge to is seen when all of these rows have run."""

    def __init__(self, deployment: Deployment) -> None:
        owing = [(row, port) for row in deployment.rows for port in row.outputs if port.addend is not None]
        self.left = Counter(self._key(row, port) for row, port in owing)
        self.made: dict[object, list[Value]] = defaultdict(list)

    @staticmethod
    def _key(row: Row, port: Port) -> object:
        alone = row.operator is None or isinstance(row.operator, Mover)
        held = tuple(share and (share.parts, share.order, share.of.tobytes()) for share in port.shares)
        return (row.index if alone else (id(row.operator), row.run)), port.local, held

    def whole(self, row: Row, port: Port, value: Value) -> Value | None:
        """What to compare: a value, or what its operator's rows make together; None while one of them is to come."""
        if port.addend is None:
            return value
        key = self._key(row, port)
        if self.left[key] == 1:
            return value
        self.made[key].append(value)
        complete = len(self.made[key]) == self.left[key]
        return together(self.made[key]) if complete else None


def _different(machine: Machine, row: Row, owed: _Owed) -> Difference | None:
    """Run a row; the first output that differs."""
    made, which = machine.run(row), machine.means[row.index]
    if which is None:
        raise Impossible("is no value of the model")
    whole, numbers = machine.reference.of_row(which, row.outputs[0]), machine.reference.numbers
    for port, made_here in zip(row.outputs, made, strict=True):
        value = owed.whole(row, port, made_here)
        if value is None:
            continue
        held = machine.lies(port, value)
        if port.addend is not None and port.addend.merged is not None:
            found = machine.addends.difference(which, port, value, held, numbers)
        else:
            found = difference(port, value, held, whole, numbers)
            machine.addends.learn(which, port, value, held, whole.shape[1:])
        if found is not None:
            return found
    return None


def _said(row: Row, found: Difference, part: Part) -> Diagnostic:
    where = "the host" if row.on_host else f"GPU {int(part.gpus[found.gpu])}"
    at = ", ".join(f"{name}={index}" for name, index in found.at.items())
    more = f" (and on {part.copies - 1} parts alike)" if part.copies > 1 else ""
    problem = f"on {where} is not what the undivided model computes, first at [{at}]{more}"
    return about("DEP3", row, problem, expected=str(found.expected), actual=str(found.actual))
