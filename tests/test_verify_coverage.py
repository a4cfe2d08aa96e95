"""The fourth layer of defence: what the lowered program lacks, adds or changes of the logical one is found."""

from collections.abc import Callable

import pytest
from plans import MIXED, at, bypass, give, logical, lowered
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.rewriter import InsertPoint, Rewriter

from dagc.ir.dims import number
from dagc.ir.layout import Dim, Tensor
from dagc.ir.mesh import Mesh
from dagc.ir.module import annotate
from dagc.ir.op import attribute, retype, tensor_of
from dagc.ir.ops.move import Mover
from dagc.ir.ops.program import RepeatOp
from dagc.passes.verify.coverage import check, ranges
from dagc.passes.verify.program import steps
from dagc.passes.verify.shards import held

Break = Callable[[ModuleOp], object]
QUERY = "layers.attention.q_rope"
LSE = "layers.attention.core.softmax.lse"


def repeats(module: ModuleOp) -> list[RepeatOp]:
    return [op for op in module.ops if isinstance(op, RepeatOp)]


def span(op: RepeatOp, first: int, last: int, period: int = 1) -> None:
    op.properties |= {"first": attribute(first), "last": attribute(last), "period": attribute(period)}


def swapped_layers(module: ModuleOp) -> None:
    first, second = repeats(module)
    spans = first.span, second.span
    span(first, *spans[1])
    span(second, *spans[0])


def dropped_repeat(module: ModuleOp) -> None:
    op = repeats(module)[1]
    op.out.replace_all_uses_with(op.init)
    op.detach()
    op.erase()


def renamed(path: str, new: str) -> Break:
    return lambda module: at(module, path).properties.update({"path": StringAttr(new)})


def changed(path: str, **properties: object) -> Break:
    made = {name: attribute(value) for name, value in properties.items()}
    return lambda module: at(module, path).properties.update(made)


def doubled(module: ModuleOp) -> None:
    op = at(module, QUERY)
    made = op.clone()
    Rewriter.insert_op(made, InsertPoint.after(op))
    op.out.replace_uses_with_if(made.results[0], lambda use: use.operation is not made)
    made.operands = [op.out]


def keys_for_values(module: ModuleOp) -> None:
    core = at(module, "layers.attention.core.context")
    core.operands = [core.operands[0], at(module, "layers.attention.core.k_cache").out]


def other_statistic(module: ModuleOp) -> None:
    norm = at(module, "layers.ffn_norm")
    norm.operands = [norm.operands[0], at(module, "layers.attention_norm.mean_square").out, norm.operands[2]]


def exchanged_names(module: ModuleOp) -> None:
    first, second = at(module, "layers.attention.k_rope"), at(module, "layers.attention.core.k_cache")
    paths = first.properties["path"], second.properties["path"]
    second.properties["path"], first.properties["path"] = paths


def another_size(module: ModuleOp) -> None:
    value = at(module, "layers.attention_norm.weight").out
    retype(value, Tensor((Dim("hidden", number(32)),), "bf16", pool=tensor_of(value).pool))


def late_norm(module: ModuleOp) -> None:
    """k's norm before q's: neither reads the other."""
    first, second = at(module, "layers.attention.q_norm"), at(module, "layers.attention.k_norm.weight")
    norm = at(module, "layers.attention.k_norm")
    for op in (second, norm):
        op.detach()
    Rewriter.insert_op([second, norm], InsertPoint.before(first))


def to_diagonal(module: ModuleOp) -> None:
    give(at(module, "head.weight"), vocab=(), hidden=("tp", "tp"))


