"""LaTeX papers: sections, lists, tables, formulas, macros of their own and included files, each with its line."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from dagc.diagnostics import Refused
from dagc.frontends.paper.document import Document, Kind, Part
from dagc.frontends.paper.formats import document_of

PAPER = r"""\documentclass{article}
\newcommand{\sys}{HeadSlice\xspace}
\newcommand{\gpus}[2][H100]{#2~#1 GPUs}
\def\bi{\begin{itemize}}
\newcommand{\ei}{\end{itemize}}
\title{\sys: Sharding} % a comment
\begin{document}
\maketitle
\begin{abstract}
We use \gpus{16} and gain 30\%.
\end{abstract}
\section{Method}\label{sec:m}
Cut $W^{(i,j)}$ into $16{,}384$
columns~\cite{x}.\footnote{Of \textbf{two} kinds.}
\begin{equation}
d_s = \frac{d}{m} \label{eq:d}
\end{equation}

\paragraph{Cut.} First the heads.
\bi
\item \textbf{Heads.} We use
  $32$ of them.
\item[Width] 128
\ei
\section{Evaluation}
\subsection{Setup}
\input{setup}
\input{/etc/passwd}
\begin{table}
\begin{tabular}{lrr}
\toprule
 & \multicolumn{2}{c}{Model} \\
\cmidrule(lr){2-3}
Item & Small & Large \\ \midrule
\multirow{2}{*}{Heads} & 32 & 64 \\
 & 8 & \SI{16}{\giga\byte} \\
\bottomrule
\end{tabular}
\caption{Configuration}
\end{table}
\end{document}
"""


@pytest.fixture
def paper(tmp_path: Path) -> Document:
    (tmp_path / "setup.tex").write_text("First line.\n\nA node has \\gpus[A100]{8}.\n")
    (tmp_path / "paper.tex").write_text(PAPER)
    return document_of(tmp_path / "paper.tex")


def texts(document: Document, kind: Kind) -> list[tuple[str, tuple[int, int]]]:
    return [(block.text, block.lines) for block in document.blocks if block.kind is kind]


def test_text_is_plain_and_macros_are_expanded(paper: Document) -> None:
    assert paper.title == "HeadSlice: Sharding"
    assert texts(paper, Kind.PROSE) == [
        ("We use 16 H100 GPUs and gain 30%.", (10, 10)),
        ("Cut W^(i,j) into 16,384 columns .", (13, 14)),
        ("Of two kinds.", (14, 14)),
        ("Cut. First the heads.", (19, 19)),
        ("First line.", (1, 1)),
        ("A node has 8 A100 GPUs.", (3, 3)),
        ("Configuration", (39, 39)),
    ]
    assert texts(paper, Kind.BULLET) == [("Heads. We use 32 of them.", (21, 22)), ("Width 128", (23, 23))]
    assert texts(paper, Kind.FORMULA) == [(r"d_s = \frac{d}{m}", (15, 17))]


def test_included_files_keep_their_lines(paper: Document) -> None:
    block = next(block for block in paper.blocks if block.text.startswith("A node"))
    assert (block.file, block.part) == ("setup", Part.SETUP)
    assert paper.source_of(block) == (r"A node has \gpus[A100]{8}.",)
    assert paper.unread == ("paper.tex:28: /etc/passwd is not beside the paper",)


def test_tables(paper: Document) -> None:
    rows = [block for block in paper.blocks if block.kind is Kind.ROW]
    assert [(row.cells, row.lines) for row in rows] == [
        (("Item", "Model Small", "Model Large"), (32, 34)),
        (("Heads", "32", "64"), (35, 35)),
        (("Heads", "8", "16 GB"), (36, 36)),
    ]
    assert rows[1].header == rows[0].cells
    assert (rows[1].section[-1], rows[1].part) == ("Configuration", Part.SETUP)


@pytest.mark.parametrize(
    "text",
    ["{" * 20_000, r"\begin{a}" * 5_000, r"\begin{itemize}\item " * 2_000, "word " * 200_000],
    ids=["braces", "environments", "lists", "paragraph"],
)
def test_sources_without_end_are_refused_quickly(tmp_path: Path, text: str) -> None:
    path = tmp_path / "paper.tex"
    path.write_text(text)
    with pytest.raises(Refused) as refused:
        document_of(path)
    assert [(problem.code, problem.where) for problem in refused.value.diagnostics] == [("too-large", str(path))]


def test_macros_without_end_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "paper.tex"
    doubling = [rf"\newcommand{{\{a}x}}{{" + rf"\{b}x" * 10 + "}" for a, b in pairwise("abcdef")]
    path.write_text("".join(doubling) + "\\newcommand{\\a}{" * 2_000 + "\\section{Setup} 16 GPUs. \\ax")
    with suppress(Refused):
        document_of(path)


def test_a_fragment_that_includes_itself(tmp_path: Path) -> None:
    path = tmp_path / "loop.tex"
    path.write_text("\\section{Setup}\nWe use 16 GPUs.\n\\input{loop}\n")
    blocks = document_of(path).blocks
    assert [block.text for block in blocks] == ["Setup", "We use 16 GPUs."] * 2
