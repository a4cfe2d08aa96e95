"""PDF papers: columns in the order of reading, tables by where their cells stand, headings by their type."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from pdf_writer import Text, pdf

from dagc.diagnostics import Refused
from dagc.frontends.paper.document import Document, Kind, Part
from dagc.frontends.paper.formats import document_of


def read(tmp_path: Path, data: bytes) -> Document:
    path = tmp_path / "paper.pdf"
    path.write_bytes(data)
    return document_of(path)


def column(left: float, top: float, *lines: str) -> list[Text]:
    return [(left, top - 12 * place, 10, line) for place, line in enumerate(lines)]


LEFT = column(60, 660, "Splitting attention by heads stops scaling", "once there are as many devices as heads.")
LEFT += column(72, 636, "It couples de-") + column(
    60, 624, "vices to a model, and so we split it twice,", "which goes on in the"
)
RIGHT = [*column(310, 660, "other column and ends here."), (310, 620, -12.0, "2 Experimental Setup")]
RIGHT += [(310, 600, 10, "We use 16 GPUs of 10"), (411, 604, 6, "6")]
RIGHT += column(310, 588, "cards with 80 GB of memory each, and much", "more than that, as Table 1 shows us.")
TABLE = column(310, 540, "Table 1: Configuration") + column(320, 520, "Item", "Heads", "Width")
TABLE += column(400, 520, "Small", "   32", "4,096") + column(450, 520, "Large", "   64", "8,192")
TITLE: list[Text] = [(100, 760, 18, "Sharding Attention by Heads and Dimensions"), (200, 735, 12, "Jane Doe")]
HEADS: list[Text] = [(60, 690, -12.0, "Abstract"), (290, 30, 10, "1")]


def test_two_columns(tmp_path: Path) -> None:
    paper = read(tmp_path, pdf([TITLE + HEADS + LEFT + RIGHT + TABLE]))
    assert paper.title == "Sharding Attention by Heads and Dimensions"
    prose = [block for block in paper.blocks if block.kind is Kind.PROSE]
    assert [block.text for block in prose] == [
        "Splitting attention by heads stops scaling once there are as many devices as heads.",
        "It couples devices to a model, and so we split it twice, which goes on in the other column and ends here.",
        "We use 16 GPUs of 10^6 cards with 80 GB of memory each, and much more than that, as Table 1 shows us.",
        "Table 1: Configuration",
    ]
    assert [block.part for block in prose] == [Part.ABSTRACT, Part.ABSTRACT, Part.SETUP, Part.SETUP]
    assert paper.lines[prose[2].lines[0] - 1] == "We use 16 GPUs of 10^6"


def test_tables(tmp_path: Path) -> None:
    paper = read(tmp_path, pdf([TITLE + HEADS + LEFT + RIGHT + TABLE]))
    rows = [block for block in paper.blocks if block.kind is Kind.ROW]
    assert [row.cells for row in rows] == [
        ("Item", "Small", "Large"),
        ("Heads", "32", "64"),
        ("Width", "4,096", "8,192"),
    ]
    assert rows[1].header == ("Item", "Small", "Large")
    assert rows[1].section[-1] == "Table 1: Configuration"


def test_one_column_over_pages_without_margins(tmp_path: Path) -> None:
    body = [
        "This line of text goes over all of the page and is quite long, as lines of papers are wont to be, more so"
    ] * 8
    pages = [
        [*column(60, 700, *body), (60, 800, 10, f"Proceedings {number}"), (300, 30, 10, f"{number}")]
        for number in (1, 2, 3)
    ]
    paper = read(tmp_path, pdf(pages))
    assert len(paper.blocks) == 1
    assert "Proceedings" not in paper.blocks[0].text


def test_pages_without_text_are_named(tmp_path: Path) -> None:
    assert read(tmp_path, pdf([column(60, 700, "We use 16 GPUs."), []])).unread == ("paper.pdf: page 2 has no text",)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (pdf([[], []]), "empty-document"),
        (b"%PDF-1.7\nnothing of the kind", "file"),
        (pdf([column(60, 700, "text")])[:200], "file"),
        (pdf([[]] * 400), "too-large"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read(tmp_path, data)
    assert [(problem.code, problem.where) for problem in refused.value.diagnostics] == [
        (code, str(tmp_path / "paper.pdf"))
    ]


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    whole = pdf([TITLE + HEADS + LEFT + RIGHT + TABLE])
    for place in range(0, len(whole), 97):
        for damaged in (whole[:place] + b"\xff\x00" + whole[place + 2 :], whole[:place]):
            with suppress(Refused):
                read(tmp_path, damaged)
