"""Papers in every format become the same blocks; what cannot be read is refused, with a code, and quickly."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagc.diagnostics import Diagnostic, Refused
from dagc.frontends.paper.document import Block, Document, Kind, Part
from dagc.frontends.paper.formats import document_of

MARKDOWN = """\
---
title: not shown
---
# A *Title*

**Abstract.** We shard
over `16` GPUs.

## 2 Approach

We cut 2*8*4 parts of $d_{k} = 16{,}384$ with __care__ &amp; time.

$$
y = x W
$$

## Experiments

* **Model.** 32 layers,
  wrapped.
* Cluster:
  1. two nodes
  2. 8 GPUs each

**Evaluation setup**

| Item | Value |
|---|---|
| Heads | 32 |

```
tp: 8
pp: 2
```

## Results
| Layers | 32 |
|---|---|
| Width | 64 |
"""

TYPED = """\
Sharding Things over
Many Cards

Jane Doe, Institute of Things

Abstract
We shard over sixteen cards and measure tensor-
parallel speed. It is good for thirty-
two accel-
erators.

1. Introduction

Some text here that wraps
over lines.

2 Method
--------

    y = x W

We do the following:
 * first cut
   the heads
 * then cut the dims
 1) one
 2) two

EXPERIMENTAL SETUP

Layers: 32
Hidden size: 4096
Batch = 8

Table 1. The models used

Model      Layers   Hidden size   Heads
-------    ------   -----------   -----
Llama          32         4,096      32
Mixtral        56         6,144

Item ............ 3
Other ........... 4

| a | b |
|---|---|
| 1 | 2 |

16 H100 GPUs
are what we use.  They are fast.  We like
them a lot.  Yes.

Results:
  Method             TPS     TPOT
  Baseline (TP=8)  12,700    8.4
  Ours, which is   15,300    2.3
