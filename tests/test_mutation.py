"""The mutation suite: every fault that matters is caught, in every class, under every strategy; what is right passes.

`python benchmarks/mutation.py` prints the table of classes × layers of defence.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import small_models
from mutation import catalogue, legal
from mutation.cases import APART, CASES, WEIGHTS, Case
from mutation.classes import GRAPH_FAULTS, MODULE_FAULTS, RUN_FAULTS
from mutation.defence import findings
from mutation.interpreter import run
from mutation.suite import computes_the_model, run_case, spread

from dagc.frontends.build import build
from dagc.frontends.strategy import strategies
from dagc.ir.evaluate import evaluate
from dagc.ir.module import annotate, sizes_of
from dagc.ir.plan import Plan
from dagc.passes.expand import expand
from dagc.pipeline import lower

FAULTS = {**GRAPH_FAULTS, **RUN_FAULTS, **{f"module: {name}": fault for name, fault in MODULE_FAULTS.items()}}
LEAST = 1000
"""Mutants that change something, over all cases."""


def each_case(*values: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", values or CASES, ids=lambda case: case.name)


@each_case(*CASES, *APART)
def test_every_mutant_that_matters_is_caught(case: Case) -> None:
    results = run_case(case)
    missed = [result for result in results if result.survived]
    assert not missed, "\n".join(f"{r.family}: {r.fault}: {r.where} {r.crash}" for r in missed)
    assert sum(not result.equal for result in results) >= case.faults


def test_there_are_a_thousand_mutants() -> None:
    assert sum(case.faults for case in CASES) >= LEAST


def test_every_shipped_strategy_is_mutated() -> None:
    used = {entry.split("=")[0] for case in CASES for entry in case.strategy.split(",")}
    assert {strategy.name for strategy in strategies()} <= used


def test_every_class_of_the_catalogue_is_covered_or_cannot_be() -> None:
    covered = {number for fault in FAULTS.values() for number in fault.catalogue.split()}
    assert covered | catalogue.IMPOSSIBLE.keys() == catalogue.BUGS.keys()
    assert not covered & catalogue.IMPOSSIBLE.keys()


@pytest.mark.parametrize("name", GRAPH_FAULTS)
def test_a_class_has_places_in_graphs(name: str) -> None:
    assert any(next(iter(GRAPH_FAULTS[name].inject(case.deployment)), None) for case in CASES)


@pytest.mark.parametrize("name", RUN_FAULTS)
def test_a_class_has_places_between_runs(name: str) -> None:
    assert all(next(iter(RUN_FAULTS[name].inject(case.deployment)), None) for case in APART)


@pytest.mark.parametrize("name", MODULE_FAULTS)
def test_a_class_has_places_in_modules(name: str) -> None:
    assert any(next(iter(MODULE_FAULTS[name].inject(case.lowered)), None) for case in CASES)


@each_case()
def test_legal_variants_pass(case: Case) -> None:
    for name, variants in legal.LEGAL.items():
        for where, variant in spread(list(variants(case.deployment)), 2):
            assert computes_the_model(case, variant), f"{name}: {where} is not legal"
            assert not findings(case, variant), f"{name}: {where}: {findings(case, variant)[0]}"


@pytest.mark.parametrize("name", legal.LEGAL)
def test_a_legal_variant_has_places(name: str) -> None:
    assert any(next(iter(legal.LEGAL[name](case.deployment)), None) for case in CASES)


@each_case(*CASES, *APART)
def test_what_is_not_mutated_passes(case: Case) -> None:
    assert not findings(case, case.lowered)
    assert not findings(case, case.deployment)


@each_case(*APART)
def test_runs_apart_compute_the_undivided_prefill(case: Case) -> None:
    assert computes_the_model(case, case.deployment)


# The judge itself.


def everything() -> Iterator[object]:
    """Every plan, on two models in turn (on all models, `test_verify_meaning` runs what they emit); a plan that cuts
    nothing of a model is none.
    """
    models = list(small_models.MODELS)
    for at, (name, plan) in enumerate(small_models.PLANS.items()):
        for model in (models[at % len(models)], models[(at + 2) % len(models)]):
            listed = small_models.plan((), small_models.LISTED[model], pp=2)
            if (model, name) != ("dense", "ep replicated"):
                yield pytest.param(model, listed if name == "pp listed" else plan, id=f"{model}-{name}")


@pytest.mark.parametrize(("model", "plan"), [*everything()])
def test_the_judge_runs_emitted_graphs_as_the_undivided_model(model: str, plan: Plan) -> None:
    made, expected = both(model, plan)
    assert np.allclose(made, expected, rtol=1e-9, atol=1e-12)


def both(model: str, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """What the emitted graph computes, and the undivided model."""
    module = build(small_models.MODELS[model])
    annotate(module, sizes=sizes_of(module).bind(**small_models.SIZES))
    given = Case(model, "").inputs(0)
    expected = evaluate(module, given, WEIGHTS)
    annotate(module, plan=plan)
    return run(expand(lower(module), model), given, WEIGHTS), expected


@each_case()
def test_the_judge_sees_a_gpu_that_loads_another_weight(case: Case) -> None:
    for where, mutant in spread(list(GRAPH_FAULTS["another parameter on one GPU"].inject(case.deployment)), 3):
        assert not computes_the_model(case, mutant), where
