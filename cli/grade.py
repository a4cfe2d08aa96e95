"""`dagc grade DIR`: the verdict on an output folder, whoever wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .lint import FORMATS

if TYPE_CHECKING:
    from ..grading import Graded

EXAMPLES = """
\b
Examples:
  dagc grade dagc-out                        is everything there, and is every graph right
  dagc grade someone-elses --paper paper.md  its models, baseline and proposals against those of the paper
  dagc grade outputs --format json           for programs: every rule with its verdict, every finding
  dagc grade outputs --format sarif
"""


@click.command(epilog=EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--paper", metavar="SOURCE", help="The paper or description that the graphs should be of.")
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True, help="How to report.")
@click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
@click.option("--traceback", is_flag=True, hidden=True)
def grade(folder: Path, paper: str | None, style: str, as_json: bool, traceback: bool) -> None:
    """Grade an output folder: baseline, models, an SVG beside each DOT, paths of its JSON, every graph by the lint.

    Exit code 1 where something is missing or a rule is broken.
    """
    from .. import grading
    from ..job import Request

    graded = grading.grade(folder, Request(paper) if paper else None)
    click.echo(_said(graded, "json" if as_json else style), nl=False)
    if not graded.complete:
        click.get_current_context().exit(1)


def _said(graded: Graded, style: str) -> str:
    from ..backends import graded as verdict
    from ..backends.annotations import WRITERS

    files = [graded.files.at(name) for name in graded.files.dots]
    if style not in ("text", "json"):
        return WRITERS[style](graded.found, files)
    rows = [verdict.Row(graph.file, graph.role, *graph.size, graph.errors) for graph in graded.graphs]
    writer = verdict.text if style == "text" else verdict.as_json
    return writer(str(graded.folder), rows, graded.rules, graded.found, files)