FAULTS: dict[str, tuple[str, str, Break]] = {
    "layers swapped": ("tp_pp", "come where layer 0 is next", swapped_layers),
    "a repeat dropped": ("tp_pp", "the last layer run is 1", dropped_repeat),
    "a layer too few": ("tp", "the last layer run is 2", lambda m: span(repeats(m)[0], 0, 2)),
    "a layer twice": ("tp_pp", "come where layer 2 is next", lambda m: span(repeats(m)[1], 1, 3)),
    "layers not numbered": ("tp", "a body of 2 layers", lambda m: span(repeats(m)[0], 0, 3, 2)),
    "an operator dropped": ("tp", "q_rope in layers 0-3 is missing", lambda m: bypass(at(m, QUERY))),
    "an operator twice": ("tp", "q_rope in layers 0-3 is there more than once", doubled),
    "an operator too many": ("tp", "extra in layers 0-3 is not in", renamed(QUERY, "layers.extra")),
    "a weight of another": (
        "tp", "weight layers.ffn_norm.weight in layers 0-3 is there more than once",
        renamed("layers.attention_norm.weight", "layers.ffn_norm.weight")),
    "a property changed": ("tp", "causal is", changed("layers.attention.core.mask", causal=False)),
    "a scale changed": ("tp", "k is", changed("layers.moe.top_k", k=3)),
    "another operator": ("tp", "is dag.cache, in the model dag.rope", exchanged_names),
    "values from keys": ("tp", "operand 1 is layers.attention.core.k_cache of layer 0", keys_for_values),
    "half of a split form": ("split_kv", "is dag.exp_minus, in the model dag.softmax", lambda m: bypass(at(m, LSE))),
    "a statistic over another name": ("split_kv", "over is", changed(LSE, over="heads")),
    "another norm's statistic": ("hidden", "operand 1 is layers.attention_norm.mean_square of", other_statistic),
    "another size": ("tp", "undivided result is not the model's", another_size),
    "another order": ("tp", "comes where layers.attention.q_norm of layer 0 is next", late_norm),
    "another mesh": ("tp", "the mesh has 4 GPUs, the plan tp 8", lambda m: annotate(m, mesh=Mesh.of((("tp", 4),)))),
    "a shard lost": ("tp", "do not hold the weight exactly", to_diagonal),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str) -> None:
    plan, says, break_ = FAULTS[name]
    module = lowered(plan)
    assert not check(module, logical())
    break_(module)
    found = check(module, logical())
    assert {diagnostic.code for diagnostic in found} == {"coverage"}
    assert any(says in diagnostic.problem for diagnostic in found), [d.problem for d in found]


def test_a_lost_tie_is_found() -> None:
    module = lowered("tp_pp", MIXED)
    assert not check(module, logical(MIXED))
    del at(module, "head.weight").properties["tied"]
    (found,) = check(module, logical(MIXED))
    assert found.problem == 'tied is None, in the model "embed.weight"'


def test_a_module_without_layers_is_not_the_model() -> None:
    module = lowered("tp")
    op = repeats(module)[0]
    op.out.replace_all_uses_with(op.init)
    op.detach()
    assert [d.problem for d in check(module, logical())] == ["no layer is run"]


def test_without_the_logical_module_what_shows_by_itself_is_found() -> None:
    module = lowered("tp_pp")
    assert not check(module)
    swapped_layers(module)
    assert check(module)


def test_steps_look_through_moves_and_split_repeats() -> None:
    read = {step.identity: step.reads for step in steps(lowered("tp_pp_uneven", MIXED))}
    assert read[0, "layers.attention_norm"][0] == (None, "embed")
    assert read[1, "layers.attention_norm"][0] == (0, "layers.ffn_residual")
    assert read[None, "final_norm"][0] == (3, "layers.ffn_residual")
    assert not any(isinstance(step.op, Mover) for step in steps(lowered("tp")))


def test_layers_are_named_as_ranges() -> None:
    assert ranges([7, 0, 1, 2, 8, 5]) == "0-2, 5, 7-8"


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (("ep",), ("tp",), ""),
        ((), ("tp",), ""),
        ((), ("ep", "tp"), ""),
        (("ep",), ("ep",), "2 distinct parts of 4"),
        (("ep", "ep"), (), "2 distinct parts of 4"),
        (("xp",), (), ""),
    ],
)
def test_shards_fill_the_weight(first: tuple[str, ...], second: tuple[str, ...], says: str) -> None:
    weight = Tensor((Dim("ffn", number(8), first), Dim("hidden", number(8), second)), "bf16", pool="all")
    assert held(Mesh.of((("ep", 2), ("tp", 4))), weight) == says
