"""The laws of every operator, taken from its own declarations. Adding an operator adds one row to `EXAMPLES`.

Split law: cut any names that are not `whole` into uneven parts, compute the pieces, put them where their indices say
and add where the cut name is contracted; that must be the whole. Linear law: over every operand set declared linear,
op(a + b) = op(a) + op(b). The end of the file turns both laws on operators that lie, and demands that they are caught.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from operator_examples import EXAMPLES, ROUTED, SIZES, SYMBOLS, Example, X
from xdsl.irdl import IRDLOperation

from dagc.ir.dims import as_number, number, substitute
from dagc.ir.evaluate import follow
from dagc.ir.layout import Dim, Tensor
from dagc.ir.op import Indices, Operator, Relation, Rule, tensor_of
from dagc.ir.ops import COMPUTE, MOVES, OPERATORS, PROGRAM
from dagc.ir.ops.attention import ContextOp, MaskOp, RopeOp, ScoresOp
from dagc.ir.ops.linear import AddBiasOp, GroupedProjectOp, ProjectOp
from dagc.ir.ops.lookup import LookupOp
from dagc.ir.ops.moe import ROUTE, CombineOp, CountOp, DispatchOp, TopKOp
from dagc.ir.ops.normalize import LayerNormOp, Normalize, RmsNormOp, SoftmaxOp
from dagc.ir.ops.pointwise import ActivateOp, AddOp, MultiplyOp, ScaleOp
from dagc.ir.ops.program import WeightOp


def short(kind: type[IRDLOperation]) -> str:
    return kind.name.removeprefix("dag.")


# Cases: an operator over undivided operands, and numbers for them.


def tensor(spec: str) -> Tensor:
    names, _, dtype = spec.partition(":")
    pairs = (word.partition("=") for word in names.split())
    sizes = [(name, int(size) if size else SIZES[name]) for name, _, size in pairs]
    return Tensor(tuple(Dim(n, number(s) if isinstance(s, int) else s) for n, s in sizes), dtype or "bf16")


def make(kind: type[Operator], example: Example) -> Operator:
    values = [WeightOp.of(path=f"x{i}", out=tensor(spec)).out for i, spec in enumerate(example.operands)]
    return kind.of(*values, path="under_test", **example.props)


def cases(kind: type[Operator], name: str = "") -> list[Operator]:
    return [make(kind, example) for example in EXAMPLES[name or short(kind)]]


def extent(size: object) -> int:
    value = as_number(substitute(size, SYMBOLS))
    assert isinstance(value, int), size
    return value


def totals(op: Operator) -> dict[str, int]:
    return {name: extent(size) for name, size in op.joint().items()}


def numbers(op: Operator, seed: int = 0) -> list[np.ndarray]:
    """Random operands: normal, small indices, or a routing to distinct experts."""
    rng, total = np.random.default_rng(seed), totals(op)
    arrays = []
    for value in op.operands:
        shape = [extent(dim.size) for dim in tensor_of(value).dims]
        match tensor_of(value).dtype:
            case "i32":
                arrays.append(rng.integers(0, SIZES["vocab"], shape))
            case "route":
                arrays.append(np.empty(shape, ROUTE))
                chosen = rng.random((*shape[:-1], total["experts"])).argsort(-1)[..., : shape[-1]]
                arrays[-1]["expert"], arrays[-1]["weight"] = chosen, rng.random(shape)
            case _:
                arrays.append(rng.normal(size=shape))
    return arrays


# The laws. Each gives what it finds wrong, in words.


def everything(op: Operator) -> Indices:
    total = totals(op)
    return Indices({name: np.arange(size) for name, size in total.items()}, total)


def part(op: Operator, cut: dict[str, np.ndarray]) -> Indices:
    """The joint space with some names cut; names that a relation derives follow."""
    at = everything(op)
    held = at.held | cut
    for relation in op.derived().values():
        held[relation.name] = follow(relation, held, at.total)
    return Indices(held, at.total)


def piece(op: Operator, inputs: list[np.ndarray], at: Indices) -> np.ndarray:
    shares = [x[np.ix_(*(at.held[name] for name in op.operand_names(i).values()))] for i, x in enumerate(inputs)]
    return plain(op.compute(shares, at))


def plain(result: np.ndarray) -> np.ndarray:
    """Routing decisions as ordinary numbers: expert and weight side by side."""
    return np.stack([result["expert"], result["weight"]], axis=-1) if result.dtype == ROUTE else result


def divisions(op: Operator, names: tuple[str, ...]) -> Iterator[list[dict[str, np.ndarray]]]:
    """Ways to cut these names all at once: into two uneven parts each, then into three."""
    total = totals(op)
    for ways in (lambda n: [n * 2 // 5], lambda n: [1, n - 1]):
        parts = [np.split(np.arange(total[name]), ways(total[name])) for name in names]
        yield [
            dict(zip(names, combination, strict=True))
            for combination in product(*([p for p in ps if p.size] for ps in parts))
        ]


def split_violations(op: Operator) -> list[str]:
    """Cut every free name, and every two, that may be cut."""
    free = [name for name in op.joint() if name not in op.whole() and name not in op.derived()]
    names = [(name,) for name in free] + list(combinations(free, 2))
    return [found for cut in names if totals(op)[cut[0]] > 1 for found in cut_violations(op, cut)]


def cut_violations(op: Operator, names: tuple[str, ...]) -> Iterator[str]:
    """Is the whole what its pieces make?"""
    if undeclared := [name for name in names if not (seen(op, name) or name in op.sums() | op.RULE.aligned)]:
        yield f"{undeclared[0]} vanishes undeclared"
        return
    inputs = numbers(op)
    whole = plain(op.compute(inputs, everything(op)))
    for parts in divisions(op, names):
        try:
            good = joins(op, inputs, whole, parts)
        except (ValueError, IndexError, KeyError) as error:
            good = f"cannot be computed: {error!r}"
        if good is not True:
            yield f"cut {' and '.join(names)}: pieces {good or 'do not make the whole'}"
            return


def seen(op: Operator, name: str) -> bool:
    """Does cutting this name cut the result?"""
    names = tensor_of(op.results[0]).names
    return name in names or any(r.name in names and name in r.sources for r in op.derived().values())


def joins(op: Operator, inputs: list[np.ndarray], whole: np.ndarray, parts: list[dict[str, np.ndarray]]) -> bool:
    """Put the pieces where their indices say, adding; those that differ in an aligned name only are copies."""
    names = tensor_of(op.results[0]).names
    copied = {n for n in parts[0] if n in op.RULE.aligned - op.sums() and not seen(op, n)}
    joined, copies = np.zeros_like(whole), {}
    for cut in parts:
        at = part(op, cut)
        made = piece(op, inputs, at)
        where = [at.held[name] for name in names]
        first = copies.setdefault(tuple(cut[n][0] for n in cut if n not in copied), made)
        if made.shape[: len(names)] != tuple(map(len, where)) or not close(made, first):
            return False
        if first is made:
            joined[np.ix_(*where)] += made
    return close(joined, whole)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a, b, rtol=1e-9, atol=1e-12)


def linear_violations(op: Operator) -> Iterator[str]:
    """op(a + b) = op(a) + op(b) over every operand set declared linear, the others fixed."""
    at, fixed, a, b = everything(op), numbers(op, 0), numbers(op, 1), numbers(op, 2)
    for operands in op.RULE.linear:
        total, first, second = (
            op.compute([xs[i] if i in operands else fixed[i] for i in range(len(fixed))], at)
            for xs in ([3 * x - y if x.dtype == float else x for x, y in zip(a, b, strict=True)], a, b)
        )
        if not close(total, 3 * first - second):
            yield f"not linear in operands {operands}"


def violations(op: Operator) -> list[str]:
    return [*split_violations(op), *linear_violations(op)]


# Every operator keeps them.


def test_every_operator_has_an_example() -> None:
    assert EXAMPLES.keys() == {short(kind) for kind in (*COMPUTE, *MOVES)}
    assert set(OPERATORS) == {*COMPUTE, *MOVES, *PROGRAM}


@pytest.mark.parametrize("kind", [*COMPUTE, *MOVES], ids=short)
def test_pieces_make_the_whole_and_sums_pass_where_declared(kind: type[Operator]) -> None:
    assert [found for op in cases(kind) for found in violations(op)] == []


@pytest.mark.parametrize("kind", [*COMPUTE, *MOVES], ids=short)
def test_the_result_has_the_shape_and_type_that_infer_says(kind: type[Operator]) -> None:
    for op in cases(kind):
        op.verify()
        out = tensor_of(op.results[0])
        result = op.compute(numbers(op), everything(op))
        assert result.shape == tuple(extent(dim.size) for dim in out.dims)
        assert (result.dtype == ROUTE) == (out.dtype == "route")


@pytest.mark.parametrize("kind", [*COMPUTE, *MOVES], ids=short)
def test_declarations_name_what_exists(kind: type[Operator]) -> None:
    for op in cases(kind):
        assert op.whole() | op.sums() | op.derived().keys() <= op.joint().keys()
        assert {i for operands in op.RULE.linear for i in operands} | {*op.RULE.selects} <= {*range(len(op.operands))}


WHOLE_FOR_A_REASON = {
    RmsNormOp: "its mean is over the whole",
    LayerNormOp: "its mean is over the whole",
    SoftmaxOp: "it divides by a sum over the whole",
    RopeOp: "it pairs the halves",
    TopKOp: "it chooses among all experts",
}


@pytest.mark.parametrize("kind", WHOLE_FOR_A_REASON, ids=short)
def test_what_is_declared_whole_needs_to_be(kind: type[Operator]) -> None:
    for op in cases(kind):
        assert all([*cut_violations_of_whole(op, name)] for name in op.whole()), WHOLE_FOR_A_REASON[kind]


def cut_violations_of_whole(op: Operator, name: str) -> Iterator[str]:
    """What goes wrong if a whole name is cut after all, its pieces placed or, where it vanishes, added."""
    inputs = numbers(op)
    whole = plain(op.compute(inputs, everything(op)))
    for parts in divisions(op, (name,)):
        try:
            if not joins(op, inputs, whole, parts):
                yield f"{name} must be whole"
        except (ValueError, IndexError, KeyError) as error:
            yield f"{name} must be whole: {error!r}"


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_routing_counts_add_up_to_the_chosen_experts_however_many_rows_hold_them(rows: int) -> None:
    op = make(CountOp, Example((f"{ROUTED}:route",), {"experts": 8}))
    at = everything(op)
    (routing,) = numbers(op)
    counts = op.compute([routing], Indices(at.held | {"sources": np.arange(rows)}, at.total | {"sources": rows}))
    assert counts.shape == (rows, 8)
    assert counts.sum(axis=0).tolist() == np.bincount(routing["expert"].ravel(), minlength=8).tolist()


# Negative controls: operators that lie are caught.


def lying(monkeypatch: pytest.MonkeyPatch, kind: type[Operator], **rule: object) -> type[Operator]:
    monkeypatch.setattr(kind, "RULE", replace(kind.RULE, **rule))
    return kind


@pytest.mark.parametrize(
    ("kind", "operands"),
    [
        (ActivateOp, (0,)),
        (AddBiasOp, (0,)),
        (AddBiasOp, (1,)),
        (AddOp, (0,)),
        (MultiplyOp, (0, 1)),
        (SoftmaxOp, (0,)),
        (RmsNormOp, (0,)),
        (LayerNormOp, (0,)),
        (MaskOp, (0,)),
        (ProjectOp, (0, 1)),
        (ScoresOp, (0, 1)),
    ],
    ids=lambda value: short(value) if isinstance(value, type) else str(value),
)
def test_a_false_claim_of_linearity_is_caught(
    monkeypatch: pytest.MonkeyPatch, kind: type[Operator], operands: tuple[int, ...]
) -> None:
    assert any(violations(op) for op in cases(lying(monkeypatch, kind, linear=(operands,))))


@pytest.mark.parametrize("kind", [RmsNormOp, LayerNormOp, SoftmaxOp, RopeOp, TopKOp, DispatchOp], ids=short)
def test_a_whole_name_declared_free_is_caught(monkeypatch: pytest.MonkeyPatch, kind: type[Operator]) -> None:
    owner = Normalize if issubclass(kind, Normalize) else kind
    monkeypatch.setattr(owner, "whole", Operator.whole)
    assert all(violations(op) for op in cases(kind))


@pytest.mark.parametrize("kind", [ScoresOp, ContextOp, LookupOp, CombineOp], ids=short)
def test_a_lost_sum_is_caught(monkeypatch: pytest.MonkeyPatch, kind: type[Operator]) -> None:
    assert all(violations(op) for op in cases(lying(monkeypatch, kind, sums=frozenset())))


@pytest.mark.parametrize("kind", [ScoresOp, ContextOp], ids=short)
def test_a_contraction_said_to_be_merely_aligned_is_caught(
    monkeypatch: pytest.MonkeyPatch, kind: type[Operator]
) -> None:
    aligned = kind.RULE.aligned | kind.RULE.sums
    assert all(violations(op) for op in cases(lying(monkeypatch, kind, sums=frozenset(), aligned=aligned)))


@pytest.mark.parametrize("kind", [ScoresOp, ContextOp, DispatchOp, CombineOp, CountOp], ids=short)
def test_a_missing_relation_is_caught(monkeypatch: pytest.MonkeyPatch, kind: type[Operator]) -> None:
    """Each name then is cut alone, and the piece lacks what it reads."""
    assert any(violations(op) for op in cases(lying(monkeypatch, kind, relates=())))


def test_merged_tokens_in_another_order_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    swapped = Relation("expert_tokens", ("seq_len", "batch_size"))
    assert all(violations(op) for op in cases(lying(monkeypatch, CombineOp, relates=(swapped,))))


class LocalMask(MaskOp):
    """Masks by the position within the piece."""

    def compute(self, inputs, at):
        query, key = (np.arange(n) for n in inputs[0].shape[-2:])
        return np.where(key[None] <= query[:, None], inputs[0], -1e30)


class LocalRope(RopeOp):
    """Turns by the position within the piece."""

    def compute(self, inputs, at):
        return super().compute(inputs, replace(at, held=at.held | {"seq_len": np.arange(inputs[0].shape[1])}))


class LocalLookup(LookupOp):
    """Gives the last row for tokens outside its part of the table."""

    def compute(self, inputs, at):
        return inputs[1][np.minimum(inputs[0], len(inputs[1]) - 1)]


class ScaleByLocalWidth(ScaleOp):
    """Scales by the local number of heads."""

    def compute(self, inputs, at):
        return inputs[0] / inputs[0].shape[1]


class BiasPerPart(ProjectOp):
    """Adds a constant in every part of a contraction."""

    def compute(self, inputs, at):
        return super().compute(inputs, at) + 1


class ForgetsExperts(DispatchOp):
    """Takes the first experts instead of those it holds."""

    def compute(self, inputs, at):
        return super().compute(inputs, replace(at, held=at.held | {"experts": np.arange(len(at.held["experts"]))}))


class FirstKeys(ScoresOp):
    """Reads the first KV heads it holds instead of each head's own."""

    def compute(self, inputs, at):
        keys = inputs[1][:, :, np.arange(inputs[0].shape[2]) % inputs[1].shape[2], :]
        return np.einsum("bshd,bthd->bhst", inputs[0], keys)


class SkipsRows(GroupedProjectOp):
    """Uses only the rows that its part of the counts accounts for."""

    def compute(self, inputs, at):
        return super().compute(inputs, at) * np.minimum(inputs[2].sum(0), 7)[:, None, None]


FAULTS = (LocalMask, LocalRope, LocalLookup, ScaleByLocalWidth, BiasPerPart, ForgetsExperts, FirstKeys, SkipsRows)


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_a_wrong_meaning_is_caught(kind: type[Operator]) -> None:
    assert any(violations(op) for op in cases(kind))


def test_the_linear_law_uses_uneven_parts() -> None:
    """relu(a + a) = relu(a) + relu(a): equal parts would not tell."""
    relu = Example((X,), {"function": "relu"})
    claims_linear = type("ClaimsLinear", (ActivateOp,), {"RULE": Rule(linear=((0,),))})
    assert not violations(make(ActivateOp, relu))
    assert violations(make(claims_linear, relu))