"""


def read(tmp_path: Path, name: str, text: str | bytes) -> Document:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return document_of(path)


def texts(document: Document, kind: Kind) -> list[tuple[str, tuple[int, int]]]:
    return [(block.text, block.lines) for block in document.blocks if block.kind is kind]


def find(document: Document, text: str) -> Block:
    return next(block for block in document.blocks if block.text == text)


def test_markdown(tmp_path: Path) -> None:
    paper = read(tmp_path, "a.md", MARKDOWN)
    assert paper.title == "A Title"
    assert texts(paper, Kind.PROSE) == [
        ("We shard over 16 GPUs.", (6, 7)),
        ("We cut 2*8*4 parts of d_k = 16,384 with care & time.", (11, 11)),
    ]
    assert texts(paper, Kind.FORMULA) == [("y = x W", (13, 15)), ("tp: 8", (32, 32)), ("pp: 2", (33, 33))]
    assert texts(paper, Kind.BULLET) == [
        ("Model. 32 layers, wrapped.", (19, 20)),
        ("Cluster:", (21, 21)),
        ("two nodes", (22, 22)),
        ("8 GPUs each", (23, 23)),
    ]
    assert find(paper, "two nodes").section == ("A Title", "Experiments", "Cluster:")
    row = find(paper, "Heads | 32")
    assert (row.cells, row.header, row.lines) == (("Heads", "32"), ("Item", "Value"), (29, 29))
    assert row.section == ("A Title", "Experiments", "Evaluation setup")
    assert find(paper, "Layers | 32").header == find(paper, "Width | 64").header == ()


def test_parts(tmp_path: Path) -> None:
    paper = read(tmp_path, "a.md", MARKDOWN)
    parts = {block.text: block.part for block in paper.blocks}
    assert parts["We shard over 16 GPUs."] is Part.ABSTRACT
    assert parts["2 Approach"] is parts["y = x W"] is Part.METHOD
    assert parts["Experiments"] is Part.RESULTS, "since another heading is the setup"
    assert parts["Model. 32 layers, wrapped."] is Part.SETUP
    assert parts["Heads | 32"] is Part.SETUP
    assert parts["Width | 64"] is Part.RESULTS


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("empty.md", b"", "empty-document"),
        ("blank.md", b" \n\t\n", "empty-document"),
        ("comment.md", b"---\na: b\n---\n", "empty-document"),
        ("binary.md", bytes(range(256)) * 10, "file"),
        ("latin.md", "# Größe\n\ncafé".encode("latin-1"), "file"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str, data: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read(tmp_path, name, data)
    assert [diagnostic.code for diagnostic in refused.value.diagnostics] == [code]


def test_missing_folder_and_large_files_are_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.md"
    with large.open("wb") as file:
        file.truncate(50_000_000)
    for path, code in [(tmp_path / "no.md", "file"), (tmp_path, "file"), (large, "too-large")]:
        with pytest.raises(Refused) as refused:
            document_of(path)
        assert refused.value.diagnostics[0].code == code


def test_plain_text(tmp_path: Path) -> None:
    paper = read(tmp_path, "a.txt", TYPED)
    headings = [
        "Sharding Things over Many Cards",
        "Abstract",
        "1. Introduction",
        "2 Method",
        "EXPERIMENTAL SETUP",
        "Results",
    ]
    assert [text for text, _ in texts(paper, Kind.HEADING)] == headings
    abstract = "We shard over sixteen cards and measure tensor-parallel speed. It is good for thirty-two accelerators."
    assert (find(paper, abstract).lines, find(paper, abstract).part) == ((7, 10), Part.ABSTRACT)
    assert texts(paper, Kind.FORMULA) == [("y = x W", (20, 20))]
    bullets = ["first cut the heads", "then cut the dims", "one", "two", "Layers: 32", "Hidden size: 4096", "Batch = 8"]
    assert [text for text, _ in texts(paper, Kind.BULLET)] == bullets
    assert find(paper, "Llama | 32 | 4,096 | 32").header == ("Model", "Layers", "Hidden size", "Heads")
    assert find(paper, "Mixtral | 56 | 6,144 | ").lines == (40, 40)
    assert find(paper, "Item | 3").header == find(paper, "Other | 4").header == ()
    assert find(paper, "1 | 2").header == ("a", "b")
    assert find(paper, "16 H100 GPUs are what we use. They are fast. We like them a lot. Yes.").kind is Kind.PROSE
    assert find(paper, "Baseline (TP=8) | 12,700 | 8.4").part is Part.RESULTS


def test_text_files_are_read_as_what_they_hold(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "a", "# Title\n\nText.\n"), Kind.HEADING) == [("Title", (1, 1))]
    latex = read(tmp_path, "b.txt", "\\documentclass{article}\n\\begin{document}\nText.\n\\end{document}\n")
    assert texts(latex, Kind.PROSE) == [("Text.", (3, 3))]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("blocks.md", "a\n\n" * 50_000),
        ("brackets.md", "[" * 20_000),
        ("cells.md", "|a" * 9_000 + "\n" + "|-" * 9_000),
        ("pipes.txt", "|\n" * 50_000),
        ("cells.txt", "a   b\n" * 50_000),
        ("wrapped.txt", "a   b\n    c\n" * 20_000),
        ("rules.txt", "-----------x\n" * 20_000),
        ("blank.txt", " " * 200_000 + "x"),
    ],
)
def test_text_without_end_is_read_or_refused_quickly(tmp_path: Path, name: str, text: str) -> None:
    with suppress(Refused):
        assert read(tmp_path, name, text).blocks


def test_text_from_a_pdf_has_its_columns_one_after_the_other(tmp_path: Path) -> None:
    text = "Title of it\nAbstract\nWe shard over sixteen cards, and that is ﬁne to read here.\n\n"
    text += "Conﬁguration\nItem\n\nValue\n\n"
    text += "Heads\nWidth\n\n32 / 128\n4096\n\nResults\nMethod\n\nTPS\n\nBaseline\nOurs\n\n1\n2\n"
    paper = read(tmp_path, "a.txt", text)
    assert [text for text, _ in texts(paper, Kind.HEADING)] == ["Title of it", "Abstract", "Configuration", "Results"]
    row = find(paper, "Heads | 32 / 128")
    assert (row.header, row.lines, row.part) == (("Item", "Value"), (10, 13), Part.SETUP)
    assert find(paper, "Ours | 2").header == ("Method", "TPS")


PIECES = [
    "# ",
    "## Setup\n",
    "\n",
    "\n\n",
    "* ",
    "1. ",
    "| a | b |\n",
    "|---|---|\n",
    "a   b\n",
    "---\n",
    "===\n",
    "$",
    "$$",
    "`",
    "```\n",
]
PIECES += [
    "**",
    "_",
    "\\",
    "{",
    "}",
    "%",
    "&",
    "\\\\",
    "\\begin{tabular}{ll}",
    "\\end{tabular}",
    "\\begin{itemize}",
    "\\item ",
    "\\section{",
]
PIECES += [
    "\\newcommand{\\x}[1]{#1#1}",
    "\\x{",
    "\\input{paper}",
    "\\multirow{2}{*}{",
    "\\multicolumn{3}{c}{",
    "\\midrule ",
    "\\begin{table}",
]
PIECES += [
    "word",
    "Abstract",
    "EXPERIMENTS\n",
    "2 Method\n",
    "Table 1: ",
    "Key: value\n",
    "16 GPUs",
    "    x = y\n",
    "\t",
    "<b>",
    "&amp;",
    "[a](b)",
    "é",
    "\u200b",
]


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join),
    st.sampled_from(["md", "tex", "txt"]),
)
def test_any_text_becomes_blocks_of_its_lines_or_is_refused(tmp_path: Path, text: str, suffix: str) -> None:
    refused: tuple[Diagnostic, ...] = ()
    paper = Document("", (), ())
    try:
        paper = read(tmp_path, f"paper.{suffix}", text.encode(errors="replace"))
    except Refused as problem:
        refused = tuple(problem.diagnostics)
    assert bool(refused) != bool(paper.blocks)
    assert all(problem.where for problem in refused)
    for block in paper.blocks:
        first, last = block.lines
        assert 1 <= first <= last <= len(paper.included[block.file] if block.file else paper.lines)
        assert block.text.strip() == " ".join(block.text.split()) != ""
        assert (block.kind is Kind.ROW) == bool(block.cells)
        assert len(block.header) in (0, len(block.cells))
