"""`dagc read`: a paper → the experiment as YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..diagnostics import Diagnostic, Refused
from .paper import asked_of, reads_papers

EXAMPLES = """
\b
Examples:
  dagc read paper.md -o experiment.yaml && dagc lower experiment.yaml
  dagc read paper.pdf --knowledge facts/ --reading exactness=literal
"""


@click.command(epilog=EXAMPLES)
@click.argument("paper", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), help="File to write. Default: standard output.")
@reads_papers
def read(paper: Path, output: Path | None, **flags: Any) -> None:
    """Read PAPER (Markdown, LaTeX, plain text, PDF) and write its experiment: models, cluster, baseline, strategies and
    sizes, each with the line and the words that say it.
    """
    from ..backends.folder import write_whole
    from ..frontends import json_schema
    from ..frontends.paper.writing import yaml_of
    from ..papers import read as read_paper

    if output is not None and output.exists() and paper.exists() and output.samefile(paper):
        raise Refused(Diagnostic("file", "the output is the paper itself", str(output), hint="choose another --output"))
    text = yaml_of(read_paper(paper, asked_of(flags)))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_whole(output, text)
        if not (schema := output.parent / json_schema.file_name()).exists():
            write_whole(schema, json_schema.text())
        click.echo(str(output))
