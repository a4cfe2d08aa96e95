"""Numbers as papers write them are found with units and spans; what only looks like a number is not."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagc.frontends.paper.quantities import Form, Quantity, definitions_of, quantities_of


def only(text: str) -> Quantity:
    found = quantities_of(text)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,024", 1024),
        ("16'384", 16384),
        ("1\u2009048\u2009576", 1048576),
        ("1 024 tokens", 1024),
        ("16{,}384", 16384),
        ("sixteen", 16),
        ("thirty-two", 32),
        ("one hundred and twenty-eight", 128),
        ("a dozen", 12),
        ("Two thousand and forty-eight", 2048),
        ("2^14", 16384),
        ("2^{14}", 16384),
        ("2¹⁴", 16384),
        ("10^6", 10**6),
        (r"2\times10^{3}", 2000),
        ("2 × 10³", 2000),
        ("1e6", 10**6),
        ("1.5 million", 1500000),
        ("70B", 70 * 10**9),
        ("2.5", 2.5),
    ],
)
def test_numbers(text: str, value: float) -> None:
    assert (only(text).value, only(text).text) == (value, text)


@pytest.mark.parametrize(
    ("text", "value", "other"),
    [
        ("4K tokens", 4096, 4000),
        ("128k context", 131072, 128000),
        ("96K", 98304, 96000),
        ("30K samples", 30000, 30720),
        ("32K requests", 32000, 32768),
        ("100k", 100000, 102400),
        ("1M tokens", 10**6, 2**20),
        ("80 GB", 80 * 10**9, 80 * 2**30),
    ],
)
def test_two_meanings(text: str, value: int, other: int) -> None:
    assert (only(text).values, only(text).others) == ((value,), (other,))


@pytest.mark.parametrize(
    ("text", "value", "unit", "of", "per"),
    [
        ("16 transformer layers", 16, "layer", "transformer", ""),
        ("8 KV heads per layer", 8, "head", "KV", "layer"),
        ("16 x H100", 16, "gpu", "H100", ""),
        ("64 NVIDIA H100 GPUs", 64, "gpu", "H100", ""),
        ("8x A100", 8, "gpu", "A100", ""),
        ("16 accelerators", 16, "gpu", "", ""),
        ("one node pair", 2, "node", "", ""),
        ("four GPU servers", 4, "node", "GPU", ""),
        ("16-layer", 16, "layer", "", ""),
        ("16-expert-per-layer", 16, "expert", "", "layer"),
        ("8-GPU nodes", 8, "gpu", "", "node"),
        ("eight cards each", 8, "gpu", "", "each"),
        ("8 GPUs/node", 8, "gpu", "", "node"),
        ("900 MB", 900 * 10**6, "byte", "", ""),
        ("80 GiB", 80 * 2**30, "byte", "", ""),
        ("450 GB/s", 450 * 10**9, "byte/s", "", ""),
        ("400 Gbps", 50 * 10**9, "byte/s", "", ""),
        ("989 TFLOPS", 989 * 10**12, "flop/s", "", ""),
        ("8.4 ms", 0.0084, "second", "", ""),
        ("8-bit", 8, "bit", "", ""),
    ],
)
def test_units(text: str, value: float, unit: str, of: str, per: str) -> None:
    found = only(text)
    assert (found.value, found.unit, found.of, found.per) == (value, unit, of, per)


@pytest.mark.parametrize(
    ("text", "form", "values", "unit"),
    [
        ("4, 8 and 16 GPUs", Form.LIST, (4, 8, 16), "gpu"),
        ("{8,16,32} cards", Form.LIST, (8, 16, 32), "gpu"),
        ("{128,256,512}", Form.LIST, (128, 256, 512), ""),
        ("32 / 128", Form.LIST, (32, 128), ""),
        ("8/16/32 GPUs", Form.LIST, (8, 16, 32), "gpu"),
        ("1K–8K tokens", Form.RANGE, (1024, 8192), "token"),
        ("1 to 8K tokens", Form.RANGE, (1024, 8192), "token"),
        ("between 8 and 64 GPUs", Form.RANGE, (8, 64), "gpu"),
        ("16 × 8", Form.PRODUCT, (16, 8), ""),
        ("2x8 GPUs", Form.PRODUCT, (2, 8), "gpu"),
        ("8 × 80 GB", Form.PRODUCT, (8, 80 * 10**9), "byte"),
        ("30%", Form.PERCENT, (0.3,), ""),
        ("1/8", Form.FRACTION, (0.125,), ""),
        ("one sixteenth", Form.FRACTION, (0.0625,), ""),
        ("an eighth of each", Form.FRACTION, (0.125,), ""),
        ("3.6x the throughput", Form.RATIO, (3.6,), ""),
        ("2x larger", Form.RATIO, (2,), ""),
    ],
)
def test_forms(text: str, form: Form, values: tuple[float, ...], unit: str) -> None:
    found = only(text)
    assert (found.form, found.values, found.unit) == (form, values, unit)
    assert found.counts == (form in (Form.LIST, Form.RANGE, Form.PRODUCT))


def test_a_product_has_one_value() -> None:
    assert only("16 × 8").value == 128


@pytest.mark.parametrize(
    "text",
    [
        "H100 and GPT-3",
        "Llama-3.1-8B, Mixtral 8x7B, Llama 3",
        "Section 4, Figures 2 and 3, Table 1, Eq. (5), §2",
        "as in [12] and [3, 4]",
        "in 2023 (Smith et al., 2024)",
        "FP16, BF16, W4A16, INT8",
        "v0.6.3, CUDA 12.1, arXiv:2401.12345, https://a.org/12",
        "layer 3 of stage 2 on GPU 0",
        "one of them, i = 1..n",
        "a third platform",
        "1 MB = 10^6 bytes",
        "$2",
    ],
)
def test_names_are_no_quantities(text: str) -> None:
    assert quantities_of(text) == ()


def test_names_keep_what_they_say_about_memory_and_degrees() -> None:
    assert [(q.value, q.unit) for q in quantities_of("eight A100-80GB")] == [(8, "gpu"), (80 * 10**9, "byte")]
    assert [q.value for q in quantities_of("TP8PP2, EP16, top-2, TP=8")] == [8, 2, 16, 2, 8]


def test_what_is_counted_in_each() -> None:
    found = quantities_of("two nodes of eight, 128 sequences of 1,024 tokens, 3 nodes, each with 8 GPUs")
    assert [(q.value, q.unit, q.per) for q in found] == [
        (2, "node", ""),
        (8, "gpu", "node"),
        (128, "sequence", ""),
        (1024, "token", "sequence"),
        (3, "node", ""),
        (8, "gpu", "node"),
    ]


def test_neighbours_that_are_no_list() -> None:
    assert [q.values for q in quantities_of("dimension 4096, 32 heads; batch 8, 16 layers")] == [
        (4096,),
        (32,),
        (8,),
        (16,),
    ]


def test_hedges() -> None:
    assert [q.hedge for q in quantities_of("up to 8 GPUs; 16 or more; about 30%; 8 GPUs")] == [
        "up to",
        "or more",
        "about",
        "",
    ]


def test_definitions() -> None:
    text = "1 MB = 10^6 bytes, 1 GB is 1024 MiB, K denotes 1,000; 4 MB is 3 chunks"
    assert definitions_of(text) == {"MB": 10**6, "GB": 2**30, "K": 1000}
    assert [q.values for q in quantities_of("2 GB of 4K tokens", definitions_of(text))] == [(2**31,), (4000,)]
    assert all(not q.others for q in quantities_of("2 GB of 4K tokens", definitions_of(text)))


WORDS = [
    "16",
    "1,024",
    "4K",
    "×",
    "x",
    "and",
    ",",
    "-",
    "–",
    "/",
    "GB",
    "/s",
    "%",
    "one",
    "thirty-two",
    "a",
    "eighth",
    "of",
]
WORDS += [
    "GPUs",
    "H100",
    "nodes",
    "{",
    "}",
    "[",
    "]",
    "^",
    "10",
    "\\times",
    "per",
    "layer",
    "1 MB =",
    "\0",
    "é",
    "İ",
    "²",
    "٣",
]
texts = st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=12).map(" ".join) | st.text(
    string.digits + "KMx×,./^-–' eE{}%", max_size=30
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(texts)
def test_any_text_is_read_and_spans_are_its_own(text: str) -> None:
    before = 0
    for found in quantities_of(text, definitions_of(text)):
        assert before <= found.start < found.end <= len(text)
        assert text[found.start : found.end] == found.text
        assert found.values
        before = found.end


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(2, 10**9))
def test_every_integer_is_read_in_every_notation(number: int) -> None:
    for text in (f"{number}", f"{number:,}", f"{number:_}", f"{number:,}".replace(",", "\u2009")):
        assert only(f"we use {text} of them").values == (number,)


def test_long_texts_are_read_quickly() -> None:
    for text in (
        "1" * 90_000,
        "1 " * 5_000,
        "one hundred and " * 9_000,
        "8, " * 5_000,
        "a-" * 20_000,
        "[1," * 5_000,
    ):
        quantities_of(text)


@pytest.mark.parametrize(
    ("text", "values"), [("4, 8 and 16K tokens", [(4096, 8192, 16384)]), ("8 and 2K tokens", [(8,), (2048,)])]
)
def test_only_what_ascends_shares_a_suffix(text: str, values: list[tuple[int, ...]]) -> None:
    assert [quantity.values for quantity in quantities_of(text)] == values
