"""Residues are the field of 2³¹ − 1 elements, held against Python's integers; and in it a causal mask hides."""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_examples import EXAMPLES, Example, cases, field_numbers, make, numbers, short
from operator_laws import alone, everything

from dagc.ir.op import Operator
from dagc.ir.ops import COMPUTE
from dagc.ir.ops.attention import ContextOp, MaskOp
from dagc.ir.ops.moe import routes
from dagc.ir.ops.normalize import LayerNormOp, RmsNormOp, SoftmaxOp
from dagc.ir.residues import EXACT, MASKED, P, Residues, nonlinear, random_residues, residues

pytestmark = pytest.mark.filterwarnings("error")
"""numpy warns where a lone number overflows."""

NUMBERS = st.integers(0, P - 1) | st.sampled_from([0, 1, 2, P - 1, P - 2, 2**16, 2**16 - 1, 2**30])
INTEGERS = NUMBERS | st.integers(-(2**62), 2**62)


def field(values: object, salt: int = 0) -> Residues:
    return residues(np.array(values), salt)


def exactly(values: np.ndarray) -> list[object]:
    """As Python integers."""
    assert type(values) is Residues
    assert values.dtype == np.int64
    return values.tolist()


X = random_residues("x", (3, 4), salt=0)
Y = random_residues("y", (3, 4), salt=0)


# Ring and field.


@given(INTEGERS, INTEGERS, INTEGERS)
def test_arithmetic_is_that_of_integers_modulo_p(a: int, b: int, c: int) -> None:
    x, y = field([a]), field([b])
    assert exactly(x) == [a % P]
    assert exactly(x + y) == [(a + b) % P]
    assert exactly(x - y) == [(a - b) % P]
    assert exactly(x * y) == [a * b % P]
    assert exactly(-x) == [-a % P]
    assert exactly(x * y + field([c]) * x) == exactly(x * (y + field([c])))
    assert exactly(x + b) == exactly(b + x) == exactly(x + y)
    assert exactly(np.array([b]) * x) == exactly(x * y)


@given(NUMBERS, NUMBERS)
def test_division_takes_back_multiplication(a: int, b: int) -> None:
    assert exactly(field([a]) / field([b])) == [a * pow(b, P - 2, P) % P]
    assert exactly(field([a]) * field([b]) / b) == [a if b else 0]
    assert exactly(1 / field([b])) == [pow(b, -1, P) if b else 0]


def test_numbers_of_an_addition_in_place_stay_residues() -> None:
    x = field([P - 1, 3])
    x += 5
    x[:1] += field([2])
    assert exactly(x) == [6, 8]
    x[1] = -1.0
    assert exactly(x) == [6, P - 1]


def test_one_element_is_a_residue_too() -> None:
    assert exactly(X[0, 0] * X[0, 0]) == int(X[0, 0]) ** 2 % P
    assert exactly(-X[0, 0]) == P - int(X[0, 0])


@given(st.lists(NUMBERS, min_size=6, max_size=6))
def test_sums_and_means_are_exact(values: list[int]) -> None:
    x = field(values).reshape(2, 3)
    rows = [sum(values[:3]), sum(values[3:])]
    assert exactly(x.sum(axis=1)) == exactly(np.sum(x, axis=1)) == [row % P for row in rows]
    assert exactly(x.sum(axis=1, keepdims=True)) == [[row % P] for row in rows]
    assert exactly(x.sum()) == sum(values) % P
    assert exactly(np.add.reduce(x)) == [(values[i] + values[i + 3]) % P for i in range(3)]
    assert exactly(np.mean(x, axis=1) * 3) == [row % P for row in rows]
    assert exactly(np.mean(x) * 6) == sum(values) % P


def test_sums_do_not_overflow() -> None:
    count = 2**16
    assert exactly(field(np.full(count, P - 1)).sum()) == -count % P


# Contractions.


