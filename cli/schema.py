"""`dagc schema`: the JSON Schema of a description, or of a strategy's file."""

from __future__ import annotations

import click

EXAMPLES = """
\b
Examples:
  dagc schema > experiment.schema.json       beside an experiment.yaml whose first line is
                                             # yaml-language-server: $schema=experiment.schema.json
  dagc schema strategy > strategy.schema.json
"""


@click.command(epilog=EXAMPLES)
@click.argument("kind", type=click.Choice(["experiment", "strategy"]), default="experiment")
def schema(kind: str) -> None:
    """Print the JSON Schema of an experiment's YAML (or of a strategy's), by which editors complete and check it."""
    from ..frontends.json_schema import text

    click.echo(text(kind), nl=False)
