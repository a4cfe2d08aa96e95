"""Symbolic sizes: what is printed is read back, nothing is ever evaluated, arithmetic is exact."""

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.parser import Parser

from dagc.frontends.build import build
from dagc.frontends.model import Attention, FeedForward, MixtureOfExperts, Model
from dagc.ir import dims
from dagc.ir.dialect import context
from dagc.ir.dims import Size, Sizes, as_number, ceildiv, free_symbols, number, parse, ratio, same, symbol, text
from dagc.ir.layout import Dim, Tensor
from dagc.ir.types import SizesAttr, TensorType

B, S, P = symbol("B"), symbol("S"), symbol("P")


@st.composite
def monomials(draw: st.DrawFn) -> Size:
    """A product of a number and different symbols: no powers, as no dimension is a square."""
    factors = draw(st.lists(st.sampled_from([B, S, P]), unique=True))
    return dims.product([number(draw(st.integers(1, 10**6))), *factors])


POLYNOMIALS = st.lists(monomials(), min_size=1, max_size=3).map(lambda terms: sum(terms, number(0)))
SIZES = st.one_of(
    POLYNOMIALS,
    st.builds(ceildiv, POLYNOMIALS, POLYNOMIALS),
    st.builds(lambda a, b, c: a * ceildiv(b, c), st.sampled_from([P, number(16)]), POLYNOMIALS, POLYNOMIALS),
    st.builds(lambda a, b, c: a + ceildiv(b, c), POLYNOMIALS, POLYNOMIALS, POLYNOMIALS),
)
"""Every form a dimension's size takes: numbers, products, sums, whole rows per part."""


@settings(max_examples=50, deadline=None)
@given(SIZES)
def test_a_printed_size_is_read_back(size: Size) -> None:
    assert parse(text(size)) == size


@settings(max_examples=50, deadline=None)
@given(SIZES, st.lists(st.sampled_from(["dp", "tp.0", "tp.1"]), unique=True))
def test_a_printed_type_is_read_back(size: Size, cuts: list[str]) -> None:
    kind = TensorType(Tensor((Dim("seq_len", size, tuple(cuts)), Dim("hidden", number(8))), "bf16"))
    assert Parser(context(), str(kind)).parse_attribute() == kind


@settings(max_examples=50, deadline=None)
@given(SIZES, SIZES, st.integers(1, 64))
def test_printed_sizes_of_a_module_are_read_back(shown: Size, exact: Size, parts: int) -> None:
    """Exact sizes may be fractions: rows per expert are tokens · top_k / experts."""
    attribute = SizesAttr(Sizes((("B", 4), ("S", None)), (dims.Definition("T", shown, exact / parts),)))
    assert Parser(context(), str(attribute)).parse_attribute() == attribute


def test_every_size_of_a_built_model_is_printable() -> None:
    ffn = FeedForward(12, "silu", gated=True)
    moe = MixtureOfExperts(60, 8, ffn, normalize=True, shared=ffn)
    module = build(Model("m", 8, ("moe",), Attention(4, 2, 2, rope=True), "rms_norm", "bf16", moe=moe, vocab=24))
    sizes = {
        dim.size
        for op in module.walk()
        for v in op.results
        if isinstance(v.type, TensorType)
        for dim in v.type.data.dims
    }
    assert sizes > {B, S, symbol("T"), symbol("P"), number(60)}
    assert all(parse(text(size)) == size for size in sizes)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("64", number(64)),
        (" 2 * B*S ", 2 * B * S),
        ("B/16", B / 16),
        ("(B + 1)*S", (B + 1) * S),
        ("P*ceildiv(2*B*S, 16*P)", P * ceildiv(2 * B * S, 16 * P)),
        ("ceildiv(7, 2)", number(4)),
        ("ceildiv(B, 1)", B),
        ("2/3*B", number(Fraction(2, 3)) * B),
    ],
)
def test_sizes_are_read(written: str, meant: Size) -> None:
    assert parse(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "", " ", "B*", "*B", "(B", "B)", "B S", "2B", "B**2", "B^2", "B-1", "-1", "1.5", "B % 2", "ceildiv(B)",
        "ceildiv(B, 2, 3)", "ceildiv B", "f(B)", "B[0]", "B.real", "'B'", "lambda: 0", "B; S", "B,S", "é",
        "__import__('os')", "__import__('os').system('true')", "exec(B)", "9" * 19, "+".join(["B"] * 200),
    ],
)  # fmt: skip
def test_what_is_no_size_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse(written)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="BSceildiv_()*+/,. 123456789'[]{}:=", max_size=30) | st.text(max_size=30))
def test_any_text_is_a_size_or_a_value_error(written: str) -> None:
    with suppress(ValueError):
        assert isinstance(parse(written), Size)