def plainly(spec: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """einsum from its definition, in Python integers."""
    (first, second), out = spec.split("->")[0].split(","), spec.split("->")[1]
    size = dict(zip(first + second, a.shape + b.shape, strict=True))
    made = np.zeros([size[x] for x in out], dtype=object)
    for point in product(*map(range, size.values())):
        at = dict(zip(size, point, strict=True))
        left, right, place = (tuple(at[x] for x in letters) for letters in (first, second, out))
        made[place] += int(a[left]) * int(b[right])
    return np.asarray(made % P)


def contractions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every einsum that an operator asks for in its examples."""
    asked, einsum = {}, np.einsum

    def noted(spec: str, *operands: np.ndarray) -> np.ndarray:
        return asked.setdefault(spec, None) or einsum(spec, *operands)

    with monkeypatch.context() as patched:
        patched.setattr(np, "einsum", noted)
        for op in (op for kind in COMPUTE for op in cases(kind)):
            alone(op, numbers(op), everything(op))
    return [*asked]


def test_contractions_are_those_of_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = contractions(monkeypatch)
    assert len(specs) >= 7
    for spec in [*specs, "ab,bc->ca", "a,b->ab", "a,a->", "ab,ab->ba"]:
        sizes = dict(zip("abcdefghkstx", (2, 3, 4, 2, 3, 4, 3, 5, 2, 3, 2, 2), strict=True))
        first, second = (tuple(sizes[x] for x in word) for word in spec.split("->")[0].split(","))
        a, b = random_residues(spec, first, 0), random_residues(spec, second, 1)
        assert exactly(np.einsum(spec, a, b)) == plainly(spec, a, b).tolist(), spec


@pytest.mark.parametrize("terms", [0, 1, 63, 64, 65, 127, 200])
def test_contractions_of_the_greatest_numbers_are_exact(terms: int) -> None:
    """Odd numbers, whose sums have no zeros at the end that a rounding would keep."""
    for a, b in product((P - 1, P - 2), (P - 1, P - 2, 2**16 - 1, P - 2**16)):
        made = np.einsum("at,tb->ab", field(np.full((2, terms), a)), field(np.full((terms, 1), b)))
        assert exactly(made) == [[a * b * terms % P]] * 2


@pytest.mark.parametrize(
    ("spec", "shapes"),
    [
        ("ab,bc->a", ((2, 3), (3, 2))),
        ("abz,bc->ac", ((2, 3, 2), (3, 2))),
        ("ab,bc->ac", ((2, 3), (4, 2))),
        ("ab,ac->abc", ((2, 3), (1, 2))),
        ("aa,ab->ab", ((2, 2), (2, 2))),
    ],
)
def test_a_contraction_that_does_not_fit_or_sums_one_operand_alone_is_refused(
    spec: str, shapes: Sequence[tuple[int, ...]]
) -> None:
    with pytest.raises(ValueError, match=r"sums|shapes|repeated"):
        np.einsum(spec, *(random_residues("x", shape, 0) for shape in shapes))


# What is not made of ring operations.


def test_a_random_function_depends_on_name_salt_and_number_alone() -> None:
    made = X.random_function("f")
    assert exactly(made) == exactly(residues(X, 0).random_function("f"))
    assert exactly(X.T[::-1].random_function("f")) == exactly(made.T[::-1])
    assert exactly(X[1, 2].random_function("f")) == exactly(made[1, 2])
    assert not np.any(np.asarray(made) == np.asarray(X.random_function("g")))
    assert not np.any(np.asarray(made) == np.asarray(random_residues("x", (3, 4), 1).random_function("f")))
    assert exactly(field([7, 7, 8], 0).random_function("f"))[:2] != exactly(field([7, 7], 1).random_function("f"))


def test_a_random_function_is_not_linear_nor_constant() -> None:
    f = np.arange(1000)
    made = residues(f, 0).random_function("f")
    assert len({*exactly(made)}) == 1000
    assert len({*exactly(made[1:] - made[:-1])}) == 999
    assert all(0 <= x < P for x in made.view(np.ndarray).tolist())


def test_random_residues_depend_on_key_salt_and_position_alone() -> None:
    assert exactly(random_residues(("w", 1), (2, 3), 5)) == exactly(random_residues(("w", 1), (2, 3), 5))
    for other in (random_residues(("w", 2), (2, 3), 5), random_residues(("w", 1), (2, 3), 6)):
        assert not np.any(np.asarray(other) == np.asarray(random_residues(("w", 1), (2, 3), 5)))
    assert len({*exactly(random_residues("w", (1000,), 0))}) == 1000


def test_whole_floats_are_themselves_others_random_and_signs_are_kept() -> None:
    assert exactly(field([3.0, -2.0, 0.0, 2.0**40])) == [3, P - 2, 0, 2**40 % P]
    half = field([0.5, -0.5, 0.25])
    assert exactly(half[:1] + half[1:2]) == [0]
    assert exactly(half[:1]) != exactly(half[2:])
    assert exactly(half) == exactly(field([0.5, -0.5, 0.25]))
    assert exactly(half) != exactly(field([0.5, -0.5, 0.25], salt=1))
    assert exactly(residues(np.array(0.5), 0)) == exactly(half[0])
    assert exactly(X * 0.5) == exactly(X * half[0])


def test_integers_of_any_width_are_themselves() -> None:
    for dtype in (np.int8, np.int32, np.int64, np.uint8, np.uint64, bool):
        assert exactly(field(np.array([0, 1], dtype=dtype))) == [0, 1]
    assert exactly(field(np.array([2**64 - 1], dtype=np.uint64))) == [(2**64 - 1) % P]
    assert exactly(field(np.array([-1], dtype=np.int8))) == [P - 1]


def test_order_is_arbitrary_but_the_same_everywhere() -> None:
    order = np.argsort(X, axis=-1, kind="stable")
    assert type(order) is np.ndarray
    for row in range(3):
        assert order[row].tolist() == np.argsort(X[row], kind="stable").tolist()
    assert np.all(np.diff(np.asarray(np.take_along_axis(X, order, axis=-1)), axis=-1) > 0)


def test_selections_and_arrangements_stay_residues() -> None:
    chosen = np.where(np.array([True, False, True, False]), X, -1)
    assert exactly(chosen[:, 1]) == [P - 1] * 3
    assert exactly(np.concatenate([X, np.full((1, 4), -1)]))[3] == [P - 1] * 4
    assert exactly(np.stack([X, Y], axis=1)[:, 1]) == exactly(Y)
    assert [exactly(part) for part in np.array_split(X, 3)] == [[row] for row in X.tolist()]
    assert np.array_equal(X, X.copy())
    assert not np.array_equal(X, Y)
    assert np.array_equal(field([3]), np.array([3.0]))
    assert (X == X).dtype == bool


# Routing decisions: integers that say which, residues that say how much.


def test_of_a_route_the_expert_is_an_integer_and_the_weight_a_residue() -> None:
    expert = np.arange(12).reshape(3, 4)
    made = routes(expert, X)
    assert type(made) is Residues
    assert type(made["expert"]) is np.ndarray
    assert made["expert"].tolist() == expert.tolist()
    assert exactly(made["weight"]) == exactly(X)
    for moved in (
        made[1:],
        np.take(made, [1, 2], axis=0),
        np.split(made, [1])[1],
        np.concatenate([made[1:2], made[2:]]),
    ):
        assert type(moved["expert"]) is np.ndarray
        assert moved["expert"].tolist() == expert[1:].tolist()
        assert exactly(moved["weight"]) == exactly(X[1:])
    assert int(made[1, 2]["expert"]) == 6


def test_routes_of_floats_and_residues_do_not_mix() -> None:
    plain = routes(np.zeros((3, 4), dtype=np.int64), np.ones((3, 4)))
    with pytest.raises(TypeError):
        np.concatenate([routes(np.zeros((3, 4), dtype=np.int64), X), plain])


# What has no meaning is refused.

UNARY = [
    np.exp, np.log, np.sqrt, np.sin, np.cos, np.tanh, np.abs, np.sign, np.floor, np.rint, np.isfinite, np.invert,
    np.logical_not, np.square, np.reciprocal, np.max, np.min, np.argmax, np.argmin, np.median, np.std, np.var, np.sort,
    np.cumsum, np.cumprod, np.prod, np.any, np.all, np.unique, np.nonzero, np.round, np.trace, np.linalg.norm, np.diff,
    np.histogram, np.isclose, np.nan_to_num, np.clip, np.ones_like, np.add.accumulate,
]  # fmt: skip
BINARY = [
    np.power, np.maximum, np.minimum, np.less, np.greater, np.less_equal, np.greater_equal, np.floor_divide,
    np.remainder, np.matmul, np.dot, np.tensordot, np.inner, np.outer, np.allclose, np.isclose, np.logical_and,
    np.bitwise_and, np.left_shift, np.hypot, np.arctan2, np.searchsorted, np.add.outer, np.interp,
]  # fmt: skip


@pytest.mark.parametrize("function", UNARY, ids=lambda f: getattr(f, "__name__", str(f)))
def test_a_function_without_meaning_is_refused(function: Callable[..., object]) -> None:
    with pytest.raises(TypeError):
        function(X)


@pytest.mark.parametrize("function", BINARY, ids=lambda f: getattr(f, "__name__", str(f)))
def test_a_function_of_two_without_meaning_is_refused(function: Callable[..., object]) -> None:
    with pytest.raises(TypeError):
        function(X, Y)
    with pytest.raises(TypeError):
        function(np.asarray(X), Y)


METHODS = {name for name in dir(np.ndarray) if not name.startswith("_") and callable(getattr(np.ndarray, name))}
ARRANGING = {"copy", "compress", "conj", "conjugate", "diagonal", "flatten", "ravel", "repeat", "reshape", "squeeze",
             "sum", "swapaxes", "take", "transpose"}  # fmt: skip
ASKING = {"astype", "dump", "dumps", "item", "setflags", "to_device", "tobytes", "tofile", "tolist", "view"}
"""They give the integers as such to who asks for them."""
WITH = {"choose": ([X],), "clip": (0, 1), "dot": (Y,), "fill": (1,), "getfield": (np.int64,), "partition": (1,),
        "put": ([0], [1]), "resize": ((2,),), "searchsorted": (1,), "setfield": (1, np.int64),
        "argpartition": (1,)}  # fmt: skip


@pytest.mark.parametrize("name", sorted(METHODS - ARRANGING - ASKING))
def test_a_method_without_meaning_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="no meaning"):
        getattr(X.copy(), name)(*WITH.get(name, ()))


def test_residues_go_into_no_array_of_floats_and_are_made_of_no_other_numbers() -> None:
    floats = np.zeros((3, 4))
    with pytest.raises(TypeError):
        floats += X
    with pytest.raises(TypeError):
        X.astype(np.float64)
    for other in (np.array([1j]), np.array(["a"]), np.array([2**70])):
        with pytest.raises(TypeError):
            residues(other, 0)
    with pytest.raises(TypeError):
        np.where(X, X, 0)
    with pytest.raises(TypeError):
        np.add.reduce(X, where=np.ones((3, 4), dtype=bool))


# Softmax, norms and a causal mask.


def test_softmax_is_exp_over_its_sum_and_its_context_the_quotient_of_two_sums() -> None:
    scores, v = random_residues("s", (2, 5), 0), random_residues("v", (2, 5), 0)
    op = make(SoftmaxOp, Example(("batch_size=2 kv_len=5",), {"over": "kv_len"}))
    e = scores.random_function("exp")
    p = alone(op, [scores], everything(op))
    assert exactly(p * e.sum(axis=1, keepdims=True)) == exactly(e)
    assert exactly((p * v).sum(axis=1)) == exactly((e * v).sum(axis=1) / e.sum(axis=1))


@pytest.mark.parametrize("kind", [SoftmaxOp, RmsNormOp, LayerNormOp], ids=short)
def test_a_normalised_row_depends_on_itself_alone_and_on_all_of_it(kind: type[Operator]) -> None:
    op = make(kind, EXAMPLES[short(kind)][0])
    inputs = numbers(op, field_numbers)
    before = alone(op, inputs, everything(op))
    inputs[0][0, 0, 0, ...] += 1
    changed = np.asarray(alone(op, inputs, everything(op)) != before)
    assert changed[0, 0, 0].all() if kind is SoftmaxOp else changed[0, 0].all()
    assert not changed[1:].any()


def test_exp_of_a_masked_score_is_0_and_of_no_other_number() -> None:
    assert np.exp(MASKED) == EXACT["exp"][MASKED] == 0
    for salt in range(3):
        x = residues(np.array([MASKED, -MASKED, MASKED / 2, 0.0, 1.0, -1e29, -np.inf]), salt)
        made = exactly(nonlinear("exp", np.exp, x))
        assert made[0] == 0
        assert 0 not in made[1:]
        assert 0 not in exactly(nonlinear("sqrt", np.sqrt, x))


def masked(scores: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Scores [batch, heads, query, key] of a device that holds some of the keys."""
    op = make(MaskOp, Example(("batch_size heads seq_len=11 kv_len",), {"causal": True}))
    return alone(op, [scores[..., keys]], everything(op) | {"kv_len": keys})


def test_a_causal_mask_gives_the_future_exactly_nothing() -> None:
    scores = random_residues("s", (5, 6, 11, 11), 0)
    op = make(SoftmaxOp, Example(("batch_size heads seq_len=11 kv_len",), {"over": "kv_len"}))
    p = np.asarray(alone(op, [masked(scores, np.arange(11))], everything(op)))
    future = np.triu(np.ones((11, 11), dtype=bool), 1)
    assert (p[..., future] == 0).all()
    assert (p[..., ~future] != 0).all()
    later = scores.copy()
    later[..., 7:] += 1
    assert np.array_equal(
        p[..., :7, :], np.asarray(alone(op, [masked(later, np.arange(11))], everything(op)))[..., :7, :]
    )


def test_attention_in_parts_of_the_keys_is_the_whole_one() -> None:
    """As a ring or split attention does it: numerators and denominators of the parts add up."""
    op = make(ContextOp, Example(("batch_size heads seq_len=11 kv_len", "batch_size seq_len=11 kv_heads d_k")))
    scores, v = random_residues("s", (5, 6, 11, 11), 0), numbers(op, field_numbers)[1]
    soft = make(SoftmaxOp, Example(("batch_size heads seq_len=11 kv_len",), {"over": "kv_len"}))
    whole = alone(op, [alone(soft, [masked(scores, np.arange(11))], everything(soft)), v], everything(op))
    above, below = 0, 0
    for keys in np.split(np.arange(11), [2, 7]):
        e = nonlinear("exp", np.exp, masked(scores, keys))
        above = alone(op, [e, v[:, keys]], everything(op) | {"kv_len": keys}) + above
        below = e.sum(axis=-1) + below
    assert exactly(above / np.moveaxis(below, 1, 2)[..., None]) == exactly(whole)
