"""The lowered program is the logical one, operator by operator. Guarantees, against the logical module:

* the mesh has the GPUs of the plan
* layers 0 … n-1 run exactly once, in order (`layers`)
* every operator and every weight of every layer is there exactly once, none is extra, and the order is the same
* an operator may be there in its split form (`forms`), experts in slots, as the plan places them (`slots`)
* each has the same properties (a tied weight its tie), the same undivided result, and reads what it read
* the GPUs of a pool hold every part of a weight, each equally often (`shards`)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import zip_longest

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute

from ...diagnostics import Diagnostic
from ...ir.module import mesh_of, plan_of
from ...ir.op import Operator, tensor_of
from ...ir.ops.program import Resident
from . import layers, shards, slots
from .findings import finding, site
from .forms import computed
from .program import Identity, Step, sample, spans, steps
from .stages import Stage, stage_of

Found = dict[Identity, Step]


def check(module: ModuleOp, logical: ModuleOp | None = None) -> list[Diagnostic]:
    """What a module lacks, adds or changes. Without a logical module: what it shows by itself."""
    found = [
        *_gpus(module),
        *layers.check(module, layers.count(logical or module)),
        *shards.check(module),
        *slots.check(module),
    ]
    if found or logical is None:
        return found
    shown = sample(spans(module), spans(logical))
    return _against(module, logical, shown) and _against(module, logical, None)


def _against(module: ModuleOp, logical: ModuleOp, shown: frozenset[int] | None) -> list[Diagnostic]:
    """What differs in these layers, or in all."""
    actual = steps(module, shown)
    return _compare(actual, computed(steps(logical, shown), {step.identity: step.op for step in actual}))


def _gpus(module: ModuleOp) -> Iterator[Diagnostic]:
    plan, mesh = plan_of(module), mesh_of(module)
    if plan is not None and stage_of(module) is not Stage.LOGICAL and plan.gpus != mesh.gpus:
        problem = f"the mesh has {mesh.gpus} GPUs, the plan {plan.name} {plan.gpus}"
        yield finding("coverage", module, problem, expected=str(plan.gpus), actual=str(mesh.gpus))


def _compare(actual: list[Step], expected: list[Step]) -> list[Diagnostic]:
    have, want = ({step.identity: step for step in each} for each in (actual, expected))
    counts = Counter(step.identity for step in actual)
    found = [
        *_listed("is missing", [step for key, step in want.items() if key not in have]),
        *_listed("is not in the model", [step for key, step in have.items() if key not in want]),
        *_listed("is there more than once", [have[key] for key, count in counts.items() if count > 1]),
    ]
    return found or [*_changed(have, want), *_order(actual, expected)]


def _listed(problem: str, missing: list[Step]) -> Iterator[Diagnostic]:
    """One finding per path, naming its layers."""
    by_path: dict[str, list[Step]] = defaultdict(list)
    for step in missing:
        by_path[step.identity[1]].append(step)
    for path, group in by_path.items():
        layers_ = [layer for step in group if (layer := step.identity[0]) is not None]
        where = f" in layers {ranges(layers_)}" if layers_ else ""
        op = group[0].op
        kind = op.name.removeprefix("dag.") if isinstance(op, Resident) else "operator"
        yield Diagnostic("coverage", f"{kind} {path}{where} {problem}", site(op))


def ranges(layers_: list[int]) -> str:
    """
    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2, 5, 7-8'
    """
    runs: list[list[int]] = []
    for layer in sorted(layers_):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _changed(have: Found, want: Found) -> Iterator[Diagnostic]:
    """Operators that are there, but are not what they were; each operator of a body once."""
    seen: set[tuple[Operator, str]] = set()
    for key, step in have.items():
        for problem in _differences(step, want[key]):
            if (step.op, problem) not in seen:
                seen.add((step.op, problem))
                yield finding("coverage", step.op, problem)


def _differences(step: Step, model: Step) -> Iterator[str]:
    op, original = step.op, model.op
    if op.name != original.name:
        yield f"is {op.name}, in the model {original.name}"
        return
    mine, its = _properties(op), _properties(original)
    for name in sorted(mine.keys() | its.keys()):
        if mine.get(name) != its.get(name):
            yield f"{name} is {mine.get(name)}, in the model {its.get(name)}"
    if not tensor_of(op.out).logical().same_value(tensor_of(original.out).logical()):
        yield f"its undivided result is not the model's: {tensor_of(op.out).names}"
    for index, (reads, read) in enumerate(zip_longest(step.reads, model.reads)):
        if reads != read:
            yield f"operand {index} is {_text(reads)}, in the model {_text(read)}"


def _properties(op: Operator) -> dict[str, Attribute]:
    """All but the path, which numbers layers by where their body starts."""
    return {name: value for name, value in op.properties.items() if name != "path"}


def _text(identity: Identity | None) -> str:
    if identity is None:
        return "nothing"
    layer, path = identity
    return path if layer is None else f"{path} of layer {layer}"


def _order(actual: list[Step], expected: list[Step]) -> Iterator[Diagnostic]:
    """The first operator out of order. That of what is resident means nothing."""
    mine, its = ([step for step in each if not isinstance(step.op, Resident)] for each in (actual, expected))
    for step, model in zip(mine, its, strict=True):
        if step.identity != model.identity:
            problem = f"{_text(step.identity)} comes where {_text(model.identity)} is next"
            yield finding("coverage", step.op, problem)
            return