@pytest.mark.parametrize("written", ["0/0", "B/0", "ceildiv(4, 0)"])
def test_division_by_zero_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse(written)


def test_names_are_symbols_whatever_they_mean_elsewhere() -> None:
    """`sympify` would give Euler's number, a module, a function."""
    assert all(free_symbols(parse(name)) == {name} for name in ("E", "I", "os", "__import__", "S", "N", "oo", "pi"))


# Arithmetic.


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 10**9), st.integers(1, 10**6))
def test_ceildiv_rounds_up(a: int, b: int) -> None:
    assert as_number(ceildiv(number(a), number(b))) == -(-a // b)


def test_ceildiv_waits_for_numbers() -> None:
    waiting = ceildiv(2 * B, number(16))
    assert as_number(waiting) is None
    assert as_number(dims.substitute(waiting, {"B": number(9)})) == 2


@settings(max_examples=50, deadline=None)
@given(POLYNOMIALS, POLYNOMIALS, POLYNOMIALS)
def test_same_sees_identities_of_polynomials(a: Size, b: Size, c: Size) -> None:
    assert same(a * (b + c), c * a + a * b)
    assert not same(a, a + b)


def test_same_does_not_guess_what_rounding_does() -> None:
    assert same(P * ceildiv(B, P), ceildiv(B, P) * P)
    assert not same(P * ceildiv(B, P), B)


@settings(max_examples=50, deadline=None)
@given(POLYNOMIALS, st.integers(1, 10**4), st.integers(1, 10**4))
def test_ratio_is_a_number_or_nothing(a: Size, over: int, under: int) -> None:
    assert ratio(a * over, a * under) == Fraction(over, under)
    assert ratio(a * symbol("X"), a) is None


def test_a_ratio_with_symbols_is_none() -> None:
    assert ratio(B * S, S) is None
    assert ratio(B + 1, B) is None


@settings(max_examples=50, deadline=None)
@given(st.fractions(min_value=Fraction(1, 1000), max_value=10**6, max_denominator=1000))
def test_numbers_come_back_exactly(value: Fraction) -> None:
    assert as_number(number(value)) == value
    assert as_number(B * number(value)) is None


# What the symbols of a module stand for.

ROUTED = Sizes((("B", None), ("S", None))).define("T", P * ceildiv(B * S, 4 * P), B * S / 4).define(
    "P", number(8), number(8)
)  # fmt: skip
T = symbol("T")


def test_labels_show_whole_rows_per_part_and_volumes_count_exactly() -> None:
    bound = ROUTED.bind(B=3, S=7)
    assert bound.shown(T) == 8
    assert bound.exact(T) == Fraction(21, 4)
    assert bound.exact(16 * T) == 84


def test_unbound_symbols_stay() -> None:
    assert ROUTED.shown(T) == 8 * ceildiv(B * S, number(32))
    assert ROUTED.bind(B=4).shown(T) == 8 * ceildiv(4 * S, number(32))
    assert free_symbols(ROUTED.bind(B=4).exact(T)) == {"S"}


def test_a_size_without_defined_symbols_is_only_bound() -> None:
    assert ROUTED.bind(B=4, S=8).shown(2 * B * S) == ROUTED.bind(B=4, S=8).exact(2 * B * S) == 64


def test_binding_and_defining_leave_the_original_alone() -> None:
    assert ROUTED.bind(B=4) != ROUTED
    assert ROUTED.shown(B) == B
    redefined = ROUTED.define("P", number(2), number(2))
    assert redefined.bind(B=4, S=8).shown(symbol("P")) == 2
    assert [d.name for d in redefined.defined] == [d.name for d in ROUTED.defined]
