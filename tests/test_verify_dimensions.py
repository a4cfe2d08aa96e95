"""The second layer of defence: parts that do not add up, for all sizes, are found, and the missing fact is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import at, give, logical, lowered
from xdsl.dialects.builtin import ModuleOp

from dagc.ir.dims import Definition, Sizes, parse, symbol
from dagc.ir.layout import Dim
from dagc.ir.mesh import Mesh
from dagc.ir.module import annotate, mesh_of, sizes_of
from dagc.passes.verify import verify_module
from dagc.passes.verify.dimensions import adds_up, check
from dagc.passes.verify.division import Answer, divide

FREE = Sizes((("B", None), ("S", None)))


def texts(module: ModuleOp) -> dict[str, bool | None]:
    return {condition.text: condition.holds for condition in check(module)[1].preconditions}


def test_preconditions_are_listed_once_and_hold() -> None:
    assert texts(lowered("ep_tp")) == {
        "ep | batch_size": True, "ep | experts": True, "tp | vocab": True, "tp | heads": True, "tp | kv_heads": True,
        "tp | ffn": True,
    }  # fmt: skip


def test_a_free_size_is_an_assumption() -> None:
    module = lowered("ep_tp", bound=False)
    assert texts(module)["ep | batch_size"] is None
    (assumed,) = [c for c in check(module)[1].preconditions if c.holds is None]
    assert assumed.because == "for every B divisible by 4"


def test_a_derived_size_is_proven_for_all_sizes() -> None:
    proven = check(lowered("ep_tp"))[1].proven
    assert any("expert_tokens = T: ep parts" in fact and "multiple of 4 for all sizes" in fact for fact in proven)
    assert "conservation: 8 experts · B*S/4 rows = 2*B*S rows chosen" in proven


def test_replicas_count_once() -> None:
    assert adds_up(Dim("heads", symbol("H"), ("ep", "tp")))
    assert not adds_up(Dim("heads", symbol("H"), ("tp", "tp")))


def test_an_indivisible_dimension_names_both_numbers_and_what_works() -> None:
    module = lowered("tp")
    annotate(module, mesh=Mesh.of((("tp", 6),)))
    found = {d.problem.split(" = ")[0]: d for d in check(module)[0]}
    heads = found["tp (6 parts) does not divide heads"]
    assert (heads.code, heads.actual, heads.expected) == ("indivisible", "6", "a divisor of 16 (1, 2, 4, 8, 16)")
    assert heads.hint == "cut it into 4 or 8 parts"
    assert heads.where == "layers.attention.q_proj.weight"


def test_a_bound_size_is_held_against_its_precondition() -> None:
    module = lowered("ep", bound=False)
    assert not check(module)[0]
    annotate(module, sizes=sizes_of(module).bind(B=12, S=32))
    assert {d.code for d in check(module)[0]} == {"indivisible"}


def test_parts_that_do_not_add_up_are_refuted_with_a_counterexample() -> None:
    module = lowered("tp")
    give(at(module, "layers.attention.q_proj"), heads=("tp", "tp"))
    found = [d for d in check(module)[0] if d.code == "unproven"]
    assert "axis tp cuts it twice" in found[0].problem
    assert "8 parts of 1 add up to 8" in found[0].actual


def test_what_is_unknown_names_the_missing_fact() -> None:
    module = lowered("tp")
    give(at(module, "layers.attention.q_proj"), heads=("xp",))
    (found,) = check(module)[0]
    assert (found.code, found.actual) == ("unproven", "missing: the size of axis xp")


def test_lost_rows_are_found() -> None:
    for exact, shown in (("B*S/8", "P*ceildiv(B*S, 8*P)"), ("B*S/4", "P*ceildiv(B*S, 5*P)")):
        module = lowered("ep")
        annotate(module, sizes=sizes_of(module).define("T", parse(shown), parse(exact)))
        assert "unproven" in {d.code for d in check(module)[0]}


@pytest.mark.parametrize(
    ("parts", "size", "answer"),
    [
        (8, "64", Answer.HOLDS),
        (7, "64", Answer.REFUTED),
        (8, "B", Answer.ASSUMED),
        (8, "8*B", Answer.PROVEN),
        (8, "P", Answer.PROVEN),
        (4, "T", Answer.PROVEN),
        (16, "T", Answer.UNKNOWN),
        (16, "U", Answer.REFUTED),
        (3, "X", Answer.UNKNOWN),
        (3, "Y", Answer.UNKNOWN),
    ],
)
def test_answers(parts: int, size: str, answer: Answer) -> None:
    meanings = {"P": "8", "T": "P*ceildiv(B*S, 4)", "U": "P*ceildiv(B*S, 1024)", "Y": "X"}
    defined = tuple(Definition(name, parse(meaning), parse(meaning)) for name, meaning in meanings.items())
    assert divide(parts, parse(size), Sizes(FREE.bound, defined)).answer is answer


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 12), st.integers(1, 12))
def test_what_is_proven_is_true_of_numbers(parts: int, factor: int, batch: int, seq: int) -> None:
    size = parse(f"{factor}*B*S + {factor * parts}*S")
    division = divide(parts, size, FREE)
    value = factor * batch * seq + factor * parts * seq
    if division.answer is Answer.PROVEN:
        assert value % parts == 0
    bound = divide(parts, size, FREE.bind(B=batch, S=seq))
    assert (bound.answer is Answer.REFUTED) == (value % parts != 0)


def test_the_verdict_carries_the_proof() -> None:
    module = lowered("tp")
    verdict = verify_module(module, logical())
    assert mesh_of(module).gpus == 8
    assert [c.because for c in verdict.preconditions if c.text == "tp | heads"] == ["16 = 8 · 2"]
    assert any(fact.startswith("dimensions:") for fact in verdict.proofs)
