"""The first layer of defence: every way in which a module is no IR is found, all at once and without a traceback."""

import pytest
from plans import at, give, logical, lowered

from dagc.diagnostics import Refused
from dagc.ir.dialect import parse_module
from dagc.passes.verify import verify_module
from dagc.passes.verify.stages import Stage
from dagc.passes.verify.wellformed import check, stage_of
from dagc.pipeline import text_of

H = "!dag.tensor<[hidden = 4], bf16>"
BEGIN = f'%x = dag.input() at "input" : -> {H}\n'
END = f'%o = dag.output(%y) at "output" : {H} -> {H}\n'


def scale(result: str, operand: str, kind: str = H) -> str:
    return f'%{result} = dag.scale(%{operand}) at "s.{result}" {{factor = 2.0 : f64}} : {kind} -> {kind}\n'


def repeat(body: str, span: str = "0 to 1 period 1", value: str = "z") -> str:
    return f"%y = dag.repeat %h = %x layers {span} : {H} {{\n{body}dag.yield %{value} : {H}\n}}\n"


def codes(body: str) -> list[str]:
    return sorted(diagnostic.code for diagnostic in check(parse_module(f"builtin.module {{\n{body}}}")))


def test_a_small_module_is_well_formed() -> None:
    assert codes(BEGIN + scale("y", "x") + END) == []
    assert codes(BEGIN + repeat(scale("z", "h")) + END) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (BEGIN + scale("y", "z") + scale("z", "x") + END, "ill-formed"),
        (BEGIN + repeat(scale("z", "x") + scale("w", "h") + scale("v", "w"), value="v") + END, "ill-formed"),
        (BEGIN + scale("y", "x"), "DAG2"),
        (scale("y", "y") + END, "DAG2"),
        (BEGIN + BEGIN.replace("%x", "%x2") + scale("y", "x") + END, "DAG2"),
        (BEGIN + scale("y", "x") + scale("unused", "x") + END, "DAG3"),
        (BEGIN + f'%w = dag.weight() at "w" : -> {H}\n' + scale("y", "x") + END, "DAG3"),
        (BEGIN + repeat(f'%z = dag.weight() at "w" : -> {H}\n') + END, "DAG3"),
    ],
    ids=["before definition", "from outside", "no output", "no input", "two inputs", "unused value",
         "unused weight", "unused carried value"],
)  # fmt: skip
def test_definitions_and_uses(body: str, code: str) -> None:
    assert code in codes(body)


def test_values_do_not_leave_their_region() -> None:
    module = parse_module(f"builtin.module {{\n{BEGIN}{repeat(scale('z', 'h'))}{scale('w', 'y').replace('%w', '%v')}}}")
    inner, outer = at(module, "s.z"), at(module, "s.w")
    outer.operands = [inner.out]
    assert any("defined in another region" in diagnostic.problem for diagnostic in check(module))
    outer.operands = [inner.operands[0]]
    assert any("another repeat carries" in diagnostic.problem for diagnostic in check(module))
    inner.detach()
    outer.operands = [inner.out]
    assert any("defined nowhere" in diagnostic.problem for diagnostic in check(module))


@pytest.mark.parametrize(
    "body",
    [
        f'%y = dag.add(%x) at "a" : {H} -> {H}\n',
        '%y = dag.add() at "a" : -> !dag.tensor<[hidden = 4], bf16>\n',
        f'%y = dag.softmax(%x) at "a" {{over = "heads"}} : {H} -> {H}\n',
        f'%y = dag.activate(%x) at "a" {{function = "sine"}} : {H} -> {H}\n',
        f'%y = dag.slice(%x) at "a" : {H} -> {H}\n',
        f'"builtin.unrealized_conversion_cast"(%x) : ({H}) -> ()\n{scale("y", "x")}',
        f"builtin.module {{}}\n{scale('y', 'x')}",
        repeat(scale("z", "h"), "0 to 4 period 2"),
        repeat(BEGIN.replace("%x", "%i") + scale("z", "h")),
        repeat(repeat(scale("z", "h")).replace("%y", "%w").replace("%h = %x", "%k = %h"), value="w"),
        f'%w = dag.scale(%x) at "a" {{factor = 2.0 : f64}} : {H} -> !dag.tensor<[hidden = 8], bf16>\n{scale("y", "x")}',
        f'%w = dag.weight() at "w" : -> !dag.tensor<[hidden = 0], bf16>\n{scale("y", "x")}',
        f'%w = dag.weight() at "w" : -> !dag.tensor<[k = 2, k = 2], bf16>\n{scale("y", "x")}',
    ],
    ids=["too few operands", "no operand", "rule refuses", "unknown function", "property missing", "foreign operator",
         "module in a module", "no whole rounds", "input in a body", "repeat in a repeat", "wrong result size",
         "size zero", "name twice"],
)  # fmt: skip
def test_structure(body: str) -> None:
    found = check(parse_module(f"builtin.module {{\n{BEGIN}{body}{END}}}"))
    assert {diagnostic.code for diagnostic in found} >= {"ill-formed"}
    assert all(len(diagnostic.problem) < 500 for diagnostic in found)


