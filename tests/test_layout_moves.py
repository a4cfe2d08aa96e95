"""Communication from differences: the moves between two layouts end where they should and are those of the textbook."""

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dagc.ir.dims import symbol
from dagc.ir.layout import Dim, Tensor
from dagc.passes.moves import Step, steps

AXES = ("dp", "cp", "ep", "tp")
NAMES = ("batch_size", "seq_len", "heads", "experts")


def tensor(owes: tuple[str, ...] = (), **cuts: str) -> Tensor:
    """A value whose dimensions, in this order, are cut by these axes (given in words)."""
    return Tensor(tuple(Dim(name, symbol(name), tuple(axes.split())) for name, axes in cuts.items()), "bf16", owes)


def moves(have: Tensor, need: Tensor) -> list[str]:
    """The steps in words: `all_to_all dp tp: expert_tokens → experts`."""
    return [f"{s.kind} {' '.join(s.axes)}{_where(s)}" for s in steps(have, need)]


def _where(step: Step) -> str:
    if not step.dim:
        return ""
    return f": {step.dim}" + (f" → {step.to}" if step.to != step.dim else "")


# The textbook.

TEXTBOOK = {
    "nothing to do": (tensor(seq_len="tp", hidden=""), tensor(seq_len="tp", hidden=""), []),
    "TP pays after o_proj and down_proj": (tensor(("tp",), seq_len=""), tensor(seq_len=""), ["all_reduce tp"]),
    "TP+SP scatters the sum": (
        tensor(("tp",), seq_len="", hidden=""),
        tensor(seq_len="tp", hidden=""),
        ["reduce_scatter tp: seq_len"],
    ),
    "TP+SP gathers before projections": (tensor(seq_len="tp"), tensor(seq_len=""), ["all_gather tp: seq_len"]),
    "SP inside DP": (
        tensor(("tp",), batch_size="dp", seq_len=""),
        tensor(batch_size="dp", seq_len="tp"),
        ["reduce_scatter tp: seq_len"],
    ),
    "Ulysses": (
        tensor(seq_len="sp", heads=""),
        tensor(seq_len="", heads="sp"),
        ["all_to_all sp: seq_len → heads"],
    ),
    "Ulysses inside TP": (
        tensor(seq_len="sp", heads="tp"),
        tensor(seq_len="", heads="tp sp"),
        ["all_to_all sp: seq_len → heads"],
    ),
    "Ulysses back": (
        tensor(seq_len="", heads="sp"),
        tensor(seq_len="sp", heads=""),
        ["all_to_all sp: heads → seq_len"],
    ),
    "tokens over two axes to experts over both": (
        tensor(expert_tokens="dp tp", experts=""),
        tensor(expert_tokens="", experts="dp tp"),
        ["all_to_all dp tp: expert_tokens → experts"],
    ),
    "the inner axis of the tokens to experts": (
        tensor(expert_tokens="dp ep", experts=""),
        tensor(expert_tokens="dp", experts="ep"),
        ["all_to_all ep: expert_tokens → experts"],
    ),
    "EP×TP pays after the combine": (
        tensor(("ep", "tp"), batch_size="", hidden=""),
        tensor(batch_size="", hidden=""),
        ["all_reduce ep tp"],
    ),
    "experts of EP and TP on the tokens' GPUs": (
        tensor(experts="", expert_tokens="dp tp cp"),
        tensor(experts="dp cp", expert_tokens=""),
        ["all_to_all dp cp: expert_tokens → experts", "all_gather tp: expert_tokens"],
    ),
    "and back, undone in turn": (
        tensor(("tp",), experts="dp cp", expert_tokens=""),
        tensor(experts="", expert_tokens="dp tp cp"),
        ["reduce_scatter tp: expert_tokens", "all_to_all dp cp: experts → expert_tokens"],
    ),
    "one of two debts is scattered": (
        tensor(("cp", "tp"), seq_len=""),
        tensor(seq_len="tp"),
        ["reduce_scatter tp: seq_len", "all_reduce cp"],
    ),
    "a debt that stays owed is not paid": (
        tensor(("ep", "tp"), seq_len=""),
        tensor(("ep",), seq_len=""),
        ["all_reduce tp"],
    ),
    "a gather over two axes is one": (tensor(seq_len="dp tp"), tensor(seq_len=""), ["all_gather dp tp: seq_len"]),
    "only the inner part is gathered": (tensor(seq_len="dp tp"), tensor(seq_len="dp"), ["all_gather tp: seq_len"]),
    "a slice costs nothing": (tensor(experts=""), tensor(experts="ep tp"), ["slice ep tp: experts"]),
    "experts are sliced where tokens are copied": (
        tensor(expert_tokens="dp", experts=""),
        tensor(expert_tokens="", experts="dp tp"),
        ["all_to_all dp: expert_tokens → experts", "slice tp: experts"],
    ),
    "an outer axis cannot leave before the inner one": (
        tensor(seq_len="dp tp"),
        tensor(seq_len="tp"),
        ["all_gather dp tp: seq_len", "slice tp: seq_len"],
    ),
}


