"""What is right passes: every plan on every model, at every stage, with sizes bound and free."""

import doctest
from importlib import import_module

import pytest
from plans import MIXED, MOE, PLANS, logical, lowered

from dagc.frontends.build import build
from dagc.ir.dialect import parse_module
from dagc.ir.module import annotate
from dagc.passes.expand import expand
from dagc.passes.verify import verify_graph, verify_module
from dagc.passes.verify.stages import Stage, stage_of
from dagc.pipeline import lower, text_of

MODELS = {"moe": MOE, "mixed": MIXED}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", PLANS)
def test_a_right_plan_is_proven(name: str, model: str) -> None:
    verdict = verify_module(lowered(name, MODELS[model]), logical(MODELS[model]))
    assert verdict.holds, "\n".join(map(str, verdict.diagnostics))
    assert verdict.preconditions
    assert all(condition.holds for condition in verdict.preconditions)


@pytest.mark.parametrize("name", PLANS)
def test_its_graph_obeys_the_laws(name: str) -> None:
    verdict = verify_graph(expand(lowered(name), "moe"))
    assert verdict.holds, "\n".join(map(str, verdict.diagnostics))


@pytest.mark.parametrize("name", ["ep_tp", "tp_sp", "two_level", "cp"])
def test_a_plan_is_proven_for_all_sizes(name: str) -> None:
    verdict = verify_module(lowered(name, bound=False), build(MOE))
    assert verdict.holds, "\n".join(map(str, verdict.diagnostics))


@pytest.mark.parametrize("name", ["ep_tp", "tp_pp"])
def test_every_stage_is_proven_and_named(name: str) -> None:
    stages = []

    def watch(step: str, module: object) -> None:
        verdict = verify_module(module, logical())  # type: ignore[arg-type]
        assert verdict.holds, "\n".join([step, *map(str, verdict.diagnostics)])
        stages.append(stage_of(module))  # type: ignore[arg-type]

    module = logical()
    annotate(module, plan=PLANS[name])
    lower(module, watch)
    assert stages == [Stage.LOGICAL] + 3 * [Stage.PLACED] + [Stage.SHARDED] + 2 * [Stage.LOWERED]


def test_the_verdict_survives_the_text() -> None:
    assert verify_module(parse_module(text_of(lowered("ep_tp", MIXED))), logical(MIXED)).holds


@pytest.mark.parametrize("name", ["connected", "coverage", "dimensions", "findings", "rows"])
def test_examples_in_docstrings_are_true(name: str) -> None:
    module = import_module(f"dagc.passes.verify.{name}")
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