@pytest.mark.parametrize(
    "mesh",
    [
        "[all [tp = 0]]",
        "[all [tp = 2, tp = 2]]",
        "[all [tp = 100000000]]",
        "[a [tp = 2], b [tp = 4]]",
        "[a [tp = 2], a [tp = 2]]",
        "[a [tp = 2], host [tp = 2]]",
        "[a [tp = 2], b [tp = 2] from 1]",
        "[a [tp = 2] by [2, 1]]",
    ],
    ids=[
        *("no GPUs", "axis twice", "too many GPUs", "axis of two sizes", "pool twice"),
        *("pool called host", "pools overlap", "strides without axes"),
    ],
)
def test_the_mesh_is_sane(mesh: str) -> None:
    body = f"{BEGIN}{scale('y', 'x')}{END}"
    module = parse_module(f"builtin.module attributes {{dag.mesh = #dag.mesh<{mesh}>}} {{\n{body}}}")
    assert [diagnostic.code for diagnostic in check(module)] == ["ill-formed"]


def test_everything_odd_is_said_at_once_and_nothing_after() -> None:
    odd = f'%a = dag.add(%x) at "a" : {H} -> {H}\n%b = dag.add(%a) at "b" : {H} -> {H}\n'
    verdict = verify_module(parse_module(f"builtin.module {{\n{odd}{BEGIN}}}"))
    assert [diagnostic.where for diagnostic in verdict.diagnostics] == ["a", "b"]
    assert not verdict.proofs
    assert not verify_module(parse_module("builtin.module {}")).holds


def test_a_finding_names_file_line_and_path() -> None:
    module = logical()
    op = at(module, "layers.attention_norm")
    op.properties.pop("eps")
    (found,) = check(module)
    assert found.where.endswith("layers.attention_norm")
    assert "eps" in found.problem


def test_a_logical_module_says_nothing_of_devices() -> None:
    module = logical()
    assert stage_of(module) is Stage.LOGICAL
    give(at(module, "layers.attention.core.scores"), heads=("tp",))
    assert {diagnostic.code for diagnostic in check(module)} == {"ill-formed"}


def test_a_module_is_of_one_stage() -> None:
    text = text_of(lowered("tp"), locations=False)
    gathered = text.replace("dag.gather(", "dag.move(")
    mixed = check(parse_module(gathered))
    assert [diagnostic.problem for diagnostic in mixed] == ["dag.move in a lowered module"]
    unplaced = lowered("tp")
    give(at(unplaced, "layers.attention.q_proj"), pool="")
    assert "a value without GPUs" in check(unplaced)[0].problem


def test_odd_modules_are_found_without_a_traceback() -> None:
    """Every tenth line of a lowered module, left out or put twice: what still parses is no longer the model."""
    lines = text_of(lowered("ep_tp"), locations=False).splitlines()
    for at_ in range(2, len(lines) - 2, 10):
        for changed in (lines[:at_] + lines[at_ + 1 :], lines[:at_] + lines[at_ : at_ + 1] + lines[at_:]):
            try:
                module = parse_module("\n".join(changed))
            except Refused:
                continue
            assert not verify_module(module, logical()).holds