@pytest.mark.parametrize("case", TEXTBOOK)
def test_the_moves_are_those_of_the_textbook(case: str) -> None:
    have, need, expected = TEXTBOOK[case]
    assert moves(have, need) == expected


# The laws.


@st.composite
def layouts(draw: st.DrawFn) -> Tensor:
    """Up to four dimensions, each axis cutting one of them, owed, or unused; inner and outer in any order."""
    cuts: dict[str, list[str]] = {name: [] for name in NAMES}
    owes = []
    for axis in draw(st.permutations(AXES)):
        use = draw(st.sampled_from([*NAMES, "owed", "unused"]))
        if use == "owed":
            owes.append(axis)
        elif use != "unused":
            cuts[use].append(axis)
    return tensor(tuple(owes), **{name: " ".join(axes) for name, axes in cuts.items()})


@st.composite
def wanted(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """A layout to move from and one to move to, which owes no more than the first and cuts by nothing still owed."""
    have, need = draw(layouts()), draw(layouts())
    owes = tuple(axis for axis in have.owes if axis in need.owes)
    need = Tensor(need.dims, need.dtype, owes)
    assume(not set(owes) & set(need.axes))
    return have, need


@settings(max_examples=100, deadline=None)
@given(wanted())
def test_steps_end_exactly_where_they_should(pair: tuple[Tensor, Tensor]) -> None:
    have, need = pair
    found = steps(have, need)
    assert (found[-1].after if found else have) == need


@settings(max_examples=100, deadline=None)
@given(wanted())
def test_every_step_follows_from_the_layout_before_it(pair: tuple[Tensor, Tensor]) -> None:
    have, need = pair
    for step in steps(have, need):
        assert step.after == meaning(step, have), step
        assert len({*step.after.axes, *step.after.owes}) == len((*step.after.axes, *step.after.owes))
        have = step.after


def meaning(step: Step, have: Tensor) -> Tensor:
    """The layout after a collective, from what the collective does."""
    owes = tuple(axis for axis in have.owes if axis not in step.axes)
    cuts = {dim.name: dim.cuts for dim in have.dims}
    if step.kind in ("all_reduce", "reduce_scatter"):
        assert set(step.axes) <= set(have.owes)
    else:
        assert owes == have.owes
    if step.kind in ("all_gather", "all_to_all"):
        assert cuts[step.dim][-len(step.axes) :] == step.axes, "only innermost cuts can be undone"
        cuts[step.dim] = cuts[step.dim][: -len(step.axes)]
    if step.kind in ("reduce_scatter", "slice", "all_to_all"):
        assert not set(step.axes) & {axis for axes in cuts.values() for axis in axes}
        cuts[step.to] = (*cuts[step.to], *step.axes)
    return Tensor(have.cut(cuts).dims, have.dtype, owes)


@settings(max_examples=100, deadline=None)
@given(wanted())
def test_nothing_moves_in_vain(pair: tuple[Tensor, Tensor]) -> None:
    """Nothing moves where nothing differs, and neighbours of one kind and dimension are one step."""
    have, need = pair
    found = steps(have, need)
    assert not found if have == need else found
    for first, second in pairwise(found):
        assert (first.kind, first.dim) != (second.kind, second.dim) or first.kind == "all_to_all"


@settings(max_examples=100, deadline=None)
@given(wanted())
def test_a_debt_is_paid_first_and_once(pair: tuple[Tensor, Tensor]) -> None:
    have, need = pair
    kinds = [step.kind for step in steps(have, need)]
    paid = [axis for step in steps(have, need) if "reduce" in step.kind for axis in step.axes]
    assert sorted(paid) == sorted(set(have.owes) - set(need.owes))
    assert kinds == sorted(kinds, key=lambda kind: "reduce" not in kind)
